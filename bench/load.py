"""A lean HTTP/1.1 load generator: some connections, each asking again as soon as it is answered."""

from __future__ import annotations

import asyncio
import time

import httptools


class _Connection(asyncio.Protocol):
    """Sends `request` again and again until `until`; counts whole answers and their bytes."""

    def __init__(self, request: bytes, until: float, expected: bytes) -> None:
        self._request, self._until, self._expected = request, until, expected
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self.answers = 0
        self.wrong = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body, self._body = b"".join(self._body), []
        if self._parser.get_status_code() != 200 or self._expected not in body:
            self.wrong += 1
        self.answers += 1
        if time.perf_counter() >= self._until:
            self._transport.close()
            return
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def hammer(
    port: int, path: str, body: bytes, *, connections: int, seconds: float, expected: bytes
) -> float:
    """Whole, right answers per second. Raises if any answer was wrong."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    started = time.perf_counter()

    def connection() -> _Connection:
        return _Connection(head.encode() + body, started + seconds, expected)

    loop = asyncio.get_running_loop()
    running = [(await loop.create_connection(connection, "127.0.0.1", port))[1] for _ in range(connections)]
    await asyncio.gather(*(one.done for one in running))
    took = time.perf_counter() - started
    wrong = sum(one.wrong for one in running)
    if wrong:
        raise RuntimeError(f"{wrong} wrong answers from port {port}")
    return sum(one.answers for one in running) / took
