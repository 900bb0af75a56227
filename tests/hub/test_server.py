"""The socket that the hub listens on, and what it does to the connections that it accepts."""

from __future__ import annotations

import asyncio
import resource
import socket
import time

import pytest

from hub.server import allow_many_files, bind, give_up_on_silent_clients


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone can do it")
@pytest.mark.parametrize("reads", [False, True])
async def test_a_client_that_never_reads_is_given_up(reads: bool) -> None:
    """One that reads slowly is not."""
    lost = asyncio.Event()
    piece, most = b"x" * 65_536, 40_000_000

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(most // len(piece)):
                writer.write(piece)
                await writer.drain()
        except OSError:
            lost.set()
        finally:
            writer.transport.abort()

    listener = bind("127.0.0.1", 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    give_up_on_silent_clients(listener, 0.5)
    server = await asyncio.start_server(flood, sock=listener)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, listener.getsockname())
        if reads:
            began, size = time.monotonic(), 0
            while time.monotonic() - began < 1.5:
                size += len(await loop.sock_recv(client, 65_536))
                await asyncio.sleep(0.05)  # a slow reader: this is what is tested
            assert size > 0
            assert not lost.is_set()
        else:
            async with asyncio.timeout(10):
                await lost.wait()
    server.close()


def test_as_many_files_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(before[1], 65_536), before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
