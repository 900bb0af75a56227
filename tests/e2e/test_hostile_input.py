"""Random and malformed bodies, headers and paths at the endpoints of the real program.

Whatever comes, the answer is a 4xx in the client's own protocol, never a 500 and never a traceback.
`tests/routing/test_hostile.py` has five hundred for each endpoint, in one process.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.registry import codecs
from tests.e2e.program import Program, program

SETTINGS = {
    "providers": {
        codec.name: {"protocol": codec.name, "base_url": "http://127.0.0.1:9", "api_key": "none"}
        for codec in codecs()
    },
    "groups": {codec.name: {"provider": codec.name, "model": "m"} for codec in codecs()},
}
ENDPOINTS = sorted(
    {
        (codec.name, prefix + route.path.replace("{model:path}", "some/model").replace("{model}", "some"))
        for codec in codecs()
        for route in codec.routes
        if route.method == "POST"
        for prefix in ("", "/openai", "/anthropic", "/switch", "/gemini/compat")
    }
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with program(tmp_path_factory.mktemp("hostile"), SETTINGS) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture(scope="module")
def client(hub: Program) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.url, trust_env=False) as made:
        yield made


def has_shape(protocol: str, document: Any) -> bool:
    """Whether `document` is an error of `protocol`, as its SDK reads it."""
    error = document.get("error")
    match protocol:
        case "openai" | "openai-responses":
            return isinstance(error, dict) and {"message", "type"} <= set(error)
        case "anthropic":
            return document.get("type") == "error" and {"message", "type"} <= set(error)
        case "gemini":
            return isinstance(error, dict) and {"code", "message", "status"} <= set(error)
        case _:
            return isinstance(error, str)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10)
FIELDS = [
    "model",
    "messages",
    "input",
    "contents",
    "prompt",
    "system",
    "tools",
    "tool_choice",
    "stream",
    "role",
    "content",
    "type",
    "text",
    "parts",
    "functionDeclarations",
    "name",
    "parameters",
    "generationConfig",
    "max_tokens",
    "temperature",
    "thinking",
    "id",
    "arguments",
    "image_url",
    "source",
    "options",
    "format",
    "tool_calls",
    "function",
    "tool_use_id",
    "call_id",
]
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=15,
)
bodies = st.one_of(
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(FIELDS), values, min_size=1).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from(
        [
            b"",
            b"{",
            b"[" * 3000,
            b'{"a":' * 3000,
            b"\xff\xfe",
            b"null",
            b'{"model": 1e999}',
            b'{"model":"\\ud800"}',
        ]
    ),
)
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
headers = st.dictionaries(
    st.sampled_from(["content-type", "accept", "anthropic-version", "anthropic-beta", "x-api-key", "x-odd"]),
    header_values,
    max_size=3,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(endpoint=st.sampled_from(ENDPOINTS), body=bodies, more=headers)
def test_any_body_at_any_endpoint(
    client: httpx.Client, endpoint: tuple[str, str], body: bytes, more: dict[str, str]
) -> None:
    """An acceptable body finds nobody listening behind: that is the upstream's 502, no fault of the hub."""
    protocol, path = endpoint
    answer = client.post(path, content=body, headers=more)
    assert answer.status_code in range(200, 500) or answer.status_code in (501, 502), answer.text
    if answer.status_code >= 400:
        assert has_shape(protocol, answer.json()), (path, answer.text)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=30),
)
def test_any_path(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(
        method,
        httpx.URL("http://x/").copy_with(
            host="127.0.0.1", port=client.base_url.port, raw_path=b"/" + path.encode()
        ),
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and method != "HEAD":
        answer.json()


RAW = {
    "no method": b"\r\n\r\n",
    "bad version": b"GET / HTTP/9.9\r\n\r\n",
    "bad length": b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: many\r\n\r\n",
    "two lengths": (
        b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"
    ),
    "bad chunk": b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "binary": bytes(range(256)),
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "foreign host": b"GET /v1/models HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "foreign origin": b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: https://evil.example\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
def test_raw_bytes(hub: Program, name: str) -> None:
    """Refused with a 4xx, or the connection is closed."""
    with socket.create_connection(("127.0.0.1", hub.port), 5) as connection:
        connection.settimeout(5)
        connection.sendall(RAW[name])
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_a_body_that_is_too_large(hub: Program) -> None:
    head = "POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 99999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", hub.port), 5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_websocket_upgrade_is_told_to_fall_back(client: httpx.Client) -> None:
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert client.get("/v1/responses", headers=upgrade).status_code == 426


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/openai", "/healthz"])
def test_the_root_answers(client: httpx.Client, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 200


def test_an_unknown_group_is_404_and_names_the_known_ones(client: httpx.Client) -> None:
    answer = client.post("/antropic/v1/messages", json={"model": "m", "messages": [], "max_tokens": 1})
    assert answer.status_code == 404
    assert "anthropic" in answer.json()["error"]["message"]
