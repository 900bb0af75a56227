"""Collects what goes over the wires of one request, up to a length for each body."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from hub.requests import Request
from routing.upstream import UpstreamRequest
from routing.usage import Record

_MOST_TIMES = 2000


class Body:
    """Bytes as they come. `times`: when each piece came, in seconds from the beginning, and its length."""

    __slots__ = ("_pieces", "_since", "complete", "limit", "size", "times")

    def __init__(self, limit: int, since: float) -> None:
        self.limit = limit
        self._since = since
        self._pieces: list[bytes] = []
        self.size = 0
        self.complete = True
        """Whether `data` is all of it."""
        self.times: list[tuple[float, int]] = []

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)

    def add(self, piece: bytes) -> None:
        if not piece:
            return
        if len(self.times) < _MOST_TIMES:
            self.times.append((round(time.perf_counter() - self._since, 4), len(piece)))
        kept = piece[: max(0, self.limit - self.size)]
        if kept:
            self._pieces.append(kept)
        self.complete = self.complete and len(kept) == len(piece)
        self.size += len(piece)


class AttemptTape:
    """One request to a target, and its answer."""

    __slots__ = ("answer", "answer_headers", "duration", "error", "request", "started", "status")

    def __init__(self, request: UpstreamRequest, limit: int, since: float) -> None:
        self.request = request
        self.started = time.perf_counter()
        self.status = 0
        self.answer_headers: Mapping[str, str] = {}
        self.answer = Body(limit, since)
        self.duration: float | None = None
        self.error: str | None = None

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.answer_headers = status, headers

    def failed(self, error: str) -> None:
        self.error = error
        self.over()

    def over(self) -> None:
        if self.duration is None:
            self.duration = time.perf_counter() - self.started


class Tape:
    """A client's request, every attempt to have it answered, and the answer that went out."""

    __slots__ = ("answer", "answer_headers", "attempts", "body", "limit", "request", "scope", "time")

    def __init__(self, request: Request, scope: Scope, limit: int) -> None:
        self.request = request
        self.scope = scope
        self.limit = limit
        self.time = time.time()
        self.body = Body(limit, request.started)
        self.attempts: list[AttemptTape] = []
        self.answer = Body(limit, request.started)
        self.answer_headers: list[tuple[bytes, bytes]] = []

    @property
    def record(self) -> Record | None:
        return self.request.record

    @property
    def weight(self) -> int:
        """Roughly, in bytes of memory."""
        bodies = [self.body, self.answer, *(attempt.answer for attempt in self.attempts)]
        return sum(body.size for body in bodies) + sum(len(each.request.body) for each in self.attempts)

    def attempt(self, request: UpstreamRequest) -> AttemptTape:
        attempt = AttemptTape(request, self.limit, self.request.started)
        self.attempts.append(attempt)
        return attempt

    def wrap(self, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self.body.add(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answer_headers = list(message.get("headers", ()))
            else:
                self.answer.add(message.get("body", b""))
            await send(message)

        return receiving, sending


def text_headers(headers: Any) -> dict[str, str]:
    """ASGI's pairs, with the names in lower case; of repeated ones all values."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
