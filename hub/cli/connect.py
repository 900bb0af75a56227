"""`hub connect`: the hub for clients that can only start a program."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from urllib.parse import quote

from hub.cli.bridge import Bridge
from hub.cli.client import find
from hub.cli.options import Reach


def connect(name: str | None = None, /, *, reach: Reach = Reach()) -> int:  # noqa: B008 - frozen
    """Offer an MCP endpoint of the running hub on standard input and output.

    For MCP clients that start programs and cannot use an address, such as Claude Desktop.

    Parameters
    ----------
    name
        A profile or a server; absent: everything.
    """
    address = find(reach)
    path = "/mcp" if name is None else f"/mcp/{quote(name, safe='')}"
    asyncio.run(_bridge(address.url + path, address.headers))
    return 0


async def _bridge(url: str, headers: dict[str, str]) -> None:
    async with Bridge(url, headers, _write) as bridge:
        async for line in _lines_of_input():
            await bridge.take(line)


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def _lines_of_input() -> AsyncIterator[bytes]:
    """Lines of standard input, whatever it is: read by a thread that does not keep the process alive."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        try:
            for line in iter(sys.stdin.buffer.readline, b""):
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, b"")
        except RuntimeError:  # the loop has ended before the input
            return

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        yield line
