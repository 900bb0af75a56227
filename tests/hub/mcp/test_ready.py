"""Lists as ready bytes: what is sent is the same as if it had been encoded for each request."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.types import Message

from hub.endpoints import ready
from tests.hub.mcp.harness import running, stdio

DEFINITIONS = [{"name": "a", "n": 10**30}, {"name": "b", "description": "é \ud800"}]


@pytest.mark.parametrize("definitions", [[], [{"name": "a"}], DEFINITIONS], ids=len)
def test_encoded(definitions: list[dict[str, Any]]) -> None:
    content = ready.encoded(definitions)
    assert json.loads(content) == definitions
    assert b"\n" not in content, "an event has one line of data"


async def answered(messages: list[Message], content: bytes | None) -> list[Message]:
    """What leaves when an answer is made of `messages`; a MARK in them stands for the mark."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {}
    watched = ready.watching(scope, send)
    mark = ready.put(scope, content) if content is not None else "nothing"
    assert mark is not None
    for message in messages:
        if "body" in message:
            message = {**message, "body": message["body"].replace(b"MARK", mark.encode())}
        await watched(message)
    return sent


def start(**headers: str) -> Message:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": raw}


def body(content: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


async def test_a_length_is_that_of_what_is_sent() -> None:
    sent = await answered(
        [start(content_length="13", content_type="application/json"), body(b'{"x":"MARK"}')], b"[1,2]"
    )
    assert sent[1]["body"] == b'{"x":[1,2]}'
    assert sorted(sent[0]["headers"]) == [(b"content-length", b"11"), (b"content-type", b"application/json")]


async def test_events_are_not_held_up() -> None:
    parts = [
        start(content_type="text/event-stream"),
        body(b": ping\n", more=True),
        body(b'data: "MARK"\n', more=True),
    ]
    assert [one.get("body") for one in await answered(parts, b"[]")] == [None, b": ping\n", b"data: []\n"]


async def test_answers_without_a_mark_stay_as_they_are() -> None:
    parts = [start(content_length="5"), body(b"error")]
    assert await answered(parts, None) == parts
    assert await answered(parts, b"[]") == parts


def test_without_a_response_to_watch_there_is_no_mark() -> None:
    assert ready.put(None, b"[]") is None
    assert ready.put({"type": "http"}, b"[]") is None


@pytest.mark.parametrize("modern", [True, False])
async def test_over_http(modern: bool) -> None:
    """Twice, since the second list comes from the first one's bytes; and not for a client's own `id`."""
    version = "2026-07-28" if modern else "2025-11-25"
    info = {"name": "t", "version": "1"}
    meta = {f"io.modelcontextprotocol/{key}": value for key, value in (
        ("protocolVersion", version), ("clientInfo", info), ("clientCapabilities", {}),
    )} if modern else {}  # fmt: skip
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": version}
    async with running({"x": stdio("--prefix", "x")}) as hub, httpx.AsyncClient(trust_env=False) as client:

        async def ask(method: str, **params: Any) -> dict[str, Any]:
            own = {"mcp-method": method} if modern else {}
            message = {
                "jsonrpc": "2.0",
                "id": f"hub-{method}",
                "method": method,
                "params": {**params, "_meta": meta},
            }
            answer = await client.post(hub.url(), json=message, headers={**headers, **own})
            assert answer.status_code == 200
            headers.update({k: v for k, v in answer.headers.items() if k == "mcp-session-id"})
            text = answer.text
            if "event-stream" in answer.headers["content-type"]:
                text = next(line for line in text.splitlines() if '"result"' in line).removeprefix("data:")
            found: dict[str, Any] = json.loads(text)
            assert found["id"] == f"hub-{method}"
            result: dict[str, Any] = found["result"]
            return result

        if not modern:
            await ask("initialize", protocolVersion=version, capabilities={}, clientInfo=info)
            note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            await client.post(hub.url(), json=note, headers=headers)
        for method, key in (
            ("tools/list", "tools"),
            ("prompts/list", "prompts"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
        ):
            first, second = await ask(method), await ask(method)
            assert first == second
            assert first[key][0]["name"], "a list of definitions"
            assert ("ttlMs" in first) is modern
        tools = (await ask("tools/list"))["tools"]
        assert tools == [item.definition for item in hub.hub._catalog.everything.tools]
