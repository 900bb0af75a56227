"""Who may call: the Host and Origin checks, the hub's keys, and taking credentials off requests.

One raw ASGI middleware around the whole app. What is known in advance is computed once per settings
object (`_Rules`), since this runs for every request.

- `Host` must name this hub, or a web page could reach it through a name of its own that
  resolves to 127.0.0.1 (DNS rebinding). `Origin`, which browsers send, must be the hub's own or allowed.
  The MCP specification asks for both (basic/transports, "Security Warning").
- With keys, of the settings or of `hub keys`, everything but `/healthz` asks for one, in the places where
  the clients of the chat protocols and MCP put it. Without them any credential is ignored.
- With `oauth` under `server`, an access token of that authorization server will do in place of a key.
- What a key may reach is told by the path as far as it can be; its limits count here for chat, and in
  `hub.endpoints` for tools.
- The credential is removed before the app sees the request, so that it can reach no upstream, no MCP
  server and no log. Of `x-goog-api-key` the name stays, with an empty value. The query string is changed in
  the scope itself: servers write their access log from it.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import unquote_plus, unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from hub import cors, tokens
from hub.keys.caller import ANYONE, CALLER, Caller
from hub.keys.meters import Meters
from hub.keys.ring import KeyRing
from hub.keys.store import NOTHING, Stored
from hub.keys.words import refusal_of
from hub.requests import REQUEST
from hub.settings.model import Settings
from hub.settings.oauth import TokenSettings

__all__ = ["ANYONE", "CALLER", "AuthMiddleware", "Caller", "Refusal", "plain_error_body"]

RefusalKind = Literal["authentication", "permission", "rate_limit", "billing"]
ErrorBody = Callable[[str, int, RefusalKind, str], tuple[str, bytes]]
"""`(path, status, kind, message) -> (content type, body)`, in the shape of the path's protocol."""

OPEN_PATHS = frozenset({"/healthz"})
CREDENTIAL_HEADERS = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"})
TELLING_HEADER = b"x-goog-api-key"
"""The one credential header that stays, without its value: it tells Google's SDK from others."""
JSON_RPC_INVALID_REQUEST = -32600
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
WILDCARD_HOSTS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    kind: RefusalKind
    message: str
    retry_after: float | None = None
    """Seconds."""
    challenge: str = 'Bearer realm="hub"'
    """What goes with a 401, and with a token that lacks something."""
    key: str = ""
    """The name of the key that is good, but not for this."""


def plain_error_body(path: str, status: int, kind: RefusalKind, message: str) -> tuple[str, bytes]:
    """An error as plain JSON, for a path of no protocol."""
    return "application/json", json.dumps({"error": {"type": kind, "message": message}}).encode()


def mcp_error_body(path: str, status: int, kind: RefusalKind, message: str) -> tuple[str, bytes]:
    """An error as a JSON-RPC answer to no request in particular, since the request has not been read."""
    error = {"code": JSON_RPC_INVALID_REQUEST, "message": message, "data": {"type": kind}}
    return "application/json", json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()


OWN_ERROR_BODIES: Mapping[str, ErrorBody] = {
    "mcp": mcp_error_body,
    **dict.fromkeys(("hub", "metrics", "readyz", "healthz"), plain_error_body),
}
"""The first path segments that are no chat protocol's."""


class AuthMiddleware:
    """See the module. `settings` and `stored` return what counts now and are asked at every request.

    `error_body` makes the refusals of the chat protocols; those of MCP and of the hub itself are made here.
    `meters` count what the keys with limits do. `now` gives Unix seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Callable[[], Settings],
        error_body: ErrorBody = plain_error_body,
        *,
        stored: Callable[[Settings], Stored] = lambda _: NOTHING,
        meters: Meters | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._settings = settings
        self._stored = stored
        self._error_body = error_body
        self._meters = meters or Meters()
        self._now = now
        self._tokens = tokens.AccessTokens(now)
        self._rules = self._rules_now(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        rules = self._rules = self._rules_now(self._rules)
        request = _Request(scope)
        wrong_place = _wrong_place(rules, request)
        if wrong_place is None and request.origins:
            origin = request.origins[0].encode("latin-1")
            if cors.is_preflight(scope):
                await cors.answer_preflight(scope, origin, send)
                return
            send = cors.readable_by(origin, send)
        oauth = rules.settings.server.oauth
        if wrong_place is None and oauth is not None and _asks_for_metadata(scope):
            await _send_json(send, tokens.metadata_document(oauth))
            return
        answer = wrong_place or _identify(rules, request, self._now)
        if isinstance(answer, Refusal) and answer.status == 401 and oauth is not None:
            answer = await self._by_token(rules, oauth, request, answer)
        if isinstance(answer, Caller):
            await self._serve(answer, scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": answer.message[:100]})
        else:
            await self._refuse(answer, scope["path"], send)

    async def _by_token(
        self, rules: _Rules, oauth: TokenSettings, request: _Request, refusal: Refusal
    ) -> Caller | Refusal:
        """Whose access token it is, where what was sent is no key of the hub."""
        found = await self._tokens.find(oauth, request.bearer) if request.bearer else None
        if isinstance(found, Caller):
            if _out_of_bounds(rules, found, request.path) is None:
                return found
            return Refusal(403, "permission", f"the scopes of this token do not open {request.path}")
        if isinstance(found, tokens.Missing):
            message = f"this token lacks the scope {' '.join(found.scopes)}"
            challenge = tokens.challenge(oauth, given=True, missing=found.scopes)
            return Refusal(403, "permission", message, challenge=challenge)
        challenge = tokens.challenge(oauth, given=bool(request.bearer))
        message = refusal.message
        if not request.credentials:
            message = f"this hub asks for an access token of {oauth.issuer}, or for one of its keys"
        elif request.bearer and request.bearer.count(b".") == 2:
            message = f"this token is not good here: expired, or not made by {oauth.issuer} for this hub"
        return Refusal(401, "authentication", message, challenge=challenge)

    def _rules_now(self, rules: _Rules | None) -> _Rules:
        settings = self._settings()
        stored = self._stored(settings)
        if rules is not None and rules.settings is settings and rules.stored is stored:
            return rules
        return _Rules(settings, stored, self._meters)

    async def _serve(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        meter = caller.meter if _is_metered(scope) else None
        if meter is not None and (exceeded := meter.enter()) is not None:
            refusal = Refusal(*refusal_of(caller.name, exceeded), key=caller.name)
            await self._refuse(refusal, scope["path"], send)
            return
        scope.setdefault("state", {})["caller"] = caller
        token = CALLER.set(caller)
        try:
            await self._app(scope, receive, send)
        finally:
            CALLER.reset(token)
            if meter is not None:
                meter.leave()

    async def _refuse(self, refusal: Refusal, path: str, send: Send) -> None:
        if refusal.key and (request := REQUEST.get()) is not None:
            request.key = refusal.key
        error_body = OWN_ERROR_BODIES.get(path.lstrip("/").partition("/")[0], self._error_body)
        content_type, body = error_body(path, refusal.status, refusal.kind, refusal.message)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        if refusal.status == 401 or "error=" in refusal.challenge:
            headers.append((b"www-authenticate", refusal.challenge.encode()))
        if refusal.retry_after is not None:
            headers.append((b"retry-after", str(max(1, math.ceil(refusal.retry_after))).encode()))
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _asks_for_metadata(scope: Scope) -> bool:
    return scope.get("method") == "GET" and (
        scope["path"] == tokens.WELL_KNOWN or scope["path"].startswith(f"{tokens.WELL_KNOWN}/mcp")
    )


async def _send_json(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _is_metered(scope: Scope) -> bool:
    """Chat requests count here. Lists of models do not; tools count where a request to a server is known."""
    return scope.get("method") == "POST" and scope["path"].lstrip("/").partition("/")[0] != "mcp"


class _Rules:
    """What one settings object and one file of keys allow, ready to be compared with."""

    def __init__(self, settings: Settings, stored: Stored, meters: Meters) -> None:
        server = settings.server
        self.settings = settings
        self.stored = stored
        self.ring = KeyRing(settings.keys, stored, meters)
        self.hosts = LOOPBACK_NAMES | {_bare(server.host)} | {_bare(name) for name in server.allowed_hosts}
        self.any_address = _bare(server.host) in WILDCARD_HOSTS
        self.any_host = "*" in self.hosts
        self.origins = frozenset(origin.casefold().rstrip("/") for origin in server.allowed_origins)
        self.groups = frozenset(settings.groups)

    def accepts_host(self, name: str) -> bool:
        return name in self.hosts or self.any_host or (self.any_address and _is_address(name))

    def accepts_origin(self, origin: str, host: str, port: str) -> bool:
        """`host` and `port` are those of the request's own `Host`, which has been accepted before."""
        origin = origin.casefold().rstrip("/")
        if origin in self.origins or "*" in self.origins:
            return True
        scheme, separator, rest = origin.partition("://")
        match = _HOST.fullmatch(rest)
        if not separator or match is None or scheme not in ("http", "https"):
            return False
        default_port = "443" if scheme == "https" else "80"
        name = _bare(match["name"])
        same_port = (match["port"] or default_port) == (port or default_port)
        return same_port and (name == host or (name in LOOPBACK_NAMES and host in LOOPBACK_NAMES))


class _Request:
    """What matters of a request here. Making it takes the credentials off the scope."""

    __slots__ = ("bearer", "credentials", "host_names", "origins", "path")

    def __init__(self, scope: Scope) -> None:
        self.path: str = scope["path"]
        self.host_names: list[str] = []
        self.origins: list[str] = []
        self.credentials: list[bytes] = []
        self.bearer = b""
        """Of the header alone: an access token must not stand in a URL (RFC 6750, section 2.3)."""
        headers = []
        for header in scope["headers"]:
            name, value = header
            if name in CREDENTIAL_HEADERS:
                self.credentials.append(_credential(name, value))
                if name == b"authorization":
                    self.bearer = self.credentials[-1]
                if name == TELLING_HEADER:
                    headers.append((name, b""))
                continue
            if name == b"host":
                self.host_names.append(value.decode("latin-1"))
            elif name == b"origin":
                self.origins.append(value.decode("latin-1"))
            headers.append(header)
        if self.credentials:
            scope["headers"] = headers
        if b"key" in scope["query_string"] or b"%" in scope["query_string"]:
            self.credentials.extend(_take_query_key(scope))


def _wrong_place(rules: _Rules, request: _Request) -> Refusal | None:
    """The refusal of a Host that is not the hub's, or of a web page that may not call."""
    match = _HOST.fullmatch(request.host_names[0]) if len(request.host_names) == 1 else None
    host = _bare(match["name"]) if match is not None else ""
    if match is None or not rules.accepts_host(host):
        return _wrong_host(request.host_names)
    for origin in request.origins:
        if not rules.accepts_origin(origin, host, match["port"] or ""):
            return _wrong_origin(origin)
    return None


def _identify(rules: _Rules, request: _Request, now: Callable[[], float]) -> Caller | Refusal:
    """Who it is, or the refusal of one without a key, or beyond what the key is for."""
    needed = rules.ring.is_needed or rules.settings.server.oauth is not None
    if not needed or request.path in OPEN_PATHS:
        return ANYONE
    grant = rules.ring.find(request.credentials)
    if grant is None:
        return _wrong_key(rules.ring, given=bool(request.credentials))
    if grant.expires is not None and now() >= grant.expires:
        return _expired(grant.caller.name, grant.expires)
    return _out_of_bounds(rules, grant.caller, request.path) or grant.caller


def _out_of_bounds(rules: _Rules, caller: Caller, path: str) -> Refusal | None:
    """The refusal of a limited key where the path alone shows that it does not reach there.

    A group that the body names is not seen here: that is the gateway's to refuse.
    """
    if not caller.is_limited:
        return None
    first, _, rest = path.lstrip("/").partition("/")
    if first == "mcp":
        name = rest.strip("/")  # as hub.mcp_hub reads it
        allowed = _may_use_endpoint(rules, caller, name)
        what = f"the MCP endpoint /mcp/{name}" if name else "the MCP endpoint /mcp"
    elif first in ("hub", "metrics"):
        allowed, what = False, f"/{first}"
    else:
        allowed, what = first not in rules.groups or caller.may_use_group(first), f"the group `{first}`"
    if allowed:
        return None
    return Refusal(
        403,
        "permission",
        f"the key `{caller.name}` may not use {what}; whoever made it can see what it may: "
        f"`hub keys show {caller.name}`",
        key=caller.name,
    )


def _may_use_endpoint(rules: _Rules, caller: Caller, name: str) -> bool:
    if caller.profiles is not None:
        return name in caller.profiles
    if caller.servers is None or not name or name in rules.settings.profiles:
        return True  # what is there is narrowed to what the key may see
    return name in caller.servers


def _credential(name: bytes, value: bytes) -> bytes:
    if name == b"authorization":
        scheme, _, token = value.strip().partition(b" ")
        return token.strip() if scheme.lower() == b"bearer" else b""
    return value.strip()


def _take_query_key(scope: Scope) -> Iterator[bytes]:
    """Remove every `key=` from the query string, in place, and yield the values."""
    kept = []
    for pair in scope["query_string"].split(b"&"):
        name, _, value = pair.partition(b"=")
        if unquote_plus(name.decode("latin-1")) == "key":
            yield unquote_to_bytes(value.replace(b"+", b" ")).strip()
        else:
            kept.append(pair)
    scope["query_string"] = b"&".join(kept)


def _wrong_host(names: list[str]) -> Refusal:
    named = (
        f"names {names[0][:100]!r}" if len(names) == 1 else "is missing" if not names else "is there twice"
    )
    return Refusal(
        403,
        "permission",
        f"the Host header {named}, which is not a name of this hub; if it should be, "
        "add it to `allowed_hosts` under `server` in the settings",
    )


def _wrong_origin(origin: str) -> Refusal:
    return Refusal(
        403,
        "permission",
        f"web pages of {origin[:100]!r} may not call this hub; if they should, "
        "add it to `allowed_origins` under `server` in the settings",
    )


def _wrong_key(ring: KeyRing, *, given: bool) -> Refusal:
    if not ring.grants:
        message = "this hub asks for a key and has none: `hub keys add NAME` makes one"
    elif given:
        message = "this key is not one of the hub's"
    else:
        message = "this hub asks for a key: send one of them as `Authorization: Bearer …` or `x-api-key`"
    return Refusal(401, "authentication", message)


def _expired(name: str, moment: float) -> Refusal:
    when = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
    message = f"the key `{name}` expired on {when}; ask for a new one (`hub keys rotate {name}`)"
    return Refusal(401, "authentication", message, key=name)


def _bare(host: str) -> str:
    """A host name or address to compare by: lower case, without brackets and final dot."""
    return host.strip("[]").casefold().rstrip(".")


def _is_address(name: str) -> bool:
    """An address cannot be rebound as a name can."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
