"""The lean upstream client: HTTP/1.1 on httptools, for what nearly all requests are.

Plain and TLS connections without a proxy, kept while they are of use. Everything else (a proxy, certificates
of one's own, a URL with a password, headers that steer the connection) goes to aiohttp's client.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from yarl import URL

from routing.dialing import Dialer, Place
from routing.lean_answer import LeanAnswer
from routing.lean_connection import LeanConnection
from routing.table import PLAIN_TLS, Timeouts
from routing.upstream import AiohttpUpstream, Upstream, UpstreamAnswer, UpstreamFault, UpstreamRequest

_KEPT_IDLE = 30.0
"""Seconds that an unused connection is kept. Common servers close theirs after 60 and more."""
_STALE = 1.0
"""A kept connection that the server had closed shows itself at once, not after this many seconds."""
_STEERING = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Headers that say how a connection is used."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[!-~]+")
_METHODS = frozenset(("GET", "POST"))


class LeanUpstream:
    """It has to be used within one running event loop. While `enabled` says no, `other` does all."""

    def __init__(self, other: Upstream | None = None, enabled: Callable[[], bool] = lambda: True) -> None:
        self._other = other if other is not None else AiohttpUpstream()
        self._enabled = enabled
        self._dialer = Dialer()
        self._idle: dict[Place, list[LeanConnection]] = {}
        self._all: set[LeanConnection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        address = _address(request.url)
        if (
            address is None
            or request.proxy is not None
            or request.tls is not PLAIN_TLS
            or request.method not in _METHODS
            or not _are_plain(tuple(request.headers))
            or not self._enabled()
        ):
            return await self._other.send(request)
        loop = asyncio.get_running_loop()
        started = loop.time()
        head = _head(request, address)
        connection = self._kept(address.place, started)
        if connection is not None:
            answer = await self._ask(connection, request, head, started)
            if not answer.is_stale or answer.status or loop.time() - started > _STALE:
                return answer.begun()
            # The server has closed it meanwhile: nothing was read, so once more, on one of its own. There
            # the request may have been carried out: that is for the policy.
        connection = await self._open(address.place, request.timeouts, started)
        return (await self._ask(connection, request, head, started)).begun()

    async def _ask(
        self, connection: LeanConnection, request: UpstreamRequest, head: bytes, started: float
    ) -> LeanAnswer:
        """An answer that has a head, or has failed before. Raises UpstreamFault if it is late."""
        times = request.timeouts
        deadline = None if times.total is None else started + times.total
        limit = _soonest(times.first_byte, times.total)
        answer = LeanAnswer(connection, connection.loop, times, deadline)
        connection.ask(answer, head, request.body)
        try:
            in_time = await answer.head(None if limit is None else started + limit)
        except BaseException:
            answer.close()
            raise
        if not in_time:
            answer.close()
            raise _late(times)
        return answer

    async def _open(self, place: Place, times: Timeouts, started: float) -> LeanConnection:
        loop = asyncio.get_running_loop()
        limit = _soonest(times.first_byte, times.total)
        left = None if limit is None else max(0.0, started + limit - loop.time())
        connecting = times.connect if left is None or (times.connect or left) < left else left
        try:
            async with asyncio.timeout(connecting):
                connection = await self._dialer.dial(
                    place, lambda: LeanConnection(place, loop, self._take_back, self._forget)
                )
        except TimeoutError as error:
            if times.connect is not None and connecting == times.connect:
                told = f"no connection within {times.connect:g} s"
                raise UpstreamFault("connect_timeout", told) from error
            raise _late(times) from error
        if connection.is_usable:
            self._all.add(connection)
        return connection

    # ------------------------------------------------------------ kept connections

    def _kept(self, place: Place, now: float) -> LeanConnection | None:
        """The one that was used last."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.is_usable and now - connection.idle_since < _KEPT_IDLE:
                return connection
            connection.abort()
        return None

    def _take_back(self, connection: LeanConnection) -> None:
        connection.idle_since = connection.loop.time()
        self._idle.setdefault(connection.place, []).append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(_KEPT_IDLE, self._sweep)

    def _forget(self, connection: LeanConnection) -> None:
        self._all.discard(connection)
        if (idle := self._idle.get(connection.place)) and connection in idle:
            idle.remove(connection)

    def _sweep(self) -> None:
        """Close those that nobody has used for long; come again while there are any."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for place, idle in list(self._idle.items()):
            old = [each for each in idle if now - each.idle_since >= _KEPT_IDLE]
            for connection in old:
                connection.abort()
            self._idle[place] = [each for each in idle if each not in old]
            if not self._idle[place]:
                del self._idle[place]
        if self._idle:
            self._sweeper = loop.call_later(_KEPT_IDLE / 2, self._sweep)

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._idle.clear()
        for connection in list(self._all):
            connection.abort()
        await asyncio.sleep(0)  # they are told of their end
        await self._other.close()


class _Address(NamedTuple):
    place: Place
    target: str
    """Path and query."""
    host: str
    """For the header."""


@lru_cache(maxsize=512)
def _address(text: str) -> _Address | None:
    """None: nothing for this client."""
    try:
        url = URL(text, encoded=True)
        host, port = url.raw_host, url.port
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not host or port is None or url.raw_user or url.raw_password:
        return None
    target = url.raw_path_qs or "/"
    if not _TARGET.fullmatch(target) or not _TARGET.fullmatch(host):
        return None
    name = f"[{host}]" if ":" in host else host
    secure = url.scheme == "https"
    default = port == (443 if secure else 80)
    return _Address(Place(host.rstrip("."), port, secure), target, name if default else f"{name}:{port}")


@lru_cache(maxsize=512)
def _are_plain(names: tuple[str, ...]) -> bool:
    return all(_TOKEN.fullmatch(name) and name.lower() not in _STEERING for name in names)


def _head(request: UpstreamRequest, address: _Address) -> bytes:
    """Raises UpstreamFault."""
    lines = [f"{request.method} {address.target} HTTP/1.1\r\nHost: {address.host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body or request.method == "POST":
        lines.append(f"Content-Length: {len(request.body)}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise UpstreamFault("connect", "a header for it holds a line break")
    return text.encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def _late(times: Timeouts) -> UpstreamFault:
    if times.total is not None and times.total <= (times.first_byte or times.total):
        return UpstreamFault("total_timeout", f"no answer within {times.total:g} s")
    return UpstreamFault("first_byte_timeout", f"no answer within {times.first_byte:g} s")


def _soonest(first: float | None, second: float | None) -> float | None:
    return second if first is None else first if second is None else min(first, second)
