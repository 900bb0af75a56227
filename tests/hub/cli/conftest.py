"""The real `hub` as a process, with a home of its own, and a scripted model behind it."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from hub.cli.run import run

HUB = str(Path(sys.executable).with_name("hub"))
EXAMPLE_SERVER = str(Path(__file__).with_name("example_server.py"))
SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def error(self) -> str:
        """The one line on standard error of a command that failed."""
        (line,) = self.err.splitlines()
        assert line.startswith("hub: ")
        return line.removeprefix("hub: ")


@dataclass
class Cli:
    """Runs commands in `folder`, without the settings, keys and caches of whoever runs the tests."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        home = str(self.folder / "home")
        return {**kept, "HOME": home, "COLUMNS": "200", **self.extra}

    def __call__(self, *arguments: str, stdin: str = "") -> Outcome:
        done = subprocess.run(
            [HUB, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            cwd=self.folder,
            env=self.environ,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [HUB, *arguments],
            text=True,
            env=self.environ,
            **{"stdin": subprocess.DEVNULL, "cwd": self.folder, **options},
        )

    def write(self, settings: dict[str, Any], name: str = "hub.yaml") -> Path:
        """JSON is YAML as well."""
        path = self.folder / name
        path.write_text(json.dumps(settings, indent=1))
        return path


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    (tmp_path / "home").mkdir()
    return Cli(tmp_path)


@dataclass
class RunningHub:
    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]


@contextmanager
def serving(
    cli: Cli, *arguments: str, port: str = "0", errors: int | None = subprocess.PIPE, **options: Any
) -> Iterator[RunningHub]:
    """`hub serve`, on a free port unless told otherwise, for the time of a block."""
    process = cli.start("serve", "--port", port, *arguments, stdout=subprocess.PIPE, stderr=errors, **options)
    with process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            match = re.search(r" at (http://\S+)", first)
            if match is None:
                process.kill()
                raise AssertionError(
                    f"hub serve said {first!r} and {process.stderr and process.stderr.read()!r}"
                )
            for line in process.stdout:
                if line.startswith("Ctrl-C"):
                    break
            yield RunningHub(match[1], process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise


class ScriptedModel(http.server.ThreadingHTTPServer):
    """An OpenAI chat server. The model's name says what it does; `go_on` releases the waiting one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.go_on = threading.Event()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ScriptedModel

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append(body)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if body["model"] == "refuses":
            self._refuse(400, "no such model here")
            return
        if body["model"] == "rests":
            self._refuse(429, "slow down", {"retry-after": "300"})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self._event({"role": "assistant", "content": "One"})
        if body["model"] == "waits" and not self.server.go_on.wait(30):
            return
        if body["model"] == "breaks":
            return
        self._event({"content": " \x1b[2Jtwo"})
        self._event({}, finish_reason="stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, delta: dict[str, str], finish_reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.flush()

    def _refuse(self, status: int, message: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        content = json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    server = ScriptedModel()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def full_settings(model: ScriptedModel) -> dict[str, Any]:
    """Two servers of which one is broken, a profile, and a group for each of the model's manners."""
    groups = {
        name: {"provider": "scripted", "model": name, "description": f"It {name}."}
        for name in ("answers", "waits", "breaks", "refuses")
    }
    return {
        "providers": {
            "scripted": {
                "protocol": "openai",
                "base_url": f"http://127.0.0.1:{model.server_port}/v1",
                "api_key": "x",
            }
        },
        "groups": groups,
        "mcpServers": {
            "example": {"command": "${HUB_PYTHON}", "args": [EXAMPLE_SERVER]},
            "broken": {"command": "${HUB_PYTHON}", "args": ["-c", "raise SystemExit(1)"]},
        },
        "profiles": {"narrow": {"servers": ["example"], "tools": {"include": ["*_add"]}}},
    }


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel
) -> Iterator[tuple[Cli, RunningHub]]:
    """One running hub for a module. The commands get its port from `Cli.extra`."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "home").mkdir()
    cli = Cli(folder)
    cli.write(full_settings(model))
    with serving(cli, errors=subprocess.DEVNULL) as hub:
        cli.extra["HUB_SERVER__PORT"] = hub.port
        yield cli, hub


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """A port of a program that is no hub."""
    with _listening(_Foreign) as port:
        yield port


class _Foreign(http.server.BaseHTTPRequestHandler):
    answer = b"hello"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *args: object) -> None:
        pass


class OllamaLike(_Foreign):
    answer = b"Ollama is running"


@contextmanager
def _listening(handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ollama_port() -> Iterator[int]:
    with _listening(OllamaLike) as port:
        yield port


@dataclass
class Place:
    """A home and a project's folder, and commands run in this process: there are many of them."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Outcome:
        status = run(list(arguments))
        return Outcome(status, *self.capsys.readouterr())

    def has_key(self, key: str) -> None:
        self.monkeypatch.setenv("HUB_KEY", key)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    for variable in (
        *("XDG_CONFIG_HOME", "XDG_STATE_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "COPILOT_HOME"),
        *(name for name in os.environ if name.startswith("HUB_")),
    ):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, monkeypatch, capsys)
