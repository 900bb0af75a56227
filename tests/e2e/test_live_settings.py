"""Saving the settings file while clients of both eras are connected to the real program."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client

from tests.e2e.program import Program, program
from tests.hub.mcp.harness import ERAS, MODES, alive, children, listening, until

TINY = Path(__file__).parents[1] / "servers" / "tiny.py"
QUIET_SECONDS = 0.4
"""Long enough for a second notification to show up."""


def server(prefix: str) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-S", str(TINY), prefix]}


BEFORE: dict[str, Any] = {
    "providers": {"nowhere": {"protocol": "openai", "base_url": "http://127.0.0.1:9/v1"}},
    "groups": {"one": {"provider": "nowhere", "model": "m1"}},
    "mcpServers": {"a": server("a"), "b": server("b"), "c": server("c")},
    "profiles": {"only_a": {"servers": ["a"]}, "only_b": {"servers": ["b"]}},
}
AFTER = {
    **BEFORE,
    "groups": {**BEFORE["groups"], "two": {"provider": "nowhere", "model": "m2"}},
    "mcpServers": {"a": server("a"), "b": server("edited"), "d": server("d")},
}


class Connected:
    """What `listening` wants: a hub that gives clients."""

    def __init__(self, running: Program) -> None:
        self._running = running

    def client(self, era: str, name: str = "", **options: Any) -> Client:
        return Client(f"{self._running.url}/mcp" + (f"/{name}" if name else ""), mode=MODES[era], **options)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path, BEFORE) as running:
        running.wait_servers("a", "b", "c")
        yield running


def models(hub: Program) -> set[str]:
    listed = httpx.get(f"{hub.url}/v1/models", trust_env=False).json()["data"]
    return {model["id"] for model in listed}


async def names(hub: Program, era: str) -> set[str]:
    async with Connected(hub).client(era) as client:
        tools = {tool.name.partition("_") for tool in (await client.list_tools()).tools}
    own = ("ask", "compare", "list", "switch", "explain")
    return {server for server, _, name in tools if server not in own}


async def test_a_save_reaches_everyone_it_concerns_once_within_two_seconds(hub: Program) -> None:
    pids = {row["name"]: row["pid"] for row in hub.status()["servers"]}
    async with AsyncExitStack() as stack:
        heard = {
            (era, name): await stack.enter_async_context(listening(Connected(hub), era, name))
            for era in ERAS
            for name in ("", "only_a", "only_b")
        }
        await asyncio.sleep(QUIET_SECONDS)
        for messages in heard.values():
            messages.clear()
        saved = time.monotonic()
        hub.save(AFTER)
        concerned = [messages for (_, name), messages in heard.items() if name != "only_a"]
        await until(lambda: all("tools" in messages for messages in concerned), 2)
        assert time.monotonic() - saved < 2
        await asyncio.sleep(QUIET_SECONDS)
        for (era, name), messages in heard.items():
            if name == "only_a":
                assert messages == [], (era, name)
            else:
                assert len(messages) == len(set(messages)), (era, name)
                assert "tools" in messages
    assert await names(hub, "legacy") == await names(hub, "modern") == {"a", "b", "d"}
    assert models(hub) == {"one", "two"}
    now = {row["name"]: row["pid"] for row in hub.status()["servers"]}
    assert now["a"] == pids["a"], "an unchanged server keeps its process"
    assert now["b"] != pids["b"]
    await until(lambda: not alive(pids["c"]))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("mcpServers: [", "hub.yaml"),
        ("groups: {one: {provider: nowhere, modell: m}}", "modell"),
        ("mcpServers: {a: {command: x, url: 'http://127.0.0.1'}}", "url"),
    ],
)
async def test_a_broken_save_changes_nothing_and_says_why(hub: Program, broken: str, reason: str) -> None:
    before = hub.status()
    async with listening(Connected(hub), "legacy") as legacy, listening(Connected(hub), "modern") as modern:
        await asyncio.sleep(QUIET_SECONDS)
        del legacy[:], modern[:]
        hub.save(broken)
        await until(lambda: hub.status()["settings"]["state"] == "refused", 2)
        await asyncio.sleep(QUIET_SECONDS)
        assert legacy == modern == []
    after = hub.status()
    assert after["groups"] == before["groups"]
    assert [row["pid"] for row in after["servers"]] == [row["pid"] for row in before["servers"]]
    assert reason in hub.log
    hub.save(AFTER)
    await until(lambda: hub.status()["settings"]["state"] == "ok", 2)
    assert models(hub) == {"one", "two"}


def test_the_default_group_can_be_switched_and_outlives_a_restart(tmp_path: Path) -> None:
    with program(tmp_path, AFTER) as hub:
        assert hub.status()["active_group"] == "one"
        answer = httpx.post(f"{hub.url}/hub/v1/switch", json={"group": "two"}, trust_env=False)
        assert answer.json() == {"active_group": "two"}
        refused = httpx.post(f"{hub.url}/hub/v1/switch", json={"group": "twoo"}, trust_env=False)
        assert refused.status_code == 404
        assert "did you mean `two`" in refused.text
    with program(tmp_path, AFTER) as hub:
        assert hub.status()["active_group"] == "two"


def test_nothing_is_left_after_kill_9(hub: Program) -> None:
    """The servers' processes end within three seconds, though the hub could not tell them."""
    left = children(hub.process.pid)
    assert len(left) >= 3
    hub.process.kill()
    hub.process.wait()
    deadline = time.monotonic() + 3
    while any(alive(pid) for pid in left):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_ends_cleanly_and_soon(hub: Program) -> None:
    left = children(hub.process.pid)
    started = time.monotonic()
    assert hub.stop() == 0
    assert time.monotonic() - started < 3.5
    assert not any(alive(pid) for pid in left)
    assert "Traceback" not in hub.log
