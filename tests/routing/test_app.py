"""Paths, methods, limits, model lists: what the endpoints are, beside chatting."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from adapters.registry import codec
from routing.app import error_body
from routing.table import Table, Target
from tests.routing.samples import SAMPLES, error_message
from tests.routing.scripted_upstream import answers, scripted
from tests.routing.serving import group, provider, serving, table

CHAT = SAMPLES["openai"]
NOWHERE = "http://127.0.0.1:1"


def some_groups() -> Table:
    up = provider("openai", NOWHERE)
    mapped = (("*haiku*", Target(up, "small")), ("gpt-alias", Target(up, "other")))
    return table(
        group(Target(up, "m1"), name="kimi", models=mapped, description="Kimi K2"),
        group(Target(up, "m2"), name="qwen"),
        default="kimi",
    )


@pytest.mark.parametrize("prefix", ["", "/kimi", "/switch"])
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_every_prefix_leads_to_chat(sample, prefix: str) -> None:
    async with scripted(answers(sample.answer)) as upstream:
        up = provider(sample.protocol, upstream.url)
        groups = table(group(Target(up, "m"), name="kimi"), default="kimi")
        async with serving(groups) as hub, httpx.AsyncClient() as client:
            answer = await client.post(f"{hub.url}{prefix}{sample.path}", json=sample.body)
    assert (answer.status_code, answer.headers["x-hub-group"]) == (200, "kimi")


@pytest.mark.parametrize(
    ("prefix", "model", "target"),
    [
        ("", "unheard-of", "up/m1"),
        ("", "qwen", "up/m2"),
        ("", "gpt-alias", "up/other"),
        ("", "claude-haiku-9", "up/small"),
        ("", "claude-HAIKU-9", "up/m1"),
        ("/kimi", "qwen", "up/m1"),
        ("/qwen", "claude-haiku-9", "up/m2"),
        ("/switch", "qwen", "up/m2"),
        ("/switch", "unheard-of", "up/m2"),
    ],
)
async def test_who_answers(prefix: str, model: str, target: str) -> None:
    async with (
        serving(some_groups(), active_group=lambda: "qwen" if prefix == "/switch" else None) as hub,
        httpx.AsyncClient() as client,
    ):
        body = {**CHAT.body, "model": model}
        answer = await client.post(f"{hub.url}{prefix}{CHAT.path}", json=body)
    assert answer.headers["x-hub-target"] == target


async def test_an_unknown_group_names_the_nearest() -> None:
    async with serving(some_groups()) as hub, httpx.AsyncClient() as client:
        for sample in SAMPLES.values():
            answer = await client.post(f"{hub.url}/qwenn{sample.path}", json=sample.body)
            assert answer.status_code == 404
            assert "`qwenn`" in error_message(sample, answer.json())
            assert "Known groups: qwen, kimi." in error_message(sample, answer.json())


async def test_without_groups_the_error_says_what_to_do() -> None:
    async with serving(Table()) as hub, httpx.AsyncClient() as client:
        answer = await client.post(f"{hub.url}{CHAT.path}", json=CHAT.body)
    assert answer.status_code == 404
    assert "`groups:`" in error_message(CHAT, answer.json())


async def test_model_lists_are_told_apart_by_headers() -> None:
    async with serving(some_groups()) as hub, httpx.AsyncClient() as client:
        openai = (await client.get(f"{hub.url}/v1/models")).json()
        anthropic = (
            await client.get(f"{hub.url}/v1/models", headers={"anthropic-version": "2023-06-01"})
        ).json()
        gemini = (await client.get(f"{hub.url}/v1/models", headers={"x-goog-api-key": "k"})).json()
        beta = (await client.get(f"{hub.url}/v1beta/models")).json()
        ollama = (await client.get(f"{hub.url}/api/tags")).json()
        one = (await client.get(f"{hub.url}/qwen/v1/models")).json()
    names = ["kimi", "gpt-alias", "qwen"]
    assert [each["id"] for each in openai["data"]] == names
    assert openai["object"] == "list"
    assert [each["id"] for each in anthropic["data"]] == names
    assert anthropic["has_more"] is False
    assert [each["name"] for each in gemini["models"]] == [f"models/{name}" for name in names]
    assert beta == gemini
    assert [each["name"] for each in ollama["models"]] == names
    assert [each["id"] for each in one["data"]] == ["qwen"]


async def test_one_model() -> None:
    async with serving(some_groups()) as hub, httpx.AsyncClient() as client:
        openai = (await client.get(f"{hub.url}/v1/models/kimi")).json()
        anthropic = (
            await client.get(f"{hub.url}/v1/models/kimi", headers={"anthropic-version": "2023-06-01"})
        ).json()
        gemini = (await client.get(f"{hub.url}/v1beta/models/kimi")).json()
        ollama = (await client.post(f"{hub.url}/api/show", json={"model": "kimi:latest"})).json()
        missing = await client.get(f"{hub.url}/v1/models/kimmi")
    assert (openai["id"], anthropic["id"], anthropic["type"]) == ("kimi", "kimi", "model")
    assert gemini["name"] == "models/kimi"
    assert "tools" in ollama["capabilities"]
    assert missing.status_code == 404
    assert "kimi" in error_message(CHAT, missing.json())


async def test_paths_that_nobody_has() -> None:
    async with serving(some_groups()) as hub, httpx.AsyncClient() as client:
        for path, protocol in {
            "/v1/nope": "openai",
            "/v1/messages/nope": "anthropic",
            "/kimi/v1/responses/x": "openai-responses",
            "/v1beta/nope": "gemini",
            "/kimi/api/nope": "ollama",
            "/a/b/c/d": "openai",
        }.items():
            answer = await client.get(hub.url + path)
            assert answer.status_code == 404
            message = error_message(SAMPLES[protocol], answer.json())
            assert codec(protocol).title in message, "its own paths, as the nearest"
            assert codec(protocol).routes[0].path in message


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_a_wrong_method_names_the_right_one(sample) -> None:
    async with serving(some_groups()) as hub, httpx.AsyncClient() as client:
        answer = await client.delete(f"{hub.url}/kimi{sample.path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "takes POST" in error_message(sample, answer.json())


async def test_signs_of_being_there() -> None:
    async with serving(some_groups()) as hub, httpx.AsyncClient() as client:
        assert (await client.get(f"{hub.url}/")).json() == {"status": "ok"}
        for path in ("/", "/api/hello", "/v1/models"):
            answer = await client.head(hub.url + path)
            assert (answer.status_code, answer.content) == (200, b"")
        assert "version" in (await client.get(f"{hub.url}/api/version")).json()


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_a_body_over_the_limit(declared: bool) -> None:
    body = json.dumps({**CHAT.body, "padding": "x" * 3000}).encode()

    async def pieces():
        for at in range(0, len(body), 500):
            yield body[at : at + 500]

    async with serving(some_groups(), max_body_bytes=lambda: 2000) as hub, httpx.AsyncClient() as client:
        answer = await client.post(f"{hub.url}{CHAT.path}", content=body if declared else pieces())
    assert answer.status_code == 413
    assert "2000" in error_message(CHAT, answer.json())


async def test_a_compressed_body_is_refused() -> None:
    async with serving(some_groups()) as hub, httpx.AsyncClient() as client:
        answer = await client.post(
            f"{hub.url}{CHAT.path}", content=b"\x1f\x8b", headers={"content-encoding": "gzip"}
        )
    assert answer.status_code == 415
    assert "`gzip`" in error_message(CHAT, answer.json())


async def test_a_websocket_is_told_to_use_http() -> None:
    async with serving(some_groups()) as hub:
        host, port = hub.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 426 ")


async def test_tokens_are_counted_by_the_upstream_or_estimated() -> None:
    body = SAMPLES["anthropic"].body
    async with scripted(answers({"input_tokens": 42})) as upstream:
        up = provider("anthropic", upstream.url)
        groups = table(
            group(Target(up, "m"), name="same"),
            group(Target(provider("openai", upstream.url), "m"), name="other"),
        )
        async with serving(groups) as hub, httpx.AsyncClient() as client:
            same = await client.post(f"{hub.url}/same/v1/messages/count_tokens?beta=true", json=body)
            other = await client.post(f"{hub.url}/other/v1/messages/count_tokens", json=body)
            gemini = await client.post(
                f"{hub.url}/other/v1beta/models/x:countTokens", json=SAMPLES["gemini"].body
            )
            upstream.script = answers({"error": "no such path"}, 404)
            missing = await client.post(f"{hub.url}/same/v1/messages/count_tokens", json=body)
            bad = await client.post(f"{hub.url}/other/v1/messages/count_tokens", json={"messages": 5})
    assert (same.json(), same.headers.get("x-hub-estimated")) == ({"input_tokens": 42}, None)
    assert upstream.requests[0].target == "/v1/messages/count_tokens?beta=true"
    assert upstream.requests[0].json["model"] == "m"
    for estimate in (other, missing):
        assert estimate.status_code == 200
        assert estimate.json()["input_tokens"] > 0
        assert estimate.headers["x-hub-estimated"] == "true"
    assert gemini.json()["totalTokens"] > 0
    assert len(upstream.requests) == 2, "a count never runs a generation"
    assert bad.status_code == 400


async def test_embeddings_pass_through_to_the_same_protocol() -> None:
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "model": "m",
    }
    async with scripted(answers(answer)) as upstream:
        groups = table(
            group(Target(provider("openai", upstream.url), "m"), name="same"),
            group(Target(provider("anthropic", upstream.url), "m"), name="other"),
        )
        async with serving(groups) as hub, httpx.AsyncClient() as client:
            body = {"model": "x", "input": "text"}
            same = await client.post(f"{hub.url}/same/v1/embeddings", json=body)
            other = await client.post(f"{hub.url}/other/v1/embeddings", json=body)
    assert same.json() == answer
    assert upstream.requests[0].target == "/v1/embeddings"
    assert other.status_code == 501
    error_message(CHAT, other.json())


@pytest.mark.parametrize(
    ("path", "protocol"),
    [
        ("/v1/chat/completions", "openai"),
        ("/kimi/v1/messages", "anthropic"),
        ("/v1/responses", "openai-responses"),
        ("/switch/compat/v1beta/models/x:generateContent", "gemini"),
        ("/api/chat", "ollama"),
        ("/", "openai"),
    ],
)
def test_errors_of_the_door_have_the_shape_of_the_path(path: str, protocol: str) -> None:
    content_type, body = error_body(path, 401, "authentication", "no key")
    assert content_type == "application/json"
    assert error_message(SAMPLES[protocol], json.loads(body)) == "no key"
