"""Asking upstreams over HTTP. The rest of the gateway sees only `Upstream` and `UpstreamAnswer`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, partial
from io import BytesIO
from typing import Any, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from routing.policy import Fault
from routing.table import PLAIN_TLS, Timeouts, Tls
from routing.tls import UnusableTls, tls_context

_KEPT_IDLE = 30.0
"""Seconds that an unused connection is kept. Common servers close theirs after 60 and more."""
_STALE = 1.0
"""A kept connection that the server had closed shows itself at once, not after this many seconds."""
_LARGE = 2**20
"""Longer bodies are written piece by piece, so that the loop is not held up."""
_CLOSED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    url: str
    headers: Mapping[str, str]
    body: bytes
    timeouts: Timeouts
    method: str = "POST"
    proxy: str | None = field(default=None, repr=False)
    tls: Tls = PLAIN_TLS
    target: bytes = b""
    """`provider/model`, for those who watch; it is not sent."""
    protocol: str = ""


class UpstreamFault(Exception):
    """No answer, or none that is whole. The text names no header and no query."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault: Fault = fault


class Silence(Exception):
    """Nothing came for the time that the reader gave. The answer is as it was: read again."""


class UpstreamAnswer(Protocol):
    """An answer's head, and its body piece by piece."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; of repeated ones the first."""

    async def read(self, patience: float | None = None) -> bytes:
        """What the next read brought; b"" at the end. Raises Silence, UpstreamFault."""
        ...

    async def read_all(self, limit: int) -> bytes:
        """The rest of the body. Raises UpstreamFault, also if it is longer than `limit`."""
        ...

    def close(self) -> None:
        """Let go: a body that is not at its end closes the connection at once."""
        ...


class Upstream(Protocol):
    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Ask. Raises UpstreamFault. A cancelled call closes its connection."""
        ...

    async def close(self) -> None: ...


_connected: ContextVar[bool] = ContextVar("connected", default=False)
"""Whether the request at hand opened its connection itself."""


class _Handler(ResponseHandler):
    """Tells whoever reads a body that the connection is lost, also after bytes that are not HTTP.

    aiohttp 3.14 tells it only where its parser fails at the end; a chunk without a size fails before, and
    the reader would wait for ever.
    """

    def connection_lost(self, exc: BaseException | None) -> None:
        body = self._payload
        super().connection_lost(exc)
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the connection was lost"))


class _Connector(aiohttp.TCPConnector):
    """Tells whether it had a connection at hand; aiohttp's own way, tracing, costs every request."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory: Any = partial(_Handler, loop=self._loop)

    async def _create_connection(self, *args: Any, **options: Any) -> Any:
        _connected.set(True)
        return await super()._create_connection(*args, **options)


class AiohttpUpstream:
    """On aiohttp's client. It has to be used within one running event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        session = self._session or self._open()
        now = asyncio.get_running_loop().time
        started = now()
        while True:
            _connected.set(False)
            try:
                return await self._ask(session, request, started)
            except _CLOSED as error:
                # A kept connection that the server has closed meanwhile: nothing was read, so once more.
                # On one of its own the request may have been carried out: that is for the policy.
                if _connected.get() or now() - started > _STALE:
                    raise _fault(error) from error

    async def _ask(
        self, session: aiohttp.ClientSession, request: UpstreamRequest, started: float
    ) -> UpstreamAnswer:
        times = request.timeouts
        deadline = None if times.total is None else started + times.total
        try:
            async with asyncio.timeout(_soonest(times.first_byte, times.total)):
                response = await session.request(
                    request.method,
                    _url(request.url),
                    data=request.body if len(request.body) <= _LARGE else BytesIO(request.body),
                    headers=request.headers,
                    allow_redirects=False,
                    timeout=_connect_timeout(times.connect),
                    proxy=None if request.proxy is None else _url(request.proxy),
                    ssl=True if request.tls is PLAIN_TLS else tls_context(request.tls),
                )
        except UnusableTls as error:
            raise UpstreamFault("connect", str(error)) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise UpstreamFault("connect_timeout", f"no connection within {times.connect:g} s") from error
        except TimeoutError as error:
            if times.total is not None and times.total <= (times.first_byte or times.total):
                raise UpstreamFault("total_timeout", f"no answer within {times.total:g} s") from error
            raise UpstreamFault("first_byte_timeout", f"no answer within {times.first_byte:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise _fault(error) from error
        except _CLOSED:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _fault(error) from error
        return _AiohttpAnswer(response, times.idle, deadline)

    def _open(self) -> aiohttp.ClientSession:
        connector = _Connector(
            limit=0,
            limit_per_host=0,
            ttl_dns_cache=60,
            keepalive_timeout=_KEPT_IDLE,
            family=socket.AF_UNSPEC,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            raise_for_status=False,
            auto_decompress=True,
            read_bufsize=2**17,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class _AiohttpAnswer:
    __slots__ = ("_content", "_deadline", "_idle", "_now", "_response", "_silent_since", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, idle: float | None, deadline: float | None) -> None:
        self._response = response
        self._content = response.content
        self._idle, self._deadline = idle, deadline
        self._now = asyncio.get_running_loop().time
        self._silent_since: float | None = None
        self.status = response.status
        headers: dict[str, str] = {}
        for name, value in response.headers.items():
            headers.setdefault(name.lower(), value)
        self.headers: Mapping[str, str] = headers

    async def read(self, patience: float | None = None) -> bytes:
        try:
            if data := self._content.read_nowait():
                self._silent_since = None
                return data
            limit, fault = self._limit(patience)
            if limit is None:
                data = await self._content.readany()
            else:
                async with asyncio.timeout(limit):
                    data = await self._content.readany()
        except TimeoutError as error:
            if fault is not None:
                self.close()
                raise fault from error
            raise Silence from None
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            self.close()
            raise _fault(error) from error
        self._silent_since = None
        return data

    def _limit(self, patience: float | None) -> tuple[float | None, UpstreamFault | None]:
        """How long this read may last, and what it means if it does; None: only that it was silent."""
        now = self._now()
        if self._silent_since is None:
            self._silent_since = now
        limit, fault = patience, None
        if self._idle is not None:
            left = max(0.0, self._silent_since + self._idle - now)
            if limit is None or left <= limit:
                limit = left
                fault = UpstreamFault("idle_timeout", f"nothing came for {self._idle:g} s")
        if self._deadline is not None:
            left = max(0.0, self._deadline - now)
            if limit is None or left <= limit:
                limit = left
                fault = UpstreamFault("total_timeout", "the answer was not complete in the time allowed")
        return limit, fault

    async def read_all(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while data := await self.read():
            pieces.append(data)
            size += len(data)
            if size > limit:
                self.close()
                raise UpstreamFault("garbage", f"the answer is longer than {limit} bytes")
            if self._content.at_eof():
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        self._response.close()


@lru_cache(maxsize=512)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


def _soonest(first: float | None, second: float | None) -> float | None:
    return second if first is None else first if second is None else min(first, second)


_connect_timeouts: dict[float | None, aiohttp.ClientTimeout] = {}


def _connect_timeout(seconds: float | None) -> aiohttp.ClientTimeout:
    if (found := _connect_timeouts.get(seconds)) is None:
        found = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=seconds, sock_read=None)
        _connect_timeouts[seconds] = found
    return found


def _fault(error: Exception) -> UpstreamFault:
    """In own words: aiohttp's texts may hold the URL and whatever a broken server sent."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return UpstreamFault("connect", "its name cannot be resolved")
        case aiohttp.ClientConnectorCertificateError():
            return UpstreamFault("connect", "its TLS certificate is not trusted")
        case aiohttp.ClientSSLError():
            return UpstreamFault("connect", "the TLS handshake failed")
        case aiohttp.ClientProxyConnectionError():
            reason = error.os_error.strerror or "refused"
            return UpstreamFault("connect", f"no connection to its proxy ({reason})")
        case aiohttp.ClientHttpProxyError():
            told = f"its proxy refused the connection ({error.status})"
            remedy = ": check user and password in `proxy`" if error.status == 407 else ""
            return UpstreamFault("connect", told + remedy)
        case aiohttp.ClientConnectorError():
            return UpstreamFault("connect", f"no connection ({error.os_error.strerror or 'refused'})")
        case aiohttp.ServerDisconnectedError():
            return UpstreamFault("reset", "it closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return UpstreamFault("reset", "it closed the connection in the middle of its answer")
        case aiohttp.ClientResponseError():
            return UpstreamFault("garbage", "it did not answer in HTTP")
        case aiohttp.InvalidURL() | ValueError():
            return UpstreamFault("connect", "its URL is not valid")
        case OSError():
            return UpstreamFault("reset", f"the connection broke ({error.strerror or type(error).__name__})")
        case _:
            return UpstreamFault("reset", f"the connection broke ({type(error).__name__})")
