"""Streamable HTTP and SSE servers: one kept HTTP client and one kept session each.

Only the headers of the server's own settings are sent, and the token of `hub login`: nothing of what a
client of the hub sent is known here.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any

import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INTERNAL_ERROR

from hub.downstream.errors import UNDELIVERED_MARK, DownstreamError, LoginNeeded, Unavailable
from hub.downstream.session import Streams
from hub.oauth.bearer import BearerAuth, asks_for_bearer, missing_scopes
from hub.oauth.errors import LoggedOut, NotNow
from hub.oauth.login import Login, login_of
from hub.settings.mcp import McpServerSettings

_LIBRARY_LEVELS = {
    # These log URLs with their query, and at debug level headers: both may carry a credential.
    "httpx2": logging.WARNING,
    "httpcore2": logging.WARNING,
    "mcp.client": logging.WARNING,
    # A server that went away is one line of ours, not a traceback of theirs.
    "mcp.client.sse": logging.CRITICAL,
    "mcp.client.streamable_http": logging.CRITICAL,
}
for _name, _level in _LIBRARY_LEVELS.items():
    logging.getLogger(_name).setLevel(_level)

_SESSION_HEADER = "mcp-session-id"
_TIMEOUT = httpx2.Timeout(30, read=None)
"""No read timeout: streams are silent for hours. How long a call may take is the caller's affair."""


@cache
def _tls() -> ssl.SSLContext:
    """One for all servers: reading the certificates takes 50 ms of the event loop each time."""
    return httpx2.create_ssl_context()


OnLost = Callable[[str], None]
"""Told why the session cannot go on, when the transport notices it."""


class _Client(httpx2.AsyncClient):
    """An HTTP client that answers for a server that cannot.

    The SDK's transport ends a whole session, with every call in it, when one POST cannot connect.
    Here that one request is answered with a JSON-RPC error, and `on_lost` hears about it.
    """

    def __init__(
        self, on_lost: OnLost, login: Login | None = None, *, fragile: bool = False, **options: Any
    ) -> None:
        if login is not None:
            options["auth"] = BearerAuth(login)
        super().__init__(verify=_tls(), **options)
        self._on_lost = on_lost
        self._login = login
        self.refused: DownstreamError | None = None
        """Why no request gets through: nobody has logged in, or the token cannot be had."""
        self._fragile = fragile
        """Whether the transport above gives up for good, silently, at the first answer that is an error."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        where = request.url.copy_with(query=None, username=None, password=None)
        try:
            response = await super().send(request, **options)
        except LoggedOut as error:
            return self._shut_out(request, LoginNeeded(str(error)))
        except NotNow as error:
            self.refused = Unavailable(str(error))
            return self._failed(request, 503, str(error))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return self._lost(request, 503, f"cannot connect to {where}: {error or type(error).__name__}")
        except httpx2.TransportError as error:
            if request.method != "POST":
                raise
            text = f"the connection to {where} broke: {type(error).__name__}"
            return self._failed(request, 502, text)
        return await self._judge(request, response, str(where))

    async def _judge(self, request: httpx2.Request, response: httpx2.Response, where: str) -> httpx2.Response:
        status = response.status_code
        if status < 400:
            self.refused = None
            return response
        if request.method == "DELETE":
            return response
        if self._login is not None:
            if asks_for_bearer(response) or (status == 401 and "authorization" in response.request.headers):
                await response.aclose()
                return self._shut_out(request, LoginNeeded(self._login.command))
            if (scopes := missing_scopes(response)) is not None:
                await response.aclose()
                return await self._missed(request, self._login, scopes)
        in_session = _SESSION_HEADER in request.headers
        if in_session and status in (400, 404):
            # 404 is the specification's word for "start a new session"; older TypeScript servers say 400.
            body = await response.aread()
            if status == 404 or b"session" in body.lower():
                return self._lost(request, status, f"the server at {where} has forgotten the session")
            return response
        if request.method != "POST" or status in (400, 404, 405, 406):
            return response
        if response.headers.get("content-type", "").lower().startswith("application/json"):
            body = await response.aread()
            if b'"jsonrpc"' in body:
                return response
        await response.aclose()
        hint = "; check its `headers`, or log in" if status in (401, 403) else ""
        return self._failed(request, status, f"HTTP {status} from {where}{hint}")

    async def _missed(self, request: httpx2.Request, login: Login, scopes: str) -> httpx2.Response:
        """The token is good, but not for this. The next login asks for more."""
        await login.want(scopes)
        what = f"the scope {scopes}" if scopes else "more rights"
        return self._failed(request, 403, f"server {login.server!r} asks for {what} here: {login.command}")

    def _shut_out(self, request: httpx2.Request, reason: LoginNeeded) -> httpx2.Response:
        self.refused = reason
        return self._lost(request, 401, str(reason))

    def _failed(self, request: httpx2.Request, status: int, reason: str) -> httpx2.Response:
        if self._fragile:
            self._on_lost(reason)
        return _answer(request, status, reason, data=None)

    def _lost(self, request: httpx2.Request, status: int, reason: str) -> httpx2.Response:
        self._on_lost(reason)
        return _answer(request, status, reason, data=UNDELIVERED_MARK)


def _answer(request: httpx2.Request, status: int, message: str, *, data: str | None) -> httpx2.Response:
    error: dict[str, Any] = {"code": INTERNAL_ERROR, "message": message}
    if data is not None:
        error["data"] = data
    return httpx2.Response(status, json={"jsonrpc": "2.0", "id": None, "error": error}, request=request)


def _revealed(settings: McpServerSettings) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in settings.headers.items()}


@contextmanager
def _client(
    name: str, settings: McpServerSettings, on_lost: OnLost, *, fragile: bool = False
) -> Iterator[_Client]:
    """The client of one connection, not yet entered. Raises why it was refused, in place of what followed."""
    login = None if settings.sends_authorization else login_of(name, settings.url or "", settings.auth)
    client = _Client(on_lost, login, fragile=fragile, headers=_revealed(settings), timeout=_TIMEOUT)
    if login is not None:
        login.on_gone.add(on_lost)
    try:
        yield client
    except Exception:
        if client.refused is not None:
            raise client.refused from None
        raise
    finally:
        if login is not None:
            login.on_gone.discard(on_lost)


@asynccontextmanager
async def http_streams(name: str, settings: McpServerSettings, on_lost: OnLost) -> AsyncIterator[Streams]:
    """A Streamable HTTP connection with a connection pool of its own.

    Raises LoginNeeded and Unavailable where the server's authorization is at fault.
    """
    with _client(name, settings, on_lost) as client:
        async with (
            client,
            # A result may be larger than the SDK's default of 1 MiB per event.
            streamable_http_client(
                settings.url or "", http_client=client, max_sse_event_size=None
            ) as streams,
        ):
            yield streams


@asynccontextmanager
async def sse_streams(name: str, settings: McpServerSettings, on_lost: OnLost) -> AsyncIterator[Streams]:
    """A connection of the transport that 2025-03-26 replaced: GET for a stream, POST for messages.

    Raises as `http_streams`.
    """
    with _client(name, settings, on_lost, fragile=True) as client:

        def ready_made(
            headers: dict[str, str] | None = None,
            timeout: httpx2.Timeout | None = None,
            auth: httpx2.Auth | None = None,
        ) -> httpx2.AsyncClient:
            del headers, timeout, auth  # it has its own
            return client

        async with sse_client(settings.url or "", httpx_client_factory=ready_made) as streams:
            yield streams
