"""An upstream on a raw socket that says what a test tells it to, byte by byte."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Connection:
    """What a script writes to; `gone` is set when the other side has closed."""

    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(
        self, status: int = 200, headers: Mapping[str, str] | None = None, *, chunked: bool = True
    ) -> None:
        lines = [f"HTTP/1.1 {status} Scripted"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if chunked:
            lines.append("transfer-encoding: chunked")
        await self.write("\r\n".join((*lines, "", "")).encode())

    async def chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.write(b"0\r\n\r\n")

    def abort(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Received, Connection], Awaitable[None]]


class ScriptedUpstream:
    """Runs `script` for every request; `requests` are those that came."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Received] = []
        self.connections: list[Connection] = []
        self.sockets = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sockets += 1
        try:
            while (received := await _read_request(reader)) is not None:
                connection = Connection(writer)
                self.requests.append(received)
                self.connections.append(connection)
                watching = asyncio.create_task(_watch(reader, connection))
                try:
                    await self.script(received, connection)
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
                if writer.is_closing() or connection.gone.is_set():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _watch(reader: asyncio.StreamReader, connection: Connection) -> None:
    # No client here sends two requests at once: whatever wakes this before the answer's end is the end.
    while not reader.at_eof() and reader.exception() is None:
        await reader._wait_for_data("watch")  # type: ignore[attr-defined]
        if reader._buffer:  # type: ignore[attr-defined]
            return
    connection.gone.set()


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, target, headers, body)


@asynccontextmanager
async def scripted(
    script: Script, *, tls: ssl.SSLContext | None = None, listener: socket.socket | None = None
) -> AsyncIterator[ScriptedUpstream]:
    upstream = ScriptedUpstream(script)
    where: dict[str, Any] = {"sock": listener} if listener else {"host": "127.0.0.1", "port": 0}
    server = await asyncio.start_server(upstream.serve, ssl=tls, **where)
    scheme = "https" if tls is not None else "http"
    upstream.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for connection in upstream.connections:
            connection.abort()


# ---------------------------------------------------------------- ready-made scripts


def answers(
    body: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> Script:
    """The same whole answer to every request. `body`: bytes as they are, else JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def script(_: Received, connection: Connection) -> None:
        sized = {"content-type": content_type, "content-length": str(len(data)), **(headers or {})}
        await connection.head(status, sized, chunked=False)
        await connection.write(data)

    return script


def streams(
    *pieces: bytes,
    content_type: str = "text/event-stream",
    cut: bool = False,
    stall: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Script:
    """These chunks; then the end, a broken connection, or silence until the other side leaves."""

    async def script(_: Received, connection: Connection) -> None:
        await connection.head(200, {"content-type": content_type, **(headers or {})})
        for piece in pieces:
            await connection.chunk(piece)
        if stall:
            await connection.gone.wait()
        elif cut:
            connection.abort()
        else:
            await connection.end()

    return script
