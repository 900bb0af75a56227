"""Streamable HTTP and SSE servers: one kept HTTP client and one kept session each.

Only the headers of the server's own settings are sent: nothing of what a client of the hub sent
is known here.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INTERNAL_ERROR

from hub.downstream.errors import UNDELIVERED_MARK
from hub.downstream.session import Streams
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

    def __init__(self, on_lost: OnLost, *, fragile: bool = False, **options: Any) -> None:
        super().__init__(verify=_tls(), **options)
        self._on_lost = on_lost
        self._fragile = fragile
        """Whether the transport above gives up for good, silently, at the first answer that is an error."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        where = request.url.copy_with(query=None, username=None, password=None)
        try:
            response = await super().send(request, **options)
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
        if status < 400 or request.method == "DELETE":
            return response
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
        hint = "; check its `headers`" if status in (401, 403) else ""
        return self._failed(request, status, f"HTTP {status} from {where}{hint}")

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


@asynccontextmanager
async def http_streams(settings: McpServerSettings, on_lost: OnLost) -> AsyncIterator[Streams]:
    """A Streamable HTTP connection with a connection pool of its own."""
    async with (
        _Client(on_lost, headers=_revealed(settings), timeout=_TIMEOUT) as client,
        # A result may be larger than the SDK's default of 1 MiB per event.
        streamable_http_client(settings.url or "", http_client=client, max_sse_event_size=None) as streams,
    ):
        yield streams


@asynccontextmanager
async def sse_streams(settings: McpServerSettings, on_lost: OnLost) -> AsyncIterator[Streams]:
    """A connection of the transport that 2025-03-26 replaced: GET for a stream, POST for messages."""

    def client(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        del timeout
        return _Client(on_lost, fragile=True, headers=headers, timeout=_TIMEOUT, auth=auth)

    async with sse_client(
        settings.url or "", headers=_revealed(settings), httpx_client_factory=client
    ) as streams:
        yield streams
