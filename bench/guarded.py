"""What `bench.guard` counts the instructions of.

Requests through the gateway as ASGI, with the hub's middlewares and an upstream that answers from memory.
No socket, no clock and no chance is in it, so that every run does the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from itertools import count
from typing import Any

from bench.chat import scenarios
from bench.servers.upstream import ANSWER, STREAM
from hub.auth import AuthMiddleware
from hub.metrics import Metrics
from hub.requests import RequestMiddleware
from hub.settings import Settings
from routing.app import chat_app
from routing.gateway import Gateway
from routing.table import Group, Provider, Table, Target
from routing.upstream import UpstreamRequest

Ask = Callable[[], Awaitable[None]]
App = Callable[..., Coroutine[Any, Any, None]]

_PIECE = 4096
"""Bytes that one read of a stream brings."""
NAMES = tuple(each.name for each in scenarios() if each.connections > 1)


class _Answer:
    status = 200

    def __init__(self, content_type: str, pieces: list[bytes]) -> None:
        self.headers: Mapping[str, str] = {"content-type": content_type}
        self._pieces = pieces

    async def read(self, patience: float | None = None) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def read_all(self, limit: int) -> bytes:
        return b"".join(self._pieces)

    def close(self) -> None:
        self._pieces = []


class _Upstream:
    async def send(self, request: UpstreamRequest) -> _Answer:
        if b'"stream":true' not in request.body:
            return _Answer("application/json", [ANSWER])
        pieces = [STREAM[at : at + _PIECE] for at in range(0, len(STREAM), _PIECE)]
        return _Answer("text/event-stream", pieces)

    async def close(self) -> None:
        pass


def application() -> App:
    provider = Provider("free", "openai", "http://127.0.0.1:9/v1", ("bench-key",))
    table = Table({"bench": Group("bench", (Target(provider, "bench"),))})
    ticks, ids, settings = count(), count(), Settings()
    gateway = Gateway(
        lease=lambda: nullcontext(table),
        upstream=_Upstream(),
        clock=lambda: next(ticks) / 1000,
        now=lambda: 1_790_000_000.0,
        random=lambda: 0.5,
        new_id=lambda: f"{next(ids):024d}",
        sink=Metrics().take,
    )
    return RequestMiddleware(AuthMiddleware(chat_app(gateway), lambda: settings)).__call__


async def _ask(app: App, path: str, body: bytes, expected: bytes) -> None:
    answer: list[bytes] = []
    head = [(b"host", b"127.0.0.1:11434"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [*head, (b"content-length", b"%d" % len(body)), (b"x-request-id", b"of-the-guard")],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        answer.append(message.get("body", b""))

    await app(scope, receive, send)
    if expected not in b"".join(answer):
        raise RuntimeError(f"a wrong answer: {b''.join(answer)[:200]!r}")


def asking(name: str) -> Ask:
    """Asks the scenario's question once each time, and raises if the answer is not right."""
    scenario = next(each for each in scenarios() if each.name == name)
    app = application()

    async def ask() -> None:
        await _ask(app, scenario.path, scenario.body, scenario.expected)

    return ask
