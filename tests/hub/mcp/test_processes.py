"""Child processes: their environment, their log, their death, and the hub's."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from hub.settings.mcp import McpServerSettings
from tests.hub.mcp.harness import (
    ERAS,
    EVERYTHING,
    alive,
    children,
    json_of,
    running,
    stdio,
    text_of,
    until,
)

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("downstream", ERAS)
@pytest.mark.parametrize("era", ERAS)
async def test_after_kill_9_the_next_call_works(downstream: str, era: str) -> None:
    async with running({"x": stdio("--era", downstream)}) as hub, hub.client(era) as client:
        for _ in range(3):
            pid = int(text_of(await client.call_tool("x_pid")))
            os.kill(pid, signal.SIGKILL)
            # Not marked as safe to repeat: it must not depend on a second try.
            assert text_of(await client.call_tool("x_verbatim", {"a": 1})) == '{"a": 1}'
            assert int(text_of(await client.call_tool("x_pid"))) != pid
        (row,) = hub.hub.status()
        assert (row.state, row.restarts, row.reason) == ("ready", 3, None)
        assert len((await client.list_tools()).tools) == row.tools


async def test_a_call_that_was_under_way_at_the_crash_is_not_sent_twice() -> None:
    async with running({"x": stdio()}) as hub, hub.client("modern") as client:
        pid = int(text_of(await client.call_tool("x_pid")))
        slow = asyncio.create_task(client.call_tool("x_slow", {"seconds": 20}))
        await until(lambda: hub.hub._servers["x"]._session.calls)  # type: ignore[union-attr]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(MCPError, match="the connection to 'x' ended while it worked"):
            await slow
        assert text_of(await client.call_tool("x_echo", {"text": "again"})) == "again"


async def test_a_child_gets_its_settings_and_a_safe_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-hub")
    monkeypatch.setenv("HUB_SECRET", "also-of-the-hub")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    async with running({"x": stdio(env={"OWN_TOKEN": "own-secret"})}) as hub:
        seen = json_of(await hub.hub.call_tool("x_env", {}))
    assert seen["OWN_TOKEN"] == "own-secret"
    assert {"PATH", "HOME", "LC_ALL"} <= set(seen)
    assert not [value for value in seen.values() if "of-the-hub" in value]


async def test_stderr_is_logged_under_the_servers_name_without_its_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    program = "import os, sys; print('token is', os.environ['OWN_TOKEN'], file=sys.stderr); sys.exit(3)"
    settings = McpServerSettings.model_validate(
        {"command": sys.executable, "args": ["-c", program], "env": {"OWN_TOKEN": "own-secret"}}
    )
    with caplog.at_level(logging.INFO):
        async with running({"crasher": settings}) as hub:
            (row,) = hub.hub.status()
            await until(lambda: "token is" in caplog.text)
    lines = [record.getMessage() for record in caplog.records if record.name == "hub.server.crasher"]
    assert "token is ***" in lines
    assert "own-secret" not in caplog.text
    assert row.state == "failed"
    assert "its process exited with status 3" in (row.reason or "")


async def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    servers = {
        "missing": McpServerSettings(command="no-such-program-anywhere"),
        "folder": McpServerSettings(command=sys.executable, cwd=tmp_path / "none"),
        "off": McpServerSettings(command=sys.executable, disabled=True),
        "refused": McpServerSettings(url="http://127.0.0.1:9/mcp"),
        "mute": McpServerSettings(
            command=sys.executable, args=("-c", "import sys; sys.stdin.read()"), start_timeout=0.5
        ),
        "good": stdio(),
    }
    async with running(servers) as hub, hub.client("modern") as client:
        rows = {row.name: row for row in hub.hub.status()}
        with pytest.raises(MCPError, match=r"Unknown tool: missing_x \(server 'missing' is failed: command"):
            await client.call_tool("missing_x")
        assert text_of(await client.call_tool("good_echo", {"text": "1"})) == "1"
    states = {name: row.state for name, row in rows.items()}
    assert states == {
        "missing": "failed",
        "folder": "failed",
        "off": "disabled",
        "refused": "failed",
        "mute": "failed",
        "good": "ready",
    }
    assert "'no-such-program-anywhere' was not found on PATH" in (rows["missing"].reason or "")
    assert "`cwd`" in (rows["folder"].reason or "")
    assert "cannot connect to http://127.0.0.1:9/mcp" in (rows["refused"].reason or "")
    assert "start timeout" in (rows["mute"].reason or "")


async def test_one_of_twenty_hangs_and_the_others_are_there_within_two_seconds() -> None:
    """Starting Python twenty times takes longer than that here, so the others are over HTTP: one process."""
    from tests.hub.mcp.harness import remote

    hanging = McpServerSettings(command=sys.executable, args=("-c", "import time; time.sleep(600)"))
    with remote("http") as settings:
        servers = {f"s{n}": settings for n in range(19)} | {"hanging": hanging}
        async with (
            running(servers, settle=0) as hub,
            hub.client("legacy") as old,
            hub.client("modern") as new,
        ):
            await until(lambda: sum(row.state == "ready" for row in hub.hub.status()) == 19, seconds=2)
            for client in (old, new):
                names = {tool.name for tool in (await client.list_tools()).tools}
                assert {f"s{n}_echo" for n in range(19)} <= names
            assert {row.name for row in hub.hub.status() if row.state == "starting"} == {"hanging"}
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 3


STUBBORN = """
import signal, subprocess, sys, runpy
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
sys.argv = [sys.argv[1], "stdio"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    import time; time.sleep(600)
"""  # noqa: E501
"""Ignores SIGTERM and the end of its input, and has a child that does too."""


def stubborn() -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-c", STUBBORN, str(EVERYTHING)]}


@pytest.fixture
def program() -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A process that runs a hub with an ordinary and a stubborn server, and all descendants of it."""
    servers = {"plain": stdio().model_dump(mode="json", exclude_defaults=True), "stubborn": stubborn()}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hub.mcp.run_hub", json.dumps(servers)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["port"]
        family = children(process.pid)
        assert len(family) >= 4, "two servers, one grandchild, the watchdog"
        try:
            yield process, family
        finally:
            process.kill()
            for pid in family:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_no_child_is_left_three_seconds_after_the_hub(
    program: tuple[subprocess.Popen[str], set[int]], number: signal.Signals
) -> None:
    process, family = program
    process.send_signal(number)
    process.wait(timeout=8)
    ended = time.monotonic()
    while any(alive(pid) for pid in family):
        assert time.monotonic() - ended < 3, {pid for pid in family if alive(pid)}
        time.sleep(0.02)


async def test_stopping_takes_at_most_three_seconds_even_for_the_stubborn() -> None:
    async with running({"stubborn": McpServerSettings.model_validate(stubborn())}) as hub:
        (row,) = hub.hub.status()
        assert row.pid is not None
        family = {row.pid} | children(row.pid)
        assert len(family) == 2
        began = time.monotonic()
    assert time.monotonic() - began < 3.5, "three seconds, and the end of the test's own web server"
    assert not any(alive(pid) for pid in family)
