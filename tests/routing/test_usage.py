"""Records of requests: who, when, how many bytes and tokens, and what it cost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from routing.call import client_name
from routing.estimate import SAMPLE
from routing.table import Price, Target
from routing.usage import Record
from tests.routing.scripted_upstream import Connection, Received, scripted
from tests.routing.serving import Served, group, provider, serving, table

WORDS = "It is a truth universally acknowledged. "
"""40 bytes: 10 tokens."""
CHAT = {"model": "g", "messages": [{"role": "user", "content": WORDS * 10}]}


def whole(usage: dict[str, Any] | None) -> dict[str, Any]:
    message = {"role": "assistant", "content": WORDS * 5}
    document = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }  # fmt: skip
    return document if usage is None else {**document, "usage": usage}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    document = {
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more,
    }  # fmt: skip
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def answering(document: dict[str, Any], status: int = 200) -> Any:
    async def script(received: Received, connection: Connection) -> None:
        body = json.dumps(document).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        await connection.head(status, headers, chunked=False)
        await connection.write(body)

    return script


def streaming(pieces: int, *, usage: dict[str, Any] | None = None, cut: bool = False) -> Any:
    async def script(received: Received, connection: Connection) -> None:
        await connection.head(200, {"content-type": "text/event-stream"})
        await connection.chunk(chunk({"role": "assistant", "content": ""}))
        for _ in range(pieces):
            await connection.chunk(chunk({"content": WORDS}))
        if cut:
            connection.abort()
            return
        await connection.chunk(chunk({}, "stop"))
        if usage is not None:
            await connection.chunk(chunk({}, usage=usage))
        await connection.chunk(b"data: [DONE]\n\n")
        await connection.end()

    return script


@asynccontextmanager
async def hub(script: Any, price: Price | None = None) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    async with scripted(script) as upstream:
        target = Target(provider("openai", upstream.url), "m", price=price)
        async with (
            serving(table(group(target))) as served,
            httpx.AsyncClient(base_url=served.url, trust_env=False) as client,
        ):
            yield served, client


async def record_of(served: Served) -> Record:
    await asyncio.wait_for(served.recorded.wait(), 20)
    (record,) = served.records
    return record


TOLD = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
ANTHROPIC = {"model": "g", "max_tokens": 9, "messages": CHAT["messages"]}
PATHS = {"/v1/chat/completions": CHAT, "/v1/messages": ANTHROPIC}
"""Passed through, and converted."""


@pytest.mark.parametrize("path", PATHS)
async def test_a_whole_answer(path: str) -> None:
    before = time.time()
    async with hub(answering(whole(TOLD)), Price(2.0, 10.0)) as (served, client):
        content = json.dumps(PATHS[path]).encode()
        headers = {"content-type": "application/json", "user-agent": "Some-IDE/3.1 (linux)"}
        answer = await client.post(path, content=content, headers=headers)
        record = await record_of(served)
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens, record.estimated) == (1000, 50, False)
    assert record.cost == pytest.approx((1000 * 2 + 50 * 10) / 1e6)
    assert (record.client, record.caller) == ("Some-IDE", "")
    assert (record.bytes_in, record.bytes_out) == (len(content), len(answer.content))
    assert before - 1 <= record.time <= time.time()
    assert (record.error, record.error_kind) == (None, None)


@pytest.mark.parametrize("path", PATHS)
async def test_a_whole_answer_without_usage_is_estimated(path: str) -> None:
    async with hub(answering(whole(None)), Price(2.0, 10.0)) as (served, client):
        await client.post(path, json=PATHS[path])
        record = await record_of(served)
    assert record.usage is not None
    assert record.estimated
    assert record.usage.output_tokens == 50
    assert 100 <= record.usage.input_tokens <= 130
    assert record.cost is not None


@pytest.mark.parametrize("pieces", [3, 40, 4000])
@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_without_usage_is_estimated(path: str, pieces: int) -> None:
    """Long streams by a sample: all pieces are alike here, so it is right but for the ends."""
    async with hub(streaming(pieces)) as (served, client):
        answer = await client.post(path, json={**PATHS[path], "stream": True})
        record = await record_of(served)
    assert (record.stream, record.estimated) == (True, True)
    assert record.usage is not None
    assert record.usage.output_tokens == pytest.approx(pieces * 10, rel=0.1)
    assert 100 <= record.usage.input_tokens <= 130
    assert record.bytes_out == len(answer.content)
    assert len(answer.content) > SAMPLE or pieces < 4000


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_with_usage_is_not_estimated(path: str) -> None:
    async with hub(streaming(40, usage=TOLD)) as (served, client):
        await client.post(path, json={**PATHS[path], "stream": True})
        record = await record_of(served)
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens, record.estimated) == (1000, 50, False)


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_that_is_cut(path: str) -> None:
    async with hub(streaming(40, cut=True)) as (served, client):
        try:
            await client.post(path, json={**PATHS[path], "stream": True})
        except httpx.RemoteProtocolError:
            assert path == "/v1/chat/completions", "passed through, a cut is passed on"
        record = await record_of(served)
    assert record.usage is not None
    assert record.estimated
    assert 0 < record.usage.output_tokens <= 400
    assert record.error is not None
    assert record.error_kind == "upstream"


async def test_media_is_not_taken_for_text() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    body = {"model": "g", "messages": [{"role": "user", "content": [picture]}]}
    async with hub(answering(whole(None))) as (served, client):
        await client.post("/v1/chat/completions", json=body)
        record = await record_of(served)
    assert record.usage is not None
    assert record.usage.input_tokens < 2000


async def test_a_refusal_of_the_upstream() -> None:
    error = {"error": {"message": "no", "type": "invalid_request_error"}}
    async with hub(answering(error, 400), Price(2.0, 10.0)) as (served, client):
        answer = await client.post("/v1/chat/completions", json=CHAT)
        record = await record_of(served)
    assert (record.status, record.error_kind, record.usage, record.cost) == (
        400,
        "invalid_request",
        None,
        None,
    )
    assert record.bytes_out == len(answer.content)


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("/nowhere/v1/chat/completions", json.dumps(CHAT), "not_found"),
        ("/v1/messages", "{", "invalid_request"),
        ("/v1/chat/completions", "[" * 100_000, "invalid_request"),
    ],
)
async def test_what_no_target_was_asked_for_is_recorded(path: str, content: str, kind: str) -> None:
    async with hub(answering(whole(TOLD))) as (served, client):
        answer = await client.post(path, content=content)
        record = await record_of(served)
    assert record == replace(record, status=answer.status_code, error_kind=kind, provider="", usage=None)
    assert (record.bytes_in, record.bytes_out) == (len(content), len(answer.content))
    assert record.request_id == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (b"claude-cli/2.0.1 (external, cli)", "claude-cli"),
        (b"OpenAI/Python 3.54.0", "OpenAI/Python"),
        (b"python-httpx/0.28", "python-httpx"),
        (b"Mozilla/5.0 (X11)", "Mozilla"),
        (b"", ""),
        (b"\xff\xfe", ""),
        (b"<script>alert(1)</script>", ""),
        (b"a" * 1000, "a" * 40),
    ],
)
def test_names_of_clients(user_agent: bytes, name: str) -> None:
    assert client_name(user_agent) == name
