"""A real authorization server (FastMCP, with the handlers of the MCP SDK) and an MCP server behind it.

It says yes at once where a person would be asked, and can be told to do what goes wrong elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.auth import AccessToken, ClientRegistrationOptions, RevocationOptions
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from mcp.server.auth.provider import AuthorizationParams, RefreshToken, TokenError
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.hub.mcp.harness import bind

METADATA = "/.well-known/oauth-authorization-server"
CLIENT_DOCUMENT = "https://client.example.com/hub.json"


@dataclass
class Behaviour:
    """What it does now, and what it has done."""

    lifetime: int | None = None
    """Seconds that a token is said to live; None: an hour."""
    refuse_refresh: bool = False
    out_of_order: bool = False
    """Whether the token endpoint answers with 503."""
    client_documents: bool = False
    registration: bool = True
    deny: bool = False
    issuer_in_answer: str | None = None
    refreshes: int = 0
    registered: int = 0
    asked: list[AuthorizationParams] = field(default_factory=list)
    tokens_seen: set[str] = field(default_factory=set)
    """All that ever were handed out: they must show up nowhere."""


class AuthorizationServer(InMemoryOAuthProvider):
    def __init__(self, url: str, behaviour: Behaviour) -> None:
        super().__init__(
            base_url=url,
            client_registration_options=ClientRegistrationOptions(
                enabled=behaviour.registration, valid_scopes=["read", "write"]
            ),
            revocation_options=RevocationOptions(enabled=True),
            required_scopes=["read"],
        )
        self.does = behaviour

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        if self.does.client_documents and client_id == CLIENT_DOCUMENT and client_id not in self.clients:
            # As if fetched from there.
            return DocumentClient(
                client_id=client_id, redirect_uris=[], token_endpoint_auth_method="none", scope="read write"
            )
        return await super().get_client(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.does.registered += 1
        await super().register_client(client_info)

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        self.does.asked.append(params)
        if self.does.deny:
            return (
                f"{params.redirect_uri}?error=access_denied&error_description=not+today&state={params.state}"
            )
        self.clients.setdefault(client.client_id, client)
        answer = await super().authorize(client, params)
        return answer + (f"&iss={self.does.issuer_in_answer}" if self.does.issuer_in_answer else "")

    async def exchange_authorization_code(self, *arguments: Any) -> OAuthToken:
        return self._made(await super().exchange_authorization_code(*arguments))

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.does.refreshes += 1
        if self.does.refuse_refresh:
            raise TokenError("invalid_grant", "the refresh token was taken back")
        return self._made(await super().exchange_refresh_token(client, refresh_token, scopes))

    def _made(self, token: OAuthToken) -> OAuthToken:
        self.does.tokens_seen |= {token.access_token, token.refresh_token or token.access_token}
        if self.does.lifetime is not None:
            return token.model_copy(update={"expires_in": self.does.lifetime})
        return token

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access_tokens.get(token)

    def forget_access_tokens(self) -> None:
        """As when they expire: refresh tokens stay good."""
        self.access_tokens.clear()

    def forget_everything(self) -> None:
        """As when a person takes the permission back."""
        self.access_tokens.clear()
        self.refresh_tokens.clear()

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        routes = super().get_routes(mcp_path)
        for position, route in enumerate(routes):
            if route.path == METADATA and self.does.client_documents:
                routes[position] = Route(METADATA, self._metadata)
        return routes

    async def _metadata(self, request: Request) -> Response:
        url = str(self.base_url).rstrip("/")
        return JSONResponse(
            {
                "issuer": f"{url}/",
                "authorization_endpoint": f"{url}/authorize",
                "token_endpoint": f"{url}/token",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "client_id_metadata_document_supported": True,
            }
        )


class DocumentClient(OAuthClientInformationFull):
    """One that is known beforehand, with any port of loopback to come back to (RFC 8252, section 7.3)."""

    def validate_redirect_uri(self, redirect_uri: Any) -> Any:
        assert redirect_uri.host == "127.0.0.1"
        assert redirect_uri.path == "/callback"
        return redirect_uri


@dataclass
class Protected:
    """The running MCP server."""

    url: str
    server: AuthorizationServer
    does: Behaviour

    @property
    def mcp(self) -> str:
        return f"{self.url}/mcp"

    @property
    def sse(self) -> str:
        return f"{self.url}/sse"


@asynccontextmanager
async def protected_server(*, sse: bool = False, **behaviour: Any) -> AsyncIterator[Protected]:
    """Tools: `hello` needs the scope read, `write` needs write as well. `sse`: over that transport."""
    listener = bind()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    does = Behaviour(**behaviour)
    server = AuthorizationServer(url, does)
    mcp = FastMCP("protected", auth=server)

    @mcp.tool
    def hello() -> str:
        return "hello"

    @mcp.tool
    def write() -> str:
        return "written"

    inner = mcp.http_app(path="/sse", transport="sse") if sse else mcp.http_app(path="/mcp")
    app = _Gate(inner, server)
    running = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
    running.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(running.serve(sockets=[listener]))
    try:
        while not running.started:  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.01)
        yield Protected(url, server, does)
    finally:
        running.should_exit = running.force_exit = True
        await task


class _Gate:
    """What the MCP server says for want of a scope, and a token endpoint that may be out of order."""

    def __init__(self, app: ASGIApp, server: AuthorizationServer) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == "/token" and self._server.does.out_of_order:
            await Response(status_code=503)(scope, receive, send)
            return
        if scope["path"] != "/mcp" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        known = self._server.access_tokens.get(token)
        if known is not None and "write" not in known.scopes and _calls(body, "write"):
            challenge = 'Bearer error="insufficient_scope", scope="write"'
            await Response(status_code=403, headers={"www-authenticate": challenge})(scope, receive, send)
            return

        unread = [body]

        async def replay() -> Any:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        await self._app(scope, replay, send)


def _calls(body: bytes, tool: str) -> bool:
    message = json.loads(body)
    return message.get("method") == "tools/call" and message["params"]["name"] == tool
