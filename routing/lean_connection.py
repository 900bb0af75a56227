"""One HTTP/1.1 connection of the lean client, on httptools: one request at a time (RFC 9112)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools

from routing.lean_answer import MOST_HELD, LeanAnswer
from routing.upstream import UpstreamFault

_LONGEST_HEAD = 2**16
"""Bytes of an answer's head, and of what comes behind its body."""
_JOINED = 2**16
"""Shorter bodies are joined with their head: one write."""
_LARGE = 2**20
"""Longer bodies are written piece by piece, so that the loop is not held up and less is buffered."""
_PIECE = 2**18
_MOST_NAMES = 1000
_WITHOUT_BODY = frozenset((204, 304))
_SLACK = 0.001
"""Seconds: the loop's timers may be early by as much."""

_names: dict[bytes, str] = {}


def _name(raw: bytes) -> str:
    if (name := _names.get(raw)) is None:
        name = raw.decode("latin-1").lower()
        if len(_names) < _MOST_NAMES:
            _names[raw] = name
    return name


class LeanConnection(asyncio.Protocol):
    """`released` hears when it can be asked again, `lost` when it is gone."""

    __slots__ = (
        "_answer",
        "_due",
        "_fields_size",
        "_has_end",
        "_head_size",
        "_headers",
        "_interim",
        "_keeps",
        "_lost",
        "_parser",
        "_reading",
        "_released",
        "_rest",
        "_surplus",
        "_timer",
        "_timer_at",
        "_too_long",
        "_transport",
        "_writing",
        "idle_since",
        "loop",
        "place",
    )

    def __init__(
        self,
        place: Any,
        loop: asyncio.AbstractEventLoop,
        released: Callable[[LeanConnection], None],
        lost: Callable[[LeanConnection], None],
    ) -> None:
        self.place = place
        self.idle_since = 0.0
        self.loop = loop
        self._released, self._lost = released, lost
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        # As aiohttp reads answers: some servers are careless, and nothing follows from it.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._answer: LeanAnswer | None = None
        self._headers: dict[str, str] = {}
        self._rest: memoryview | None = None
        self._writing = self._reading = True
        self._has_end = self._interim = self._keeps = self._surplus = self._too_long = False
        self._head_size = self._fields_size = 0
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, answer: LeanAnswer, head: bytes, body: bytes) -> None:
        """Send a request; `answer` will be filled."""
        transport = self._transport
        self._answer = answer
        self._head_size = self._fields_size = 0
        self._has_end = self._keeps = self._surplus = self._too_long = False
        if transport is None or transport.is_closing():
            self._broke(None)
        elif len(body) <= _JOINED:
            transport.write(head + body)
        elif len(body) <= _LARGE:
            transport.writelines((head, body))
        else:
            transport.write(head)
            self._rest = memoryview(body)
            self._write_on()

    def alarm(self, when: float | None) -> None:
        self._due = when
        if when is None:
            return
        timer = self._timer
        if timer is None or self._timer_at > when:
            if timer is not None:
                timer.cancel()
            self._set_timer(when)

    def _set_timer(self, when: float) -> None:
        self._timer_at = when
        self._timer = self.loop.call_at(when, self._ring)

    def _ring(self) -> None:
        """The one timer. Mostly what it was set for has happened: it is set anew, or not at all."""
        self._timer = None
        due = self._due
        if due is None:
            return
        if due - self.loop.time() > _SLACK:
            self._set_timer(due)
            return
        self._due = None
        if self._answer is not None:
            self._answer.ring()

    def flow(self) -> None:
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def abort(self) -> None:
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        self._broke(exc)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._transport = self._parser = self._rest = None
        self._lost(self)

    def pause_writing(self) -> None:
        self._writing = False

    def resume_writing(self) -> None:
        self._writing = True
        self._write_on()

    def _write_on(self) -> None:
        transport = self._transport
        while self._rest is not None and self._writing and transport is not None:
            piece, rest = self._rest[:_PIECE], self._rest[_PIECE:]
            self._rest = rest if len(rest) else None
            transport.write(piece)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody has asked
            self.abort()
            return
        headed = bool(answer.status)
        if not headed:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._surplus = True
            if self._answer is not None:
                began = bool(answer.status)
                self._give_up("the body of its answer is broken" if began else "it did not answer in HTTP")
                return
        if self._answer is None:
            self._finished()
        elif self._too_long or (not answer.status and self._head_size > _LONGEST_HEAD):
            self._give_up(f"the head of its answer is longer than {_LONGEST_HEAD} bytes")
        elif answer.held > MOST_HELD and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """A server that will say no more: what it has not said by now is lost."""
        self._broke(None)
        self.abort()

    def _finished(self) -> None:
        transport = self._transport
        if transport is None:
            return
        if self._surplus or not self._keeps or self._rest is not None or transport.get_write_buffer_size():
            self.abort()
        else:
            self.flow()
            self._released(self)

    def _give_up(self, told: str) -> None:
        answer = self._answer
        if answer is not None:
            answer.fail(UpstreamFault("garbage", told))
        self.abort()

    def _broke(self, error: Exception | None) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if answer.status and not self._has_end and error is None:
            answer.complete()  # its end is the connection's
            return
        answer.is_stale = not self._head_size
        if error is not None:
            reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            told = f"the connection broke ({reason})"
        elif answer.status:
            told = "it closed the connection in the middle of its answer"
        else:
            told = "it closed the connection without an answer"
        answer.fail(UpstreamFault("reset", told))

    # ------------------------------------------------------------ the parser's side

    def on_message_begin(self) -> None:
        self._headers = {}
        self._surplus = self._answer is None

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields_size += len(name) + len(value)
        if self._fields_size > _LONGEST_HEAD:
            self._too_long = True
        self._headers.setdefault(_name(name), value.decode("utf-8", "surrogateescape"))

    def on_headers_complete(self) -> None:
        answer = self._answer
        if answer is None:
            return
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim:
            return
        headers = self._headers
        self._has_end = (
            "content-length" in headers or "transfer-encoding" in headers or status in _WITHOUT_BODY
        )
        self._headers = {}  # what comes now is behind the body, and nobody asks for it
        if not self._too_long:
            answer.begin(status, headers)

    def on_body(self, data: bytes) -> None:
        if self._answer is not None:
            self._answer.add(data)

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is None or self._too_long:
            return
        if self._interim:
            self._interim = False
            return
        self._answer = self._due = None
        self._keeps = self._parser.should_keep_alive()
        answer.complete()
