"""An answer on the lean client: its head, and its body as it comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from routing.content_coding import BrokenCoding, Inflater, UnknownCoding, inflater
from routing.table import Timeouts
from routing.upstream import Silence, UpstreamFault

MOST_HELD = 2**18
"""Bytes of a body that wait for their reader before the connection is read no further."""
_NO_HEADERS: Mapping[str, str] = {}


class Line(Protocol):
    """The connection, as an answer needs it."""

    def alarm(self, when: float | None) -> None:
        """Call the answer's `ring` at this time of the loop, and at no other."""
        ...

    def flow(self) -> None:
        """Read on: there is room again."""
        ...

    def abort(self) -> None: ...


class LeanAnswer:
    """Filled by its connection. Whole, it is independent of the connection, which others may use by then."""

    __slots__ = (
        "_came",
        "_deadline",
        "_fault",
        "_inflater",
        "_late",
        "_line",
        "_loop",
        "_silent_since",
        "_times",
        "_waiter",
        "_whole",
        "headers",
        "held",
        "is_stale",
        "status",
    )

    def __init__(
        self, line: Line, loop: asyncio.AbstractEventLoop, times: Timeouts, deadline: float | None
    ) -> None:
        self.status = 0
        """0: no head yet."""
        self.headers: Mapping[str, str] = _NO_HEADERS
        self.held = 0
        self.is_stale = False
        """The connection was lost before a single byte came."""
        self._line: Line | None = line
        self._loop = loop
        self._times = times
        self._deadline = deadline
        self._came: list[bytes] = []
        self._whole = False
        self._late = False
        self._fault: UpstreamFault | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._silent_since: float | None = None
        self._inflater: Inflater | None = None

    # ------------------------------------------------------------ for the connection

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers
        if (coding := headers.get("content-encoding")) is not None:
            try:
                self._inflater = inflater(coding)
            except UnknownCoding:
                told = f"it answered in the encoding `{coding[:40]}`, which it was not asked for"
                self._fault = UpstreamFault("garbage", told)
        self._wake()

    def add(self, data: bytes) -> None:
        if self._fault is not None:
            return
        self._came.append(data)
        self.held += len(data)
        if self._waiter is not None:
            self._wake()

    def complete(self) -> None:
        self._whole = True
        self._line = None
        self._wake()

    def fail(self, fault: UpstreamFault) -> None:
        self._fault = self._fault or fault
        self._line = None
        self._wake()

    def ring(self) -> None:
        if self._waiter is not None:
            self._late = True
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, until: float | None) -> bool:
        """Until something has happened; False: nothing has by then."""
        self._late = False
        self._waiter = self._loop.create_future()
        if self._line is not None:
            self._line.alarm(until)
        try:
            await self._waiter
        finally:
            self._waiter = None
        return not self._late

    # ------------------------------------------------------------ for the reader

    async def head(self, until: float | None) -> bool:
        """Until the head is there, or a fault instead; False: neither has come by then."""
        while not self.status and self._fault is None:
            if not await self._wait(until) and not self.status and self._fault is None:
                return False
        return True

    def begun(self) -> LeanAnswer:
        """Itself, with its head. Raises UpstreamFault."""
        if not self.status and self._fault is not None:
            raise self._fault
        return self

    async def read(self, patience: float | None = None) -> bytes:
        # Looked at here, too: where pieces never stop coming, no wait ever lasts until the deadline.
        if self._deadline is not None and not self._whole and self._loop.time() >= self._deadline:
            raise self._too_late()
        while True:
            if self._came or (self._inflater is not None and self._inflater.has_more):
                if data := self._take():
                    return data
            elif self._fault is not None:
                raise self._fault
            elif self._whole:
                self._end()
                return b""
            else:
                await self._more(patience)

    async def read_all(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while data := await self.read():
            pieces.append(data)
            size += len(data)
            if size > limit:
                self.close()
                raise UpstreamFault("garbage", f"the answer is longer than {limit} bytes")
            if self._whole and not self._came and self._inflater is None:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._fault = self._fault or UpstreamFault("reset", "the hub closed the connection")
            line.abort()
        self._wake()

    def _take(self) -> bytes:
        came = self._came
        data = b"" if not came else came[0] if len(came) == 1 else b"".join(came)
        came.clear()
        self._silent_since = None
        if self.held > MOST_HELD and self._line is not None:
            self.held = 0
            self._line.flow()
        self.held = 0
        if self._inflater is None:
            return data
        try:
            return self._inflater.feed(data)
        except BrokenCoding:
            raise self._wrong_coding() from None

    def _end(self) -> None:
        if self._inflater is not None:
            try:
                self._inflater.end()
            except BrokenCoding:
                raise self._wrong_coding() from None

    def _wrong_coding(self) -> UpstreamFault:
        coding = self.headers.get("content-encoding", "")
        self._fault = UpstreamFault("garbage", f"its answer is not in `{coding[:40]}`, as it says")
        self.close()
        return self._fault

    async def _more(self, patience: float | None) -> None:
        """Wait for more. Raises Silence, UpstreamFault."""
        now, idle = self._loop.time(), self._times.idle
        if self._silent_since is None:
            self._silent_since = now
        until, fault = (None if patience is None else now + patience), False
        if idle is not None and (until is None or self._silent_since + idle <= until):
            until, fault = self._silent_since + idle, True
        deadline = self._deadline
        if deadline is not None and (until is None or deadline <= until):
            until, fault = deadline, True
        if await self._wait(until) or self._came or self._whole or self._fault is not None:
            return
        if not fault:
            raise Silence
        if until == deadline:
            raise self._too_late()
        self.close()
        raise UpstreamFault("idle_timeout", f"nothing came for {idle:g} s")

    def _too_late(self) -> UpstreamFault:
        self.close()
        return UpstreamFault("total_timeout", "the answer was not complete in the time allowed")
