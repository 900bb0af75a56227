"""What goes back to a client: heads, whole bodies, streams, and errors in the client's own shape."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.canonical import ChatError
from adapters.codec import Codec
from adapters.jsontext import dump_bytes
from routing.plan import header_value
from routing.redact import Redactor

Headers = list[tuple[bytes, bytes]]

JSON_TYPE = (b"content-type", b"application/json")
STREAM_HEADERS: Headers = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
"""Proxies on the way shall hold nothing back."""

_FORWARDED = (
    "retry-after",
    "x-ratelimit-",
    "ratelimit",
    "anthropic-",
    "openai-",
    "x-openai-",
    "x-codex-",
    "x-should-retry",
    "request-id",
)
"""Beginnings of the names of an upstream's headers that clients read: limits, ids, hints to retry."""
_MOST_NAMES = 1000
_LONGEST_LOSSES = 2000


class StreamBroken(Exception):
    """The answer cannot be completed, and the client must not take it for complete."""


class HeldStream(AsyncGenerator[bytes, None]):
    """A stream that tells its end, also if it is closed before its first piece was asked for."""

    __slots__ = ("_end", "_stream")

    def __init__(self, stream: AsyncGenerator[bytes, None], end: Callable[[], None]) -> None:
        self._stream = stream
        self._end = end

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """The stream itself: nothing stands between its pieces and their reader."""
        return self._stream

    def __anext__(self) -> Coroutine[Any, Any, bytes]:
        return self._stream.__anext__()

    async def asend(self, value: None) -> bytes:
        return await self._stream.asend(value)

    async def athrow(self, *error: Any) -> bytes:
        return await self._stream.athrow(*error)

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._end()


@dataclass(slots=True)
class Answer:
    """`stream` instead of `body` where the answer comes piece by piece; it has to be closed."""

    status: int
    headers: Headers
    body: bytes = b""
    stream: AsyncGenerator[bytes, None] | None = field(default=None)


_names: dict[str, bytes | None] = {}


def forwarded(headers: Mapping[str, str], redactor: Redactor) -> Headers:
    """Those of an upstream's headers that go on to the client."""
    found: Headers = []
    for name, value in headers.items():
        try:
            encoded = _names[name]
        except KeyError:
            encoded = name.encode("ascii", "replace") if name.startswith(_FORWARDED) else None
            if len(_names) < _MOST_NAMES:
                _names[name] = encoded
        if encoded is not None:
            found.append((encoded, redactor.data(header_value(value))))
    return found


def losses_header(codes: Iterable[str]) -> Headers:
    text = ", ".join(codes)
    return [(b"x-hub-losses", header_value(text[:_LONGEST_LOSSES]))] if text else []


def json_answer(status: int, headers: Headers, body: bytes) -> Answer:
    return Answer(status, [JSON_TYPE, *headers, (b"content-length", b"%d" % len(body))], body)


def error_answer(codec: Codec, error: ChatError, headers: Headers) -> Answer:
    """`error` in the shape of the codec's protocol, with `retry-after` where a time is known."""
    status, document = codec.encode_error(error)
    if error.retry_after is not None and not any(name == b"retry-after" for name, _ in headers):
        headers = [*headers, (b"retry-after", b"%d" % max(0, math.ceil(error.retry_after)))]
    return json_answer(status, headers, dump_bytes(document))
