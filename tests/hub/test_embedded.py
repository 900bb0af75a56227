"""Embedded servers: real child processes, a real model, and what happens when either dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from hub.embedded import EmbeddedServers, EmbeddedState
from hub.embedded.events import Failed, Fetching, Loading, Ready, decode, encode
from hub.settings.providers import EmbeddedSettings

START_SECONDS = 90.0
SMALL = EmbeddedSettings(context_size=1024)


class Silent:
    """A display that remembers."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int, int]] = []

    def show(self, name: str, done: int, total: int) -> None:
        self.shown.append((name, done, total))

    def close(self) -> None:
        pass


@pytest.fixture
async def servers() -> AsyncIterator[EmbeddedServers]:
    servers = EmbeddedServers(Silent())
    yield servers
    await servers.aclose()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the deadline has passed"
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not waited for does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return not Path("/proc/self").exists()
        return False


def only_pid(servers: EmbeddedServers) -> int:
    (status,) = servers.status()
    assert status.pid is not None
    return status.pid


@pytest.mark.model
async def test_url_is_known_at_once_and_the_model_answers_later(servers: EmbeddedServers) -> None:
    started = time.monotonic()
    urls = await servers.apply({"local": SMALL})
    assert time.monotonic() - started < 0.5
    assert servers.status()[0].state is EmbeddedState.STARTING
    assert await servers.wait_ready("local", START_SECONDS), servers.status()
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8, "stream": True}
    async with (
        httpx.AsyncClient(timeout=60) as client,
        client.stream("POST", urls["local"] + "/chat/completions", json=body) as answer,
    ):
        data = [line[6:] async for line in answer.aiter_lines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    chunks = [json.loads(line) for line in data[:-1]]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")


@pytest.mark.model
@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (
            "/messages",
            {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4},
            lambda answer: answer["content"][0]["text"],
        ),
        (
            "/responses",
            {"input": "Hi", "max_output_tokens": 4},
            lambda answer: answer["output"][0]["content"][0]["text"],
        ),
    ],
    ids=["anthropic", "openai-responses"],
)
async def test_other_protocols_of_the_server(
    servers: EmbeddedServers, path: str, body: dict[str, object], text: Callable[[object], str]
) -> None:
    urls = await servers.apply({"local": SMALL})
    assert await servers.wait_ready("local", START_SECONDS)
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(urls["local"] + path, json=body)
    assert answer.status_code == 200
    assert text(answer.json())


@pytest.mark.model
async def test_unchanged_keeps_its_process_changed_gets_another(servers: EmbeddedServers) -> None:
    urls = await servers.apply({"local": SMALL})
    assert await servers.wait_ready("local", START_SECONDS)
    first = only_pid(servers)
    assert await servers.apply({"local": SMALL.model_copy()}) == urls
    assert only_pid(servers) == first

    other = await servers.apply({"local": EmbeddedSettings(context_size=512)})
    assert other["local"] != urls["local"]
    assert await servers.wait_ready("local", START_SECONDS)
    assert only_pid(servers) != first
    await until(lambda: not alive(first), 10)


@pytest.mark.model
async def test_a_replaced_server_finishes_its_answer(servers: EmbeddedServers) -> None:
    urls = await servers.apply({"local": SMALL})
    assert await servers.wait_ready("local", START_SECONDS)
    pid = only_pid(servers)
    body = {
        "messages": [{"role": "user", "content": "Count."}],
        "max_tokens": 200,
        "stream": True,
        "ignore_eos": True,
    }
    async with (
        httpx.AsyncClient(timeout=60) as client,
        client.stream("POST", urls["local"] + "/chat/completions", json=body) as answer,
    ):
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith("data: ")
        assert await servers.apply({}) == {}
        rest = [line async for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    await until(lambda: not alive(pid), 10)


@pytest.mark.model
async def test_a_killed_server_comes_back_on_the_same_port(servers: EmbeddedServers) -> None:
    urls = await servers.apply({"local": SMALL})
    assert await servers.wait_ready("local", START_SECONDS)
    first = only_pid(servers)
    os.kill(first, signal.SIGKILL)
    await until(lambda: servers.status()[0].state is EmbeddedState.RESTARTING, 5)
    assert "status -9" in (servers.status()[0].reason or "")
    assert await servers.wait_ready("local", START_SECONDS)
    assert only_pid(servers) != first
    async with httpx.AsyncClient() as client:
        assert (await client.get(urls["local"] + "/models")).status_code == 200


@pytest.mark.model
async def test_aclose_leaves_no_process() -> None:
    servers = EmbeddedServers(Silent())
    await servers.apply({"local": SMALL, "still-starting": EmbeddedSettings(context_size=512)})
    assert await servers.wait_ready("local", START_SECONDS)
    pids = [status.pid for status in servers.status()]
    started = time.monotonic()
    await servers.aclose()
    assert time.monotonic() - started < 3
    assert [pid for pid in pids if pid is not None and alive(pid)] == []


PARENT = """
import asyncio, sys
from hub.embedded import EmbeddedServers
from hub.settings.providers import EmbeddedSettings

async def main():
    servers = EmbeddedServers()
    await servers.apply({"local": EmbeddedSettings(context_size=1024)})
    while servers.status()[0].pid is None:
        await asyncio.sleep(0.01)
    if sys.argv[1] == "ready":
        assert await servers.wait_ready("local", 90)
    if sys.argv[1] == "loading":
        while "loading" not in (servers.status()[0].reason or ""):
            await asyncio.sleep(0.001)
    print(servers.status()[0].pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.model
@pytest.mark.parametrize("moment", ["started", "loading", "ready"])
async def test_child_is_gone_when_the_hub_is_killed(moment: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, moment, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert alive(child)
    parent.kill()
    await parent.communicate()
    await until(lambda: not alive(child), 3)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("{folder}/absent.gguf", "does not exist; give the path of a GGUF file, or one of: smollm2"),
        ("{folder}/text.gguf", "is not a GGUF file"),
    ],
)
async def test_a_wrong_model_fails_for_good_with_the_reason(
    servers: EmbeddedServers, tmp_path: Path, model: str, reason: str
) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "text.gguf").write_text("not a model")
    await servers.apply({"own": EmbeddedSettings(model=model.format(folder=tmp_path))})
    assert not await servers.wait_ready("own", 30)
    (status,) = servers.status()
    assert status.state is EmbeddedState.FAILED
    assert reason in (status.reason or "")


async def test_a_damaged_model_is_tried_again_with_the_reason(
    servers: EmbeddedServers, tmp_path: Path
) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(100))
    await servers.apply({"own": EmbeddedSettings(model=str(tmp_path / "broken.gguf"))})
    await until(lambda: servers.status()[0].state is EmbeddedState.RESTARTING, 30)
    assert "llama.cpp cannot serve" in (servers.status()[0].reason or "")


async def test_missing_llama_cpp_names_the_extra(
    servers: EmbeddedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('as if it were not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    await servers.apply({"local": SMALL})
    assert not await servers.wait_ready("local", 30)
    assert servers.status()[0].reason == 'llama.cpp is not installed: pip install "ccproxy-hub[embedded]"'


async def test_secrets_of_the_hub_are_not_given_to_the_child(
    servers: EmbeddedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").write_text(
        "import os, pathlib\n"
        "pathlib.Path(__file__).with_name('seen').write_text(repr(dict(os.environ)))\n"
        "raise ImportError\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("EXAMPLE_API_KEY", "provider-secret")
    monkeypatch.setenv("HUB_TOKEN", "provider-secret")
    monkeypatch.setenv("EXAMPLE_PLAIN", "carried")
    await servers.apply({"local": SMALL})
    assert not await servers.wait_ready("local", 30)
    seen = (tmp_path / "seen").read_text()
    assert "carried" in seen
    assert "provider-secret" not in seen


@pytest.mark.parametrize(
    "event", [Fetching(1, 2), Loading("/a b/ü.gguf"), Ready(), Failed("why\nnot", permanent=True)]
)
def test_events_survive_the_line(event: Fetching | Loading | Ready | Failed) -> None:
    line = encode(event)
    assert "\n" not in line
    assert decode(line.encode()) == event


@pytest.mark.parametrize(
    "line", [b"", b"loading...", b"[]", b"{}", b'{"event": "Other"}', b'{"event": "Ready", "a": 1}']
)
def test_other_lines_are_no_events(line: bytes) -> None:
    assert decode(line) is None
