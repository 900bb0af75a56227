"""The hub as an OAuth resource server: access tokens (JWT) of an authorization server, beside its keys.

https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization, RFC 9068 (the tokens), RFC 9728
(how clients find the authorization server). Signature, issuer and audience are checked by FastMCP's verifier.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
from mcp.client.auth.utils import build_oauth_authorization_server_metadata_discovery_urls, issuers_match

from hub.keys.caller import Caller
from hub.settings.oauth import TokenSettings

if TYPE_CHECKING:
    from fastmcp.server.auth.providers.jwt import JWTVerifier

log = logging.getLogger("hub.tokens")

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_REMEMBERED = 1000
_REMEMBER_SECONDS = 60.0
"""How long a token that was good is taken for good without another look at its signature."""
_FETCH_SECONDS = 10.0
_LATE_SECONDS = 30.0
"""By which clocks may differ before a token is said to be not valid yet."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A good token without scopes that every token has to have."""

    scopes: tuple[str, ...]


class AccessTokens:
    """`find` whose token it is. `now` gives Unix seconds."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._settings: TokenSettings | None = None
        self._verifier: JWTVerifier | None = None
        self._making = asyncio.Lock()
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def find(self, settings: TokenSettings, token: bytes) -> Caller | Missing | None:
        """None: it is not good here, for whatever reason; the log may have it."""
        if token.count(b".") != 2:
            return None
        if settings is not self._settings:
            self._settings, self._verifier = settings, None
            self._known.clear()
        digest = sha256(token).digest()
        until, caller = self._known.get(digest, (0.0, None))
        if caller is not None and self._now() < until:
            return caller
        return await self._verify(settings, token, digest)

    async def _verify(self, settings: TokenSettings, token: bytes, digest: bytes) -> Caller | Missing | None:
        verifier = await self._verifier_of(settings)
        if verifier is None:
            return None
        found = await verifier.verify_token(token.decode("latin-1"))
        now = self._now()
        if found is None or found.expires_at is None or found.expires_at <= now:
            return None
        starts = found.claims.get("nbf")
        if isinstance(starts, (int, float)) and starts > now + _LATE_SECONDS:
            return None
        if missing := tuple(scope for scope in settings.scopes if scope not in found.scopes):
            return Missing(missing)
        caller = caller_of(settings, found.subject or found.client_id, frozenset(found.scopes))
        self._known[digest] = min(float(found.expires_at), now + _REMEMBER_SECONDS), caller
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return caller

    async def _verifier_of(self, settings: TokenSettings) -> JWTVerifier | None:
        """Made at the first token, since it has to know where the keys are."""
        async with self._making:
            if self._verifier is None and settings is self._settings:
                from fastmcp.server.auth.providers.jwt import JWTVerifier

                url = settings.jwks_url or await _find_keys(settings.issuer)
                if url is None:
                    return None
                self._verifier = JWTVerifier(
                    jwks_uri=url,
                    issuer=settings.issuer,
                    audience=list(settings.audience),
                    algorithm=settings.algorithm,
                )
            return self._verifier


async def _find_keys(issuer: str) -> str | None:
    """`jwks_uri` of the authorization server's metadata (RFC 8414, OpenID Connect Discovery)."""
    async with httpx2.AsyncClient(timeout=_FETCH_SECONDS) as http:
        for url in build_oauth_authorization_server_metadata_discovery_urls(issuer, issuer):
            try:
                answer = await http.get(url)
                document = answer.json() if answer.status_code == 200 else None
            except (httpx2.HTTPError, ValueError):
                continue
            if isinstance(document, dict) and issuers_match(str(document.get("issuer")), issuer):
                found = document.get("jwks_uri")
                if isinstance(found, str):
                    return found
    log.error("no metadata of %s says where its keys are; set `jwks_url` under server.oauth", issuer)
    return None


def caller_of(settings: TokenSettings, name: str, scopes: frozenset[str]) -> Caller:
    """Whoever has the token, with what it may reach; not by the name of a key, which may have a budget."""
    name = f"token:{name}"
    if not settings.limit_by_scopes:
        return Caller(name)
    named = {
        kind: frozenset(scope.removeprefix(f"{kind}:") for scope in scopes if scope.startswith(f"{kind}:"))
        for kind in ("group", "profile", "server")
    }
    servers = named["server"] or None
    return Caller(
        name,
        groups=named["group"],
        # Without one or the other no MCP endpoint is open.
        profiles=named["profile"] or (None if servers else frozenset()),
        servers=servers,
    )


def metadata_url(settings: TokenSettings) -> str:
    """Where the metadata of the hub as a protected resource is (RFC 9728, section 3.1)."""
    parts = urlsplit(settings.resource_url)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def metadata_document(settings: TokenSettings) -> bytes:
    """It is the same for all endpoints: a token for `/mcp` is one for `/mcp/{profile}`, too."""
    document = {
        "resource": settings.resource_url,
        "authorization_servers": [settings.issuer],
        "bearer_methods_supported": ["header"],
        **({"scopes_supported": list(settings.scopes)} if settings.scopes else {}),
        "resource_name": "hub",
    }
    return json.dumps(document).encode()


def challenge(settings: TokenSettings, *, given: bool, missing: tuple[str, ...] = ()) -> str:
    """The value of `WWW-Authenticate` (RFC 6750, section 3)."""
    parts = ['realm="hub"']
    if missing:
        parts.append('error="insufficient_scope"')
    elif given:
        parts.append('error="invalid_token"')
    if settings.scopes:
        parts.append(f'scope="{" ".join(settings.scopes)}"')
    parts.append(f'resource_metadata="{metadata_url(settings)}"')
    return "Bearer " + ", ".join(parts)
