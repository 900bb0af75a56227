"""MCP through the hub, against the same server asked directly."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from bench.processes import ROOT, Server, free_port


@dataclass(frozen=True)
class Row:
    """Milliseconds for each request, medians; `ratio` is hub over direct."""

    name: str
    hub: float
    direct: float
    ratio: float


Action = Callable[[Client], Awaitable[object]]


async def _timed(client: Client, action: Action) -> float:
    started = time.perf_counter()
    await action(client)
    return (time.perf_counter() - started) * 1e3


async def _compare(
    name: str, hub: Client, direct: Client, action: Action, direct_action: Action, count: int
) -> Row:
    pairs = []
    for number in range(count + 5):
        pair = (await _timed(hub, action), await _timed(direct, direct_action))
        if number >= 5:  # the first ones warm up
            pairs.append(pair)
    medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
    return Row(name, medians[0], medians[1], statistics.median(a / b for a, b in pairs))


def _call(tool: str) -> Action:
    async def call(client: Client) -> object:
        result = await client.call_tool(tool, {"text": "hi"})
        assert result.content[0].text == "hi"
        return result

    return call


async def _list(client: Client) -> object:
    tools = await client.list_tools()
    assert len(tools) == 10
    return tools


async def _measure(hub_url: str, http_url: str, count: int) -> list[Row]:
    stdio = StdioTransport(sys.executable, ["-m", "bench.servers.tools", "stdio"], cwd=str(ROOT))
    async with AsyncExitStack() as stack:
        hub_stdio, hub_http, direct_stdio, direct_http = [
            await stack.enter_async_context(Client(where))
            for where in (f"{hub_url}/a", f"{hub_url}/b", stdio, http_url)
        ]
        rows = []
        for kind, hub, direct in (
            ("stdio", hub_stdio, direct_stdio),
            ("Streamable HTTP", hub_http, direct_http),
        ):
            rows.append(await _compare(f"tools/list, {kind} server", hub, direct, _list, _list, count))
            rows.append(
                await _compare(f"tools/call, {kind} server", hub, direct, _call("echo"), _call("echo"), count)
            )
        return rows


def run(*, count: int) -> Iterator[Row]:
    with ExitStack() as stack, TemporaryDirectory() as folder:
        http = free_port()
        stack.enter_context(Server("tools", "-m", "bench.servers.tools", str(http), port=http))
        http_url = f"http://127.0.0.1:{http}/mcp"
        settings = {
            "mcpServers": {
                "a": {
                    "command": sys.executable,
                    "args": ["-m", "bench.servers.tools", "stdio"],
                    "cwd": str(ROOT),
                },
                "b": {"url": http_url},
            }
        }
        file = Path(folder) / "hub.yaml"
        file.write_text(json.dumps(settings))
        port = free_port()
        stack.enter_context(
            Server("hub", "-m", "hub", "serve", "--config", str(file), "--port", str(port), port=port)
        )
        _wait_for_tools(port)
        yield from asyncio.run(_measure(f"http://127.0.0.1:{port}/mcp", http_url, count))


def _wait_for_tools(port: int) -> None:
    """Until both servers are up behind the hub."""
    import httpx

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        servers = httpx.get(f"http://127.0.0.1:{port}/hub/v1/status").json()["servers"]
        if all(server["state"] == "ready" for server in servers):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the hub's servers did not come up: {servers}")
