"""`hub connect`: the official client on the near end, the hub on the far end, both eras."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any, Literal

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

from tests.hub.cli.conftest import EXAMPLE_SERVER, HUB, Cli, RunningHub, serving
from tests.hub.cli.test_tools import NAMES, OWN, _once_ready

Mode = Literal["legacy", "auto"]
ERAS: list[Mode] = ["legacy", "auto"]


def client(cli: Cli, mode: Mode, *arguments: str) -> Client:
    command = StdioServerParameters(
        command=HUB, args=["connect", *arguments], env=cli.environ, cwd=cli.folder
    )
    return Client(stdio_client(command), mode=mode)


@pytest.fixture
def at_hub(shared: tuple[Cli, RunningHub]) -> Cli:
    return _once_ready(shared[0])


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], [*NAMES, *OWN]),
        (["narrow"], ["example_add"]),
        (["example"], [name.removeprefix("example_") for name in NAMES]),
    ],
    ids=["everything", "profile", "server"],
)
async def test_tools(at_hub: Cli, mode: Mode, arguments: list[str], names: list[str]) -> None:
    async with client(at_hub, mode, *arguments) as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == names
        add = next(name for name in names if name.endswith("add"))
        result = await session.call_tool(add, {"a": 1, "b": 2})
        assert result.content[0].text == "3"


@pytest.mark.parametrize("mode", ERAS)
async def test_progress_and_errors_come_through(at_hub: Cli, mode: Mode) -> None:
    seen: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, total))

    async with client(at_hub, mode) as session:
        result = await session.call_tool("example_count", {"to": 3}, progress_callback=progress)
        assert result.content[0].text == "done"
        assert seen == [(1, 3), (2, 3), (3, 3)]
        assert (await session.call_tool("example_fail", {})).is_error
        with pytest.raises(MCPError, match="nknown tool"):
            await session.call_tool("example_nothing", {})


@pytest.mark.parametrize("mode", ERAS)
async def test_a_missing_endpoint_is_an_error_of_the_protocol(at_hub: Cli, mode: Mode) -> None:
    with pytest.raises((MCPError, BaseExceptionGroup)) as caught:
        async with client(at_hub, mode, "nothing"):
            pass
    assert "there is no MCP endpoint 'nothing'" in _texts(caught.value)


def _texts(error: BaseException) -> str:
    inner = "".join(_texts(one) for one in error.exceptions) if isinstance(error, BaseExceptionGroup) else ""
    return str(error) + inner


def test_raw_lines(at_hub: Cli) -> None:
    """Every request gets exactly one answer under its own id; what is no JSON gets one without."""
    lines = ["nonsense", "", '{"jsonrpc": "2.0", "id": "a", "method": "ping"}']
    outcome = at_hub("connect", stdin="\n".join(lines) + "\n")
    answers = [json.loads(line) for line in outcome.out.splitlines()]
    assert [answer["id"] for answer in answers] == [None, "a"]
    assert answers[0]["error"]["code"] == -32700
    assert outcome.status == 0


def test_without_a_hub_every_request_is_answered(cli: Cli) -> None:
    outcome = cli("connect", "--port", "1", stdin='{"jsonrpc":"2.0","id":7,"method":"ping"}\n')
    answer = json.loads(outcome.out)
    assert answer["id"] == 7
    assert answer["error"]["message"] == "no hub runs at http://127.0.0.1:1; start one: hub serve"


class Lines:
    """A client of the older era by hand, to see each line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.others: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        await self._process.stdin.drain()

    async def receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        received: dict[str, Any] = json.loads(line)
        return received

    async def ask(self, number: int, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        await self.send({"id": number, "method": method, "params": params or {}})
        while (message := await self.receive()).get("id") != number:
            self.others.append(message)
        return message


async def test_a_restarted_hub_goes_unnoticed(cli: Cli) -> None:
    """The session is opened anew, the client hears that lists may have changed, and calls go on."""
    settings = {"mcpServers": {"example": {"command": "${HUB_PYTHON}", "args": [EXAMPLE_SERVER]}}}
    cli.write(settings)
    with serving(cli, errors=subprocess.DEVNULL) as first:
        port = first.port
        process = await asyncio.create_subprocess_exec(
            HUB,
            "connect",
            "--port",
            port,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=cli.folder,
            env=cli.environ,
        )
        lines = Lines(process)
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        assert "result" in await lines.ask(1, "initialize", hello)
        await lines.send({"method": "notifications/initialized"})
        assert "result" in await lines.ask(2, "tools/list")
    lines.others.clear()
    settings["mcpServers"]["second"] = settings["mcpServers"]["example"]
    cli.write(settings)
    with serving(cli, port=port, errors=subprocess.DEVNULL):
        listed: set[str] = set()
        number = 10
        while not {"example_add", "second_add"} <= listed:
            number += 1
            answer = await lines.ask(number, "tools/list")
            listed = {tool["name"] for tool in answer["result"]["tools"]}
        assert {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"} in lines.others
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 15) == 0


def test_a_gone_client_ends_it(at_hub: Cli) -> None:
    process = at_hub.start("connect", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()  # type: ignore[union-attr]
