"""The door: Host, Origin, keys in every place, and credentials that go no further."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import AsyncMock

import pytest
from starlette.types import Message, Receive, Scope, Send

from hub.auth import ANYONE, CALLER, AuthMiddleware, Caller
from hub.settings import Settings

OPEN = Settings()
GUARDED = Settings.model_validate(
    {
        "keys": {
            "admin": {"key": "k-admin"},
            "editor": {"key": "k-editor", "groups": ["kimi"], "profiles": ["cursor"]},
            "chat": {"key": "k-chat", "groups": ["kimi"]},
            "tools": {"key": "k-tools", "profiles": ["cursor"]},
        },
        "groups": {
            "kimi": {"model": "m", "provider": "ollama"},
            "best": {"model": "m", "provider": "ollama"},
        },
        "profiles": {"cursor": {}, "other": {}},
        "mcpServers": {"git": {"command": "x"}},
    }
)


@dataclass
class Recorder:
    """The app inside: keeps the scopes that reach it."""

    scopes: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str
    inner: Scope | None
    scope: Scope


async def call(
    settings: Settings,
    path: str = "/v1/models",
    *,
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    query: str = "",
    host: str | None = "127.0.0.1:11434",
    method: str = "POST",
    **arguments: Any,
) -> Answer:
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    if host is not None:
        pairs.insert(0, ("Host", host))
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "headers": raw,
        "query_string": query.encode(),
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    app = Recorder()
    await AuthMiddleware(app, lambda: settings, **arguments)(scope, receive, send)
    start = sent[0]
    answer_headers = {name.decode(): value.decode() for name, value in start["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    return Answer(start["status"], answer_headers, body, next(iter(app.scopes), None), scope)


# --- Host


@pytest.mark.parametrize(
    ("server", "host", "status"),
    [
        ({}, "127.0.0.1:11434", 200),
        ({}, "localhost:11434", 200),
        ({}, "LocalHost", 200),
        ({}, "localhost.", 200),
        ({}, "[::1]:11434", 200),
        ({}, "localhost:9", 200),
        ({}, "evil.example:11434", 403),
        ({}, "localhost.evil.example", 403),
        ({}, "127.0.0.1.evil.example", 403),
        ({}, "127.0.0.1:11434@evil.example", 403),
        ({}, "192.168.0.7:11434", 403),
        ({}, "", 403),
        ({}, None, 403),
        ({"allowed_hosts": ["hub.example.com"]}, "hub.example.com", 200),
        ({"allowed_hosts": ["Hub.Example.com"]}, "HUB.example.com:443", 200),
        ({"allowed_hosts": ["hub.example.com"]}, "other.example.com", 403),
        ({"allowed_hosts": ["*"]}, "anything.example", 200),
        ({"host": "hub.lan"}, "hub.lan:11434", 200),
        ({"host": "192.168.0.7"}, "192.168.0.7:11434", 200),
        ({"host": "192.168.0.7"}, "192.168.0.8:11434", 403),
        ({"host": "0.0.0.0"}, "192.168.0.7:11434", 200),
        ({"host": "0.0.0.0"}, "[fe80::1]:11434", 200),
        ({"host": "::"}, "10.0.0.1", 200),
        ({"host": "0.0.0.0"}, "evil.example", 403),
    ],
)
async def test_host(server: dict[str, Any], host: str | None, status: int) -> None:
    settings = Settings.model_validate({"server": server})
    for path in ("/v1/models", "/mcp", "/healthz"):
        assert (await call(settings, path, host=host)).status == status


async def test_two_hosts_are_refused() -> None:
    answer = await call(OPEN, headers=[("Host", "evil.example")])
    assert (answer.status, answer.inner) == (403, None)


async def test_a_wrong_host_says_what_to_do() -> None:
    answer = await call(OPEN, host="evil.example")
    assert "evil.example" in answer.body
    assert "`allowed_hosts` under `server`" in answer.body


# --- Origin


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:11434", None, 200),
        ("127.0.0.1:11434", "http://127.0.0.1:11434", 200),
        ("127.0.0.1:11434", "http://localhost:11434", 200),
        ("localhost:11434", "http://[::1]:11434", 200),
        ("localhost", "http://localhost", 200),
        ("127.0.0.1:11434", "http://localhost:3000", 403),
        ("127.0.0.1:11434", "http://localhost", 403),
        ("127.0.0.1:11434", "http://evil.example", 403),
        ("127.0.0.1:11434", "http://evil.example:11434", 403),
        ("127.0.0.1:11434", "http://localhost.evil.example:11434", 403),
        ("127.0.0.1:11434", "ftp://localhost:11434", 403),
        ("127.0.0.1:11434", "null", 403),
        ("127.0.0.1:11434", "", 403),
        ("127.0.0.1:11434", "https://app.example.com", 200),
        ("127.0.0.1:11434", "HTTPS://APP.example.com/", 200),
        ("127.0.0.1:11434", "https://app.example.com.evil.example", 403),
        ("127.0.0.1:11434", "http://app.example.com", 403),
        ("hub.example.com", "https://hub.example.com", 200),
    ],
)
async def test_origin(host: str, origin: str | None, status: int) -> None:
    settings = Settings.model_validate(
        {"server": {"allowed_origins": "https://app.example.com", "allowed_hosts": "hub.example.com"}}
    )
    headers = {} if origin is None else {"Origin": origin}
    for path in ("/mcp", "/kimi/v1/chat/completions", "/healthz"):
        assert (await call(settings, path, host=host, headers=headers)).status == status


async def test_any_origin() -> None:
    settings = Settings.model_validate({"server": {"allowed_origins": "*"}})
    assert (await call(settings, headers={"Origin": "https://anywhere.example"})).status == 200


# --- keys

PLACES = [
    ({"Authorization": "Bearer KEY"}, ""),
    ({"authorization": "bearer  KEY "}, ""),
    ({"x-api-key": "KEY"}, ""),
    ({"x-goog-api-key": "KEY"}, ""),
    ({}, "key=KEY"),
    ({}, "alt=sse&key=KEY&a=b"),
    ({}, "%6Bey=KEY"),
    ({"Authorization": "Bearer something-else", "x-api-key": "KEY"}, ""),
]


@pytest.mark.parametrize(("headers", "query"), PLACES)
async def test_a_key_in_every_place(headers: dict[str, str], query: str) -> None:
    headers = {name: value.replace("KEY", "k-admin") for name, value in headers.items()}
    answer = await call(GUARDED, headers=headers, query=query.replace("KEY", "k-admin"))
    assert answer.status == 200
    assert answer.inner is not None
    assert answer.inner["state"]["caller"] == Caller("admin")


@pytest.mark.parametrize(("headers", "query"), PLACES)
@pytest.mark.parametrize("key", ["wrong", "k-admi", "k-adminn", "K-ADMIN", ""])
async def test_a_wrong_key(headers: dict[str, str], query: str, key: str) -> None:
    headers = {name: value.replace("KEY", key) for name, value in headers.items()}
    answer = await call(GUARDED, headers=headers, query=query.replace("KEY", key))
    assert (answer.status, answer.inner) == (401, None)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not key or key not in answer.body


@pytest.mark.parametrize(
    "path", ["/v1/models", "/mcp", "/mcp/cursor", "/kimi/v1/messages", "/metrics", "/readyz", "/"]
)
async def test_everything_asks_for_a_key(path: str) -> None:
    assert (await call(GUARDED, path)).status == 401
    assert (await call(GUARDED, path, headers={"x-api-key": "k-admin"})).status == 200


async def test_health_asks_for_none() -> None:
    answer = await call(GUARDED, "/healthz")
    assert answer.status == 200
    assert answer.inner is not None
    assert answer.inner["state"]["caller"] is ANYONE


@pytest.mark.parametrize("path", ["/healthz/", "/healthz/x", "//healthz", "/HEALTHZ", "/healthz;x"])
async def test_only_that_path_is_open(path: str) -> None:
    assert (await call(GUARDED, path)).status == 401


@pytest.mark.parametrize(("headers", "query"), PLACES)
async def test_without_keys_any_credential_is_ignored(headers: dict[str, str], query: str) -> None:
    answer = await call(OPEN, headers=headers, query=query)
    assert answer.inner is not None
    assert answer.inner["state"]["caller"] is ANYONE


@pytest.mark.parametrize("settings", [OPEN, GUARDED], ids=["open", "guarded"])
@pytest.mark.parametrize(
    ("headers", "query"), [*PLACES, ({"Authorization": "Basic KEY", "api-key": "KEY"}, "")]
)
async def test_no_credential_goes_further(settings: Settings, headers: dict[str, str], query: str) -> None:
    secret = "k-admin"
    headers = {name: value.replace("KEY", secret) for name, value in headers.items()}
    answer = await call(
        settings,
        headers={**headers, "x-api-key": secret, "accept": "a/b"},
        query=query.replace("KEY", secret),
    )
    assert answer.inner is not None
    assert secret not in repr(answer.inner)
    assert (b"accept", b"a/b") in answer.inner["headers"]
    # Servers write their access log from the scope that they made themselves.
    assert secret not in repr(answer.scope["query_string"])


@pytest.mark.parametrize("settings", [OPEN, GUARDED], ids=["open", "guarded"])
async def test_the_name_of_googles_header_stays_without_its_value(settings: Settings) -> None:
    keys = {"X-Goog-Api-Key": "k-admin", "X-Api-Key": "k-admin", "Authorization": "Bearer k-admin"}
    answer = await call(settings, headers=keys)
    assert answer.inner is not None
    assert answer.inner["headers"] == [(b"host", b"127.0.0.1:11434"), (b"x-goog-api-key", b"")]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("alt=sse&key=x&a=b", b"alt=sse&a=b"),
        ("key=x", b""),
        ("monkey=x&a=%20key", b"monkey=x&a=%20key"),
        ("key=x&key=y", b""),
        ("keys=x", b"keys=x"),
        ("a=1&&b", b"a=1&&b"),
    ],
)
async def test_the_rest_of_the_query_stays(query: str, left: bytes) -> None:
    answer = await call(OPEN, query=query)
    assert answer.scope["query_string"] == left


# --- limited keys


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/mcp", {"admin", "chat"}),
        ("/mcp/", {"admin", "chat"}),
        ("/mcp/git", {"admin", "chat"}),
        ("/mcp/cursor", {"admin", "chat", "editor", "tools"}),
        ("/mcp/other", {"admin", "chat"}),
        ("/kimi/v1/messages", {"admin", "chat", "editor", "tools"}),
        ("/best/v1/messages", {"admin", "tools"}),
        ("//best/v1/messages", {"admin", "tools"}),
        ("/v1/messages", {"admin", "chat", "editor", "tools"}),
        ("/hub/status", {"admin"}),
        ("/metrics", {"admin"}),
    ],
)
async def test_limited_keys(path: str, allowed: set[str]) -> None:
    statuses = {name: (await call(GUARDED, path, query=f"key=k-{name}")).status for name in GUARDED.keys}
    assert statuses == {name: 200 if name in allowed else 403 for name in GUARDED.keys}


async def test_the_caller_carries_its_limits() -> None:
    answer = await call(GUARDED, query="key=k-editor")
    assert answer.inner is not None
    caller: Caller = answer.inner["state"]["caller"]
    assert caller.may_use_group("kimi")
    assert not caller.may_use_group("best")
    assert caller.may_use_profile("cursor")
    assert not caller.may_use_profile("other")


async def test_the_caller_is_known_beyond_the_scope() -> None:
    seen: list[Caller] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(CALLER.get())
        await Recorder()(scope, receive, send)

    async def request(key: str) -> None:
        headers = [(b"host", b"localhost"), (b"x-api-key", key.encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}
        await AuthMiddleware(app, lambda: GUARDED)(scope, AsyncMock(), AsyncMock())

    await request("k-chat")
    await request("k-admin")
    assert [caller.name for caller in seen] == ["chat", "admin"]
    assert CALLER.get() is ANYONE


# --- browsers

PAGE = "https://app.example.com"
BROWSED = Settings.model_validate({"server": {"allowed_origins": PAGE}, "keys": {"me": {"key": "k-me"}}})


async def test_a_preflight_of_an_allowed_page_is_answered_without_a_key() -> None:
    answer = await call(
        BROWSED,
        "/mcp",
        method="OPTIONS",
        headers={
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, mcp-session-id",
            "Access-Control-Request-Private-Network": "true",
        },
    )
    assert (answer.status, answer.inner) == (204, None)
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization, mcp-session-id"
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert answer.headers["vary"] == "origin"


async def test_a_preflight_of_another_page_is_refused() -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await call(BROWSED, method="OPTIONS", headers=headers)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("key", "status"), [("k-me", 200), ("wrong", 401)])
async def test_an_allowed_page_may_read_answers_and_refusals(key: str, status: int) -> None:
    answer = await call(BROWSED, headers={"Origin": PAGE, "x-api-key": key})
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "mcp-session-id" in answer.headers["access-control-expose-headers"]


async def test_an_answer_to_no_page_has_no_such_headers() -> None:
    answer = await call(BROWSED, headers={"x-api-key": "k-me"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    # A plain OPTIONS asks for a key like everything else.
    assert (await call(BROWSED, method="OPTIONS", headers={"Origin": PAGE})).status == 401


# --- the rest


async def test_refusals_have_the_injected_shape() -> None:
    calls: list[tuple[str, int, str, str]] = []

    def error_body(path: str, status: int, kind: str, message: str) -> tuple[str, bytes]:
        calls.append((path, status, kind, message))
        return "text/x-test", b"refused"

    answer = await call(GUARDED, "/kimi/v1/messages", error_body=error_body)
    assert (answer.status, answer.headers["content-type"], answer.body) == (401, "text/x-test", "refused")
    answer = await call(GUARDED, "/best/x", query="key=k-chat", error_body=error_body)
    assert answer.status == 403
    assert [one[:3] for one in calls] == [
        ("/kimi/v1/messages", 401, "authentication"),
        ("/best/x", 403, "permission"),
    ]
    assert "the key `chat` may not use the group `best`" in calls[1][3]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/cursor"])
async def test_refusals_of_mcp_are_json_rpc(path: str) -> None:
    answer = await call(GUARDED, path, error_body=AsyncMock(side_effect=AssertionError))
    assert answer.status == 401
    document = json.loads(answer.body)
    assert (document["jsonrpc"], document["id"], document["error"]["code"]) == ("2.0", None, -32600)
    assert "this hub asks for a key" in document["error"]["message"]


@pytest.mark.parametrize("path", ["/hub/status", "/metrics", "/readyz"])
async def test_refusals_of_the_hub_itself_are_plain(path: str) -> None:
    answer = await call(GUARDED, path, error_body=AsyncMock(side_effect=AssertionError))
    assert json.loads(answer.body)["error"]["type"] == "authentication"


async def test_new_settings_count_at_once() -> None:
    current = [GUARDED]
    app = Recorder()
    middleware = AuthMiddleware(app, lambda: current[0])

    async def request() -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        headers = [(b"host", b"localhost"), (b"x-api-key", b"k-admin")]
        scope = {"type": "http", "path": "/v1/models", "headers": headers, "query_string": b""}
        await middleware(scope, receive, send)
        return int(sent[0]["status"])

    assert await request() == 200
    current[0] = Settings.model_validate({"keys": {"other": {"key": "k-other"}}})
    assert await request() == 401
    current[0] = OPEN
    assert await request() == 200


async def test_websockets_are_guarded_too() -> None:
    sent: list[Message] = []
    received: list[Message] = [{"type": "websocket.connect"}]

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return received.pop()

    app = Recorder()
    scope = {"type": "websocket", "path": "/ws", "headers": [(b"host", b"localhost")], "query_string": b""}
    await AuthMiddleware(app, lambda: GUARDED)(scope, receive, send)
    assert not app.scopes
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]


async def test_lifespan_passes() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    await AuthMiddleware(app, lambda: GUARDED)({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan"]
