"""Every request has an id: it is in the answer, in each line of the log that belongs to it, in its trace
and its recording.

A client may choose it with `x-request-id`, if it is made like an id; anything else is passed over, since
it would stand in the log. One raw ASGI middleware around everything, so that refusals have an id, too.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from routing.usage import Record

HEADER = b"x-request-id"
_AT_ONCE = 256
_SANE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


class Request:
    """One request, while it is answered."""

    __slots__ = ("headers", "id", "key", "method", "observation", "path", "record", "started", "status")

    def __init__(self, id: str, method: str, path: str) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.method = method
        self.path = path
        self.started = time.perf_counter()
        self.status = 0
        """0: nothing has been answered yet."""
        self.key = ""
        """The name of the hub's key, where the request was refused for what the key is not for."""
        self.record: Record | None = None
        """What the gateway says of it; None for what is no chat, or has got no further than the door."""
        self.observation: Observation | None = None
        """Set while somebody looks at more of it than this."""

    @property
    def duration(self) -> float:
        return time.perf_counter() - self.started


class Observation(Protocol):
    """Somebody who looks at a whole request: traces, recordings."""

    def wrap(self, receive: Receive, send: Send) -> tuple[Receive, Send]: ...

    def done(self, request: Request) -> None:
        """The request is over, however it went. Must not block and must not raise."""
        ...


REQUEST: ContextVar[Request | None] = ContextVar("request", default=None)
"""The request that is being answered."""


def request_id() -> str:
    """Of the request that is being answered; "": none is."""
    request = REQUEST.get()
    return request.id if request is not None else ""


def take(record: Record) -> None:
    """A sink: gives the record to the request that it is of."""
    request = REQUEST.get()
    if request is not None:
        request.record = record


class RequestMiddleware:
    """See the module. `observe` is asked for each request whether somebody wants to look at it; `done`
    hears of each one's end."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        observe: Callable[[Request, Scope], Observation | None] = lambda request, scope: None,
        done: Callable[[Request], None] = lambda request: None,
    ) -> None:
        self._app = app
        self._observe = observe
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(_chosen(scope) or next(_IDS), scope["method"], scope["path"])
        scope.setdefault("state", {})["request_id"] = request.id
        token = REQUEST.set(request)
        marked = _marked(request, send)
        observation = request.observation = self._observe(request, scope)
        if observation is not None:
            receive, marked = observation.wrap(receive, marked)
        try:
            await self._app(scope, receive, marked)
        finally:
            REQUEST.reset(token)
            if observation is not None:
                observation.done(request)
            self._done(request)


def _random_ids() -> Iterator[str]:
    """24 hexadecimal digits each; asking the system for chance costs more than the rest of an id."""
    while True:
        digits = os.urandom(12 * _AT_ONCE).hex()
        for start in range(0, len(digits), 24):
            yield digits[start : start + 24]


_IDS = _random_ids()


def _chosen(scope: Scope) -> str | None:
    """The id that the client gave, where it is one."""
    for name, value in scope["headers"]:
        if name == HEADER:
            return value.decode() if _SANE.fullmatch(value) else None
    return None


def _marked(request: Request, send: Send) -> Send:
    """`send`, with the id in the head of the answer. It awaits nothing itself: streams pass here."""
    mark = (HEADER, request.id.encode())

    def marking(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            request.status = message["status"]
            headers = message.get("headers", ())
            if mark not in headers:
                message["headers"] = [*(each for each in headers if each[0] != HEADER), mark]
        return send(message)

    return marking
