"""Opening connections: names resolved and remembered, addresses of both families tried (RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import aiohappyeyeballs

from routing.upstream import UpstreamFault

_REMEMBERED = 60.0
"""Seconds for which a name's addresses are."""
_MOST_NAMES = 1000
_HEAD_START = 0.25
"""Seconds for which one address is tried alone, as RFC 8305 recommends."""

_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)
_Addresses = Sequence[Any]
"""As `getaddrinfo` gives them."""


class Place(NamedTuple):
    """Where connections go; those to one place can stand for each other."""

    host: str
    port: int
    tls: bool


class Dialer:
    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, _Addresses]] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[_Addresses]] = {}

    async def dial(self, place: Place, factory: Callable[[], _Protocol]) -> _Protocol:
        """A connection that stands, TLS included. Raises UpstreamFault."""
        loop = asyncio.get_running_loop()
        try:
            addresses = await self._addresses(place)
        except OSError:
            raise UpstreamFault("connect", "its name cannot be resolved") from None
        try:
            connected = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=_HEAD_START, interleave=1, loop=loop
            )
        except OSError as error:
            self._known.pop((place.host, place.port), None)
            raise UpstreamFault("connect", f"no connection ({error.strerror or 'refused'})") from error
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            secure: dict[str, Any] = {"ssl": _context(), "server_hostname": place.host} if place.tls else {}
            _, protocol = await loop.create_connection(factory, sock=connected, **secure)
        except BaseException as error:
            connected.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise UpstreamFault("connect", "its TLS certificate is not trusted") from error
            if isinstance(error, OSError):
                told = "the TLS handshake failed" if place.tls else "no connection (it broke at once)"
                raise UpstreamFault("connect", told) from error
            raise
        return protocol

    async def _addresses(self, place: Place) -> _Addresses:
        """In turn another one first. Raises OSError."""
        name = place.host, place.port
        now = asyncio.get_running_loop().time()
        until, found = self._known.get(name, (0.0, ()))
        if now >= until:
            task = self._asking.get(name)
            if task is None:
                task = self._asking[name] = asyncio.create_task(_resolve(*name))
                task.add_done_callback(lambda _: self._asking.pop(name, None))
            found = await asyncio.shield(task)
            until = now + _REMEMBERED
            if len(self._known) >= _MOST_NAMES:
                self._known.clear()
        self._known[name] = until, (*found[1:], *found[:1])
        return found


async def _resolve(host: str, port: int) -> _Addresses:
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    """Whom the system trusts. Read when first needed."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
