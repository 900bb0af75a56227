"""`hub run`, with programs of the clients' names that tell how they were started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.client_programs import CLIENT_PROGRAMS, Place
from tests.hub.cli.conftest import Cli, RunningHub, ScriptedModel, full_settings, serving

FAKE = """\
#!{python}
import json, os, pathlib, signal, sys, time

told = pathlib.Path(os.environ["TOLD"])
folder = next((one for one in pathlib.Path(os.environ["TMPDIR"]).glob("hub-run-*")), None)
files = {{one.name: json.loads(one.read_text()) for one in folder.rglob("*.json")}}
mode = oct(folder.stat().st_mode & 0o777)
document = {{"argv": sys.argv[1:], "environ": dict(os.environ), "files": files}}
document |= {{"folder": str(folder), "mode": mode}}
told.write_text(json.dumps(document))
last = sys.argv[-1]
if last == "read":
    print(sys.stdin.read().upper())
elif last == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
elif last == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif last.isdigit():
    sys.exit(int(last))
"""


@pytest.fixture
def at_hub(shared: tuple[Cli, RunningHub], tmp_path: Path) -> Cli:
    """Commands with the fake clients on PATH and a folder of their own for what is temporary."""
    cli, hub = shared
    programs, temporary = tmp_path / "bin", tmp_path / "tmp"
    programs.mkdir()
    temporary.mkdir()
    for known in CLIENT_PROGRAMS.values():
        fake = programs / known.program
        fake.write_text(FAKE.format(python=sys.executable))
        fake.chmod(0o755)
    extra = {
        "HUB_SERVER__PORT": hub.port,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "TOLD": str(tmp_path / "told.json"),
    }
    return Cli(cli.folder, extra)


def told(cli: Cli) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(cli.extra["TOLD"]).read_text())
    return document


def test_claude(at_hub: Cli, shared: tuple[Cli, RunningHub]) -> None:
    at_hub.extra["ANTHROPIC_API_KEY"] = "of-the-user"
    outcome = at_hub("run", "claude", "--group", "answers", "--profile", "narrow", "--", "-p", "hi there")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    started, url = told(at_hub), shared[1].url
    assert started["environ"]["ANTHROPIC_BASE_URL"] == f"{url}/answers"
    assert started["environ"]["ANTHROPIC_AUTH_TOKEN"] == "none"
    assert "ANTHROPIC_API_KEY" not in started["environ"]
    assert started["argv"][-2:] == ["-p", "hi there"]
    folder = Path(started["folder"])
    ours = ["--mcp-config", str(folder / "mcp.json"), "--settings", str(folder / "settings.json")]
    assert started["argv"][:-2] == ours
    assert started["files"]["mcp.json"]["mcpServers"]["hub"] == {"type": "http", "url": f"{url}/mcp/narrow"}
    assert started["files"]["settings.json"]["env"]["ANTHROPIC_BASE_URL"] == f"{url}/answers"
    assert started["mode"] == "0o700"
    assert not folder.exists()


@pytest.mark.parametrize("client", CLIENT_PROGRAMS)
def test_each_client_is_led_to_the_group_and_the_tools(
    at_hub: Cli, shared: tuple[Cli, RunningHub], client: str
) -> None:
    assert at_hub("run", client, "--group", "answers").status == 0
    started, url = told(at_hub), shared[1].url
    everything = json.dumps([started["argv"], started["environ"], started["files"]])
    assert f"{url}/answers" in everything
    assert f"{url}/mcp" in everything
    assert list(Path(at_hub.extra["TMPDIR"]).iterdir()) == []


@pytest.mark.parametrize("client", CLIENT_PROGRAMS)
def test_without_a_group_the_active_one_answers(
    at_hub: Cli, shared: tuple[Cli, RunningHub], client: str
) -> None:
    assert at_hub("run", client).status == 0
    started = told(at_hub)
    everything = json.dumps([started["argv"], started["environ"], started["files"]])
    assert f"{shared[1].url}/switch" in everything


def test_arguments_pass_with_and_without_dashes(at_hub: Cli) -> None:
    at_hub("run", "codex", "exec", "-m", "some", "--group", "answers", "say", "--", "--group", "-c", "x=1")
    ours = told(at_hub)["argv"]
    assert ours[-7:] == ["exec", "-m", "some", "say", "--group", "-c", "x=1"]
    assert 'model="gpt-5.1-codex"' not in ours


def test_options_of_hub_may_stand_in_front(at_hub: Cli, shared: tuple[Cli, RunningHub]) -> None:
    del at_hub.extra["HUB_SERVER__PORT"]
    port = shared[1].port
    assert at_hub("--port", port, "run", "gemini", "--group", "answers", "--", "-p", "--port").status == 0
    assert told(at_hub)["argv"] == ["-p", "--port"]


@pytest.mark.parametrize(("last", "status"), [("0", 0), ("7", 7), ("kill", 128 + signal.SIGKILL)])
def test_the_status_is_the_clients(at_hub: Cli, last: str, status: int) -> None:
    outcome = at_hub("run", "qwen", "--group", "answers", last)
    assert (outcome.status, outcome.err) == (status, "")
    assert list(Path(at_hub.extra["TMPDIR"]).iterdir()) == []


def test_standard_input_and_output_are_the_clients(at_hub: Cli) -> None:
    assert at_hub("run", "qwen", "--group", "answers", "read", stdin="some words").out == "SOME WORDS\n"


def test_a_signal_reaches_the_client(at_hub: Cli) -> None:
    process = at_hub.start("run", "qwen", "--group", "answers", "wait", stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 9
    assert list(Path(at_hub.extra["TMPDIR"]).iterdir()) == []


@pytest.mark.parametrize("client", ["opencode", "qwen", "copilot"])
def test_protocols(at_hub: Cli, client: str) -> None:
    seen = set()
    for protocol in CLIENT_PROGRAMS[client].protocols:
        assert at_hub("run", client, "--group", "answers", "--protocol", protocol).status == 0
        environ = told(at_hub)["environ"]
        seen.add(
            json.dumps(
                {
                    name: value
                    for name, value in environ.items()
                    if name.startswith(("OPEN", "ANTH", "GOOG", "COPI"))
                }
            )
        )
    assert len(seen) == len(CLIENT_PROGRAMS[client].protocols)
    outcome = at_hub("run", client, "--protocol", "ollama")
    assert outcome.status == 2
    assert "it speaks" in outcome.error()


def test_the_usual_protocol_is_that_of_the_target(cli: Cli, at_hub: Cli) -> None:
    provider = {"protocol": "anthropic", "base_url": "http://127.0.0.1:9", "api_key": "x"}
    cli.write({"providers": {"far": provider}, "groups": {"one": {"provider": "far", "model": "m"}}})
    with serving(cli) as hub:
        runs = Cli(cli.folder, {**at_hub.extra, "HUB_SERVER__PORT": hub.port})
        assert runs("run", "opencode", "--group", "one").status == 0
    assert "@ai-sdk/anthropic" in told(runs)["environ"]["OPENCODE_CONFIG_CONTENT"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("claud",), 2, "did you mean claude?"),
        (("claude", "--group", "anwsers"), 1, "did you mean answers?"),
        (("claude", "--profile", "narow"), 1, "did you mean narrow?"),
        (("claude", "--protocol", "gemini"), 2, "it speaks anthropic"),
    ],
)
def test_what_is_unknown_is_told(at_hub: Cli, arguments: tuple[str, ...], status: int, says: str) -> None:
    outcome = at_hub("run", *arguments)
    assert outcome.status == status
    assert says in outcome.error()
    assert not Path(at_hub.extra["TOLD"]).exists()


def test_no_hub_runs(at_hub: Cli) -> None:
    at_hub.extra["HUB_SERVER__PORT"] = "1"
    outcome = at_hub("run", "claude", "--group", "answers")
    assert outcome.status == 1
    assert "start one: hub serve" in outcome.error()


def test_the_client_is_not_installed(shared: tuple[Cli, RunningHub], tmp_path: Path) -> None:
    cli = Cli(shared[0].folder, {"HUB_SERVER__PORT": shared[1].port, "PATH": str(tmp_path)})
    outcome = cli("run", "codex")
    assert outcome.status == 1
    assert "npm install -g @openai/codex" in outcome.error()


@pytest.fixture
def with_keys(cli: Cli, model: ScriptedModel, at_hub: Cli) -> Iterator[Cli]:
    """A hub with a key for everything and one for a single group; the commands know the second."""
    keys = {
        "all": {"key": "sk-for-everything-0001"},
        "one": {"key": "sk-for-one-group-0002", "groups": ["answers"]},
    }
    cli.write({**full_settings(model), "keys": keys})
    with serving(cli) as hub:
        yield Cli(
            cli.folder, {**at_hub.extra, "HUB_SERVER__PORT": hub.port, "HUB_KEY": "sk-for-one-group-0002"}
        )


@pytest.mark.parametrize("client", CLIENT_PROGRAMS)
def test_the_key_goes_along_but_not_on_the_command_line(with_keys: Cli, client: str) -> None:
    outcome = with_keys("run", client, "--group", "answers")
    assert (outcome.status, outcome.err) == (0, "")
    started = told(with_keys)
    assert "sk-for" not in " ".join(started["argv"])
    del started["environ"]["HUB_KEY"]
    if client != "codex":  # which reads that variable
        assert "sk-for-one-group-0002" in json.dumps(started["environ"])
        assert "Bearer sk-for-one-group-0002" in json.dumps([started["environ"], started["files"]])


def test_the_hub_asks_for_a_key(with_keys: Cli) -> None:
    with_keys.extra["HUB_KEY"] = "sk-wrong"
    outcome = with_keys("run", "claude")
    assert outcome.status == 1
    assert "does not know this key" in outcome.error()


@pytest.mark.parametrize("client", ["gemini", "qwen"])
def test_settings_that_were_there_hold(at_hub: Cli, tmp_path: Path, client: str) -> None:
    """Gemini CLI has the rest of the user's home, Qwen Code the administrator's settings."""
    home = tmp_path / "own" / ".gemini"
    home.mkdir(parents=True)
    (home / "google_accounts.json").write_text("{}")
    given = home / "settings.json"
    given.write_text('{"mcpServers": {"other": {"command": "x"}}, /* kept */ "ui": {"theme": "dark"}}')
    before = given.read_text()
    at_hub.extra |= {"GEMINI_CLI_HOME": str(home.parent), "QWEN_CODE_SYSTEM_SETTINGS_PATH": str(given)}
    assert at_hub("run", client, "--group", "answers").status == 0
    files = told(at_hub)["files"]
    settings = files["settings.json"]
    assert set(settings["mcpServers"]) == {"hub", "other"}
    assert settings["ui"] == {"theme": "dark"}
    assert given.read_text() == before
    assert ("google_accounts.json" in files) == (client == "gemini")


def test_the_hub_is_not_behind_a_proxy(at_hub: Cli) -> None:
    at_hub.extra |= {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "example.com"}
    assert at_hub("run", "claude", "--group", "answers").status == 0
    assert told(at_hub)["environ"]["NO_PROXY"] == "example.com,127.0.0.1"
    assert told(at_hub)["environ"]["no_proxy"] == "127.0.0.1"


def test_a_place_tells_no_key() -> None:
    place = Place("http://h", "/g", "/mcp", "g", Path("."), key="sk-secret")
    assert "sk-secret" not in repr(place)
