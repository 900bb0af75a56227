"""What is told of each tool call: who, which tool, how it went. Never what was said."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import suppress

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from hub.settings.mcp import ProfileSettings
from hub.usage.records import ToolRecord
from tests.hub.mcp.harness import ERAS, running, stdio, text_of

IDE = types.Implementation(name="an-ide", version="1")


@pytest.mark.parametrize("era", ERAS)
async def test_each_call_is_told_once(era: str) -> None:
    told: list[ToolRecord] = []
    before = time.time()
    async with (
        running({"one": stdio()}, {"desk": ProfileSettings(servers=("one",))}, sink=told.append) as hub,
        hub.client(era, "desk", client_info=IDE) as client,
    ):
        await client.list_tools()
        assert told == [], "listing is no call"
        answer = await client.call_tool("one_echo", {"text": "planted words"})
        with pytest.raises(MCPError):
            await client.call_tool("one_fail", {})
        with suppress(MCPError):
            await client.call_tool("one_nowhere", {})
    echo, fail, unknown = told
    assert (echo.server, echo.tool, echo.profile, echo.client) == ("one", "echo", "desk", "an-ide")
    assert (echo.caller, echo.error_kind) == ("", None)
    assert echo.bytes_in == len(b'{"text":"planted words"}')
    assert echo.bytes_out > len(text_of(answer))
    assert before - 1 < echo.time < time.time()
    assert 0 < echo.duration < 20
    assert (fail.tool, fail.error_kind, fail.bytes_out) == ("fail", "refused", 0)
    assert (unknown.server, unknown.tool, unknown.error_kind) == ("", "", "refused")
    assert "planted words" not in repr(told)


async def test_a_server_that_dies_in_a_call() -> None:
    told: list[ToolRecord] = []
    async with running({"one": stdio()}, sink=told.append) as hub, hub.client("modern") as client:
        pid = int(text_of(await client.call_tool("one_pid", {})))
        call = asyncio.create_task(client.call_tool("one_slow", {"seconds": 30}))
        async with asyncio.timeout(20):
            while text_of(await client.call_tool("one_cancelled", {})) != "0 of 1":
                pass  # the call is not there yet
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(MCPError):
            await call
    found = [(record.tool, record.error_kind) for record in told if record.tool != "cancelled"]
    assert found == [("pid", None), ("slow", "unavailable")]


async def test_an_error_of_the_tool_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[ToolRecord] = []
    async with running({"one": stdio()}, sink=told.append) as hub:

        async def failing(*_: object) -> dict[str, object]:
            return {"content": [{"type": "text", "text": "it did not work"}], "isError": True}

        monkeypatch.setattr(hub.hub, "request", failing)
        async with hub.client("legacy") as client:
            assert (await client.call_tool("one_echo", {"text": ""})).is_error
    (record,) = told
    assert (record.tool, record.error_kind) == ("echo", "tool")
    document = {"content": [{"type": "text", "text": "it did not work"}], "isError": True}
    assert record.bytes_out == len(json.dumps(document, separators=(",", ":")))
