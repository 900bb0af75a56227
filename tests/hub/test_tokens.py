"""The hub as a resource server: tokens signed by a real key, found through real metadata."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hub.auth import AuthMiddleware
from hub.keys.caller import Caller
from hub.oauth.flow import LoginFailed, log_in
from hub.settings import Settings
from hub.settings.mcp import McpServerSettings
from tests.hub.mcp.harness import bind
from tests.hub.oauth.authorization_server import protected_server
from tests.hub.oauth.test_login import browse

AUDIENCE = "http://testserver/mcp"
WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass
class Issuer:
    """An authorization server, as far as its keys go."""

    url: str
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}, private=True))
    fetched: int = 0

    def token(self, *, key: RSAKey | None = None, **claims: Any) -> str:
        now = int(time.time())
        standard = {"iss": self.url, "aud": AUDIENCE, "sub": "anna", "iat": now, "exp": now + 600}
        every = {name: value for name, value in (standard | claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, every, key or self.key)

    async def metadata(self, request: Request) -> Response:
        return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def keys(self, request: Request) -> Response:
        self.fetched += 1
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    listener = bind()
    found = Issuer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    routes = [Route("/.well-known/openid-configuration", found.metadata), Route("/keys", found.keys)]
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off", ws="none")
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.01)
    yield found
    server.should_exit = True
    await task


def settings_of(issuer: Issuer, **more: Any) -> Settings:
    oauth = {"issuer": issuer.url, "audience": AUDIENCE, **more}
    return Settings.model_validate(
        {
            "server": {"oauth": oauth, "allowed_hosts": ["testserver"]},
            "keys": {"me": {"key": "k-of-mine"}},
            "groups": {"kimi": {"model": "m", "provider": "ollama"}},
            "profiles": {"cursor": {}, "other": {}},
            "mcpServers": {"git": {"command": "x"}},
        }
    )


@asynccontextmanager
async def door(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """In front of an app that tells who has come in, and with what."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller = scope["state"]["caller"]
        names = [name.decode() for name, _ in scope["headers"]]
        await JSONResponse({"name": caller.name, "headers": names})(scope, receive, send)

    transport = httpx.ASGITransport(AuthMiddleware(app, lambda: settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


def bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_token_opens_the_hub_and_goes_no_further(issuer: Issuer) -> None:
    async with door(settings_of(issuer)) as client:
        for _ in range(3):
            answer = await client.get("/mcp", headers=bearer(issuer.token()))
            assert answer.json()["name"] == "token:anna"
            assert "authorization" not in answer.json()["headers"]
        assert issuer.fetched == 1


async def test_keys_open_it_as_before(issuer: Issuer) -> None:
    async with door(settings_of(issuer)) as client:
        assert (await client.get("/mcp", headers=bearer("k-of-mine"))).json()["name"] == "me"
        assert (await client.get("/mcp")).status_code == 401
        assert (await client.get("/healthz")).status_code == 200
        assert issuer.fetched == 0


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example.com"},
        {"aud": "https://other.example.com/mcp"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"nbf": 4_000_000_000},
    ],
    ids=lambda claims: "-".join(f"{name} {value}" for name, value in claims.items()),
)
async def test_tokens_that_are_not_good_here(issuer: Issuer, claims: dict[str, Any]) -> None:
    token = issuer.token(**claims)
    async with door(settings_of(issuer)) as client:
        answer = await client.get("/mcp", headers=bearer(token))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert f'resource_metadata="http://testserver{WELL_KNOWN}/mcp"' in answer.headers["www-authenticate"]
    assert token not in answer.text


async def test_a_token_of_another_key(issuer: Issuer) -> None:
    forged = issuer.token(key=RSAKey.generate_key(2048, {"kid": "one"}, private=True))
    async with door(settings_of(issuer)) as client:
        assert (await client.get("/mcp", headers=bearer(forged))).status_code == 401


async def test_a_token_without_a_signature(issuer: Issuer) -> None:
    import base64

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "anna", "exp": int(time.time()) + 600}
    unsigned = f"{part({'alg': 'none'})}.{part(claims)}."
    async with door(settings_of(issuer)) as client:
        assert (await client.get("/mcp", headers=bearer(unsigned))).status_code == 401


async def test_a_token_in_the_url_is_none(issuer: Issuer) -> None:
    async with door(settings_of(issuer)) as client:
        assert (await client.get("/mcp", params={"key": issuer.token()})).status_code == 401


async def test_a_known_token_ends_when_it_expires(issuer: Issuer) -> None:
    now = [time.time()]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("in")(scope, receive, send)

    settings = settings_of(issuer)
    transport = httpx.ASGITransport(AuthMiddleware(app, lambda: settings, now=lambda: now[0]))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        token = issuer.token(exp=int(now[0]) + 30)
        assert (await client.get("/mcp", headers=bearer(token))).status_code == 200
        now[0] += 31
        assert (await client.get("/mcp", headers=bearer(token))).status_code == 401


async def test_a_missing_scope_is_said(issuer: Issuer) -> None:
    async with door(settings_of(issuer, scopes=["hub", "tools"])) as client:
        answer = await client.get("/mcp", headers=bearer(issuer.token(scope="hub")))
        assert answer.status_code == 403
        assert 'error="insufficient_scope", scope="hub tools"' in answer.headers["www-authenticate"]
        answer = await client.get("/mcp", headers=bearer(issuer.token(scope="tools hub more")))
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("profile:cursor", "/mcp/cursor", 200),
        ("profile:cursor", "/mcp/other", 403),
        ("profile:cursor", "/mcp", 403),
        ("server:git", "/mcp/git", 200),
        ("server:git", "/mcp/else", 403),
        ("group:kimi", "/kimi/v1/models", 200),
        ("group:other", "/kimi/v1/models", 403),
        ("", "/mcp", 403),
        ("group:kimi profile:cursor", "/hub/v1/status", 403),
    ],
)
async def test_scopes_limit_what_a_token_opens(issuer: Issuer, scope: str, path: str, status: int) -> None:
    async with door(settings_of(issuer, limit_by_scopes=True)) as client:
        answer = await client.get(path, headers=bearer(issuer.token(scope=scope)))
    assert answer.status_code == status


async def test_clients_find_the_authorization_server(issuer: Issuer) -> None:
    async with door(settings_of(issuer, scopes=["hub"])) as client:
        refused = await client.get("/mcp/cursor")
        assert refused.status_code == 401
        assert "error" not in refused.headers["www-authenticate"]
        for path in (WELL_KNOWN, f"{WELL_KNOWN}/mcp", f"{WELL_KNOWN}/mcp/cursor"):
            document = (await client.get(path)).json()
            assert document["resource"] == AUDIENCE
            assert document["authorization_servers"] == [issuer.url]
            assert document["scopes_supported"] == ["hub"]


async def test_an_mcp_client_finds_its_way_from_the_hub_to_a_login() -> None:
    """The SDK's own discovery, up to the token; this authorization server's tokens are no JWT."""
    listener = bind()
    hub = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with protected_server() as login:
        oauth = {"issuer": f"{login.url}/", "audience": f"{hub}/mcp", "scopes": ["read"]}
        settings = Settings.model_validate({"server": {"oauth": oauth}})
        app = AuthMiddleware(Starlette(), lambda: settings)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            entry = McpServerSettings.model_validate({"url": f"{hub}/mcp/cursor"})
            with pytest.raises(LoginFailed, match="does not accept its token"):
                await log_in(entry, None, browse)
        finally:
            server.should_exit = True
            await task
        (asked,) = login.does.asked
        assert asked.resource == f"{hub}/mcp"
        assert asked.scopes == ["read"]


async def test_without_oauth_nothing_is_there() -> None:
    settings = Settings.model_validate(
        {"keys": {"me": {"key": "k"}}, "server": {"allowed_hosts": ["testserver"]}}
    )
    async with door(settings) as client:
        assert (await client.get(f"{WELL_KNOWN}/mcp")).status_code == 401


@pytest.mark.parametrize(
    "oauth",
    [
        {"issuer": "http://login.example.com", "audience": "https://hub.example.com/mcp"},
        {"issuer": "https://login.example.com", "audience": []},
        {"issuer": "https://login.example.com", "audience": "api://hub"},
    ],
    ids=("plain http", "no audience", "no address"),
)
def test_settings_that_cannot_be(oauth: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"https address|at least 1|as `resource`"):
        Settings.model_validate({"server": {"oauth": oauth}})
