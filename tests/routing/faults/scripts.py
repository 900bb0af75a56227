"""How an upstream fails, byte by byte. A script gets the request, its connection and what was expected."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.routing.samples import Sample, error_of
from tests.routing.scripted_upstream import Connection

NO = "the upstream says no"
"""What errors that the upstream tells say."""


@dataclass
class Expected:
    """What a target should have answered, and when its client has got the beginning of it."""

    sample: Sample
    stream: bool
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def head(self) -> dict[str, str]:
        return {"content-type": self.sample.stream_type if self.stream else "application/json"}

    @property
    def whole(self) -> bytes:
        return b"".join(self.sample.stream) if self.stream else json.dumps(self.sample.answer).encode()

    @property
    def half(self) -> bytes:
        """Of a stream whole events."""
        if self.stream:
            return b"".join(self.sample.stream[: max(1, len(self.sample.stream) // 2)])
        return self.whole[: len(self.whole) // 2]

    async def has_begun(self) -> None:
        """A client that wants a whole answer gets nothing of a half one."""
        if self.stream:
            await self.begun.wait()


Script = Callable[[Expected, Connection], Awaitable[None]]


async def good(expected: Expected, connection: Connection) -> None:
    body = expected.whole
    await connection.head(200, {**expected.head, "content-length": str(len(body))}, chunked=False)
    await connection.write(body)


# ---------------------------------------------------------------- before the answer's head


async def reset(_: Expected, connection: Connection) -> None:
    connection.abort()


async def close(_: Expected, connection: Connection) -> None:
    connection.writer.close()


async def silent(_: Expected, connection: Connection) -> None:
    await connection.gone.wait()


def raw(data: bytes) -> Script:
    """These bytes, and the end of the connection."""

    async def script(_: Expected, connection: Connection) -> None:
        await connection.write(data)
        connection.writer.close()

    return script


def after(data: bytes) -> Script:
    """These bytes, and then a good answer."""

    async def script(expected: Expected, connection: Connection) -> None:
        await connection.write(data)
        await good(expected, connection)

    return script


async def half_a_head(expected: Expected, connection: Connection) -> None:
    await connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-more")
    connection.writer.close()


# ---------------------------------------------------------------- after the head


def after_head(then: Script) -> Script:
    async def script(expected: Expected, connection: Connection) -> None:
        await connection.head(200, expected.head)
        await then(expected, connection)

    return script


def after_half(then: Script) -> Script:
    async def script(expected: Expected, connection: Connection) -> None:
        await connection.head(200, expected.head)
        await connection.chunk(expected.half)
        await expected.has_begun()
        await then(expected, connection)

    return script


async def end(_: Expected, connection: Connection) -> None:
    await connection.end()


async def half_a_chunk(expected: Expected, connection: Connection) -> None:
    await connection.head(200, expected.head)
    await connection.write(b"%x\r\n%s" % (len(expected.half) + 100, expected.half))
    await expected.has_begun()
    connection.writer.close()


async def bad_chunk(expected: Expected, connection: Connection) -> None:
    await connection.head(200, expected.head)
    await connection.chunk(expected.half)
    await expected.has_begun()
    await connection.write(b"not a number\r\n")
    await connection.gone.wait()


async def too_short(expected: Expected, connection: Connection) -> None:
    length = str(len(expected.whole))
    await connection.head(200, {**expected.head, "content-length": length}, chunked=False)
    await connection.write(expected.half)
    await expected.has_begun()
    connection.writer.close()


async def drip(expected: Expected, connection: Connection) -> None:
    """A byte at a time, as fast as they are taken."""
    await connection.head(200, expected.head)
    for byte in expected.whole:
        await connection.chunk(bytes([byte]))
    await connection.end()


async def endless(expected: Expected, connection: Connection) -> None:
    """Half an answer, and then whitespace for as long as anybody listens: never silent, never done."""
    await connection.head(200, expected.head)
    await connection.chunk(expected.half)
    await expected.has_begun()
    while not connection.gone.is_set():
        await connection.chunk(b"\n")
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------- something else than was asked for


def says(body: bytes, content_type: str, status: int = 200, **headers: str) -> Script:
    async def script(_: Expected, connection: Connection) -> None:
        sized = {"content-type": content_type, "content-length": str(len(body)), **headers}
        await connection.head(status, sized, chunked=False)
        await connection.write(body)

    return script


async def other_kind(expected: Expected, connection: Connection) -> None:
    """JSON where a stream was asked for, and the reverse."""
    await good(Expected(expected.sample, not expected.stream), connection)


async def error_in_200(expected: Expected, connection: Connection) -> None:
    error = error_of(expected.sample, NO)
    if expected.sample.protocol == "gemini":
        error["error"] |= {"code": 503, "status": "UNAVAILABLE"}
    await says(json.dumps(error).encode(), "application/json")(expected, connection)


async def error_first(expected: Expected, connection: Connection) -> None:
    """A stream that begins with an error."""
    if not expected.stream:
        await error_in_200(expected, connection)
        return
    await says(expected.sample.stream_error, expected.sample.stream_type)(expected, connection)


def status(code: int, **headers: str) -> Script:
    """An error in the upstream's own protocol."""

    async def script(expected: Expected, connection: Connection) -> None:
        error = error_of(expected.sample, NO)
        if expected.sample.protocol == "gemini":
            error["error"] |= {"code": code, "status": "UNKNOWN"}
        body = json.dumps(error).encode()
        await says(body, "application/json", code, **headers)(expected, connection)

    return script


async def error_in_gzip(expected: Expected, connection: Connection) -> None:
    body = gzip.compress(json.dumps(error_of(expected.sample, NO)).encode())
    await says(body, "application/json", 500, **{"content-encoding": "gzip"})(expected, connection)


async def half_an_error(expected: Expected, connection: Connection) -> None:
    head = {"content-type": "application/json", "content-length": "500"}
    await connection.head(500, head, chunked=False)
    await connection.write(b'{"error": ')
    connection.abort()
