"""Reading a request's body: within a size, within the memory for all bodies, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from adapters.canonical import ChatError
from routing.gate import Full, Gate

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Gone(Exception):
    """The client went away before its request was whole."""


class Unreadable(Exception):
    def __init__(self, error: ChatError) -> None:
        super().__init__(error.message)
        self.error = error


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int, gate: Gate) -> bytes:
    """The whole body; its bytes are held in `gate` and have to be released. Raises Gone, Unreadable."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    encoding = headers.get(b"content-encoding", b"identity").lower()
    if encoding not in (b"identity", b""):
        name = encoding.decode("ascii", "replace")
        told = f"content-encoding `{name}` is not understood: send the body uncompressed"
        raise Unreadable(ChatError("invalid_request", told, 415))
    size = 0
    pieces: list[bytes] = []
    patience = _Patience(gate.limits.body_timeout)
    try:
        while True:
            message = await patience.of(receive)
            if message["type"] != "http.request":
                raise Gone
            piece: bytes = message.get("body", b"")
            if size + len(piece) > limit:
                raise _too_large(limit)
            gate.hold(len(piece))
            size += len(piece)
            pieces.append(piece)
            if not message.get("more_body"):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    except Full as full:
        gate.release(size)
        error = ChatError("overloaded", str(full), 529, retry_after=full.retry_after)
        raise Unreadable(error) from None
    except BaseException:
        gate.release(size)
        raise


class _Patience:
    """A timeout that costs little where nothing has to be waited for."""

    __slots__ = ("_loop", "_over", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._over = False

    async def of(self, receive: Receive) -> Message:
        timer = self._loop.call_later(self._seconds, self._end)
        try:
            return await receive()
        except asyncio.CancelledError:
            if not self._over:
                raise
            assert self._task is not None
            self._task.uncancel()
            message = (
                f"the rest of the body did not come within {self._seconds:g} s (server.limits.body_timeout)"
            )
            raise Unreadable(ChatError("timeout", message, 408)) from None
        finally:
            timer.cancel()

    def _end(self) -> None:
        self._over = True
        assert self._task is not None
        self._task.cancel()


def _too_large(limit: int) -> Unreadable:
    message = f"the body is larger than {limit} bytes, the limit here (server.max_body_bytes)"
    return Unreadable(ChatError("too_large", message, 413))
