"""An HTTP proxy: CONNECT for TLS, whole URLs for the rest."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """`asked` are the first lines of what came; with `user` it asks for `user:password`."""

    def __init__(self, user: str | None = None, status: int | None = None) -> None:
        self._wanted = f"Basic {base64.b64encode(user.encode()).decode()}" if user is not None else None
        self._status = status
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.asked.append(first)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = self._status
        if self._wanted is not None and headers.get("proxy-authorization") != self._wanted:
            status = 407
        if status is not None:
            writer.write(f"HTTP/1.1 {status} Refused\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        method, target, _ = first.split(" ")
        tunnel = method == "CONNECT"
        address = urlsplit(f"//{target}" if tunnel else target)
        theirs, ours = await asyncio.open_connection(address.hostname, address.port)
        if tunnel:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            kept = "\r\n".join(line for line in lines if not line.lower().startswith("proxy-"))
            ours.write(f"{method} {address.path} HTTP/1.1\r\n{kept}".encode("latin-1"))
        try:
            await asyncio.gather(_pump(reader, ours), _pump(theirs, writer))
        finally:
            ours.close()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def proxying(user: str | None = None, status: int | None = None) -> AsyncIterator[Proxy]:
    proxy = Proxy(user, status)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
