"""Rates and budgets through a whole hub: refused in the client's own protocol, and free again in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.registry import codecs
from hub.app import Hub
from hub.keys.meters import Clocks
from hub.keys.store import StoredKey, change, digest_of, now
from hub.settings import load_settings
from tests.hub.mcp.harness import until
from tests.routing.scripted_upstream import Connection, Received, scripted

KEY = "hub_anna-0123456789"
CHATS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "openai-responses": ("/v1/responses", {"input": "hi"}),
    "anthropic": ("/v1/messages", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}),
    "gemini": ("/v1beta/models/any:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
    "ollama": ("/api/chat", {"messages": [{"role": "user", "content": "hi"}], "stream": False}),
}
RATE_SHAPES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "openai": lambda body: body["error"]["type"] == "rate_limit_error",
    "openai-responses": lambda body: body["error"]["type"] == "rate_limit_error",
    "anthropic": lambda body: (body["type"], body["error"]["type"]) == ("error", "rate_limit_error"),
    "gemini": lambda body: body["error"]["status"] == "RESOURCE_EXHAUSTED",
    "ollama": lambda body: "minute" in body["error"],
}
BUDGET_SHAPES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "openai": lambda body: body["error"]["code"] == "insufficient_quota",
    "openai-responses": lambda body: body["error"]["code"] == "insufficient_quota",
    "anthropic": lambda body: body["error"]["type"] == "billing_error",
    "gemini": lambda body: body["error"]["code"] == 402,
    "ollama": lambda body: "budget" in body["error"],
}


def test_every_protocol_is_here() -> None:
    names = {codec.name for codec in codecs()}
    assert names == CHATS.keys() == RATE_SHAPES.keys() == BUDGET_SHAPES.keys()


@dataclass
class Model:
    """An OpenAI upstream that counts 600,000 tokens in and 400,000 out, and waits while it is told to."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def answer(self, received: Received, connection: Connection) -> None:
        self.asked += 1
        stream = received.json.get("stream")
        usage = {"prompt_tokens": 600_000, "completion_tokens": 400_000, "total_tokens": 1_000_000}
        choice = {"index": 0, "finish_reason": "stop"}
        said = {"role": "assistant", "content": "hello"}
        common = {"id": "c", "created": 1, "model": "m", "usage": usage}
        if not stream:
            body = {**common, "object": "chat.completion", "choices": [{**choice, "message": said}]}
            await connection.head(200, {"content-type": "application/json"})
            await self.go_on.wait()
            await connection.chunk(json.dumps(body).encode())
        else:
            chunk = {**common, "object": "chat.completion.chunk", "choices": [{**choice, "delta": said}]}
            await connection.head(200, {"content-type": "text/event-stream"})
            await connection.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            await self.go_on.wait()
            await connection.chunk(b"data: [DONE]\n\n")
        await connection.end()


@dataclass
class House:
    hub: Hub
    client: httpx.AsyncClient
    model: Model
    keys: Path
    seconds: list[float]
    """What has to be added to the clocks."""

    async def chat(self, protocol: str = "openai", key: str = KEY, **more: Any) -> httpx.Response:
        path, body = CHATS[protocol]
        headers = {"authorization": f"Bearer {key}"}
        return await self.client.post(path, json={**body, "model": "g", **more}, headers=headers)


@asynccontextmanager
async def house(folder: Path, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> AsyncIterator[House]:
    for variable in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(folder))
    keys = folder / "keys.json"
    add(keys, "anna", KEY, **limits)
    model = Model()
    model.go_on.set()
    async with scripted(model.answer) as upstream:
        settings = {
            "server": {"keys_file": "keys.json"},
            "providers": {"p": {"protocol": "openai", "base_url": f"{upstream.url}/v1"}},
            "groups": {"g": {"model": "m", "provider": "p"}},
            "prices": {"p/m": {"input": 0.5, "output": 1.0}},  # 0.70 for each answer of the model
        }
        (folder / "hub.yaml").write_text(json.dumps(settings))
        seconds = [0.0]
        hub = Hub(lambda: load_settings(folder / "hub.yaml", environ={}))
        clocks = Clocks(lambda: 1000 + seconds[0], lambda: 1_800_000_000 + seconds[0])
        monkeypatch.setattr(hub.meters, "_clocks", clocks)
        monkeypatch.setattr(hub.meters, "_aside", lambda work: work())
        async with hub:
            transport = httpx.ASGITransport(hub.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                yield House(hub, client, model, keys, seconds)


def add(path: Path, name: str, key: str, **limits: Any) -> None:
    made = StoredKey.model_validate({"hash": digest_of(key), "created": now(), **limits})
    change(path, lambda keys: keys.update({name: made}))


@pytest.mark.parametrize("protocol", CHATS)
async def test_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    async with house(tmp_path, monkeypatch, rpm=2) as here:
        assert [(await here.chat(protocol)).status_code for _ in range(2)] == [200, 200]
        refused = await here.chat(protocol)
        assert refused.status_code == 429
        assert RATE_SHAPES[protocol](refused.json()), refused.text
        assert "`anna`" in refused.text
        assert KEY not in refused.text
        assert here.model.asked == 2
        wait = int(refused.headers["retry-after"])
        assert 0 < wait <= 61
        here.seconds[0] += wait - 1
        assert (await here.chat(protocol)).status_code == 429
        here.seconds[0] += 1
        assert (await here.chat(protocol)).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    async with house(tmp_path, monkeypatch, tpm=1_000_001) as here:
        for status in (200, 200, 429):
            assert (await here.chat(stream=stream)).status_code == status
        here.seconds[0] += 61
        assert (await here.chat(stream=stream)).status_code == 200


@pytest.mark.parametrize("protocol", CHATS)
async def test_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    async with house(tmp_path, monkeypatch, budget="1/day") as here:
        assert [(await here.chat(protocol)).status_code for _ in range(2)] == [200, 200]
        refused = await here.chat(protocol)
        assert refused.status_code == 402
        assert BUDGET_SHAPES[protocol](refused.json()), refused.text
        assert "$1/day" in refused.text
        here.seconds[0] += int(refused.headers["retry-after"])
        assert (await here.chat(protocol)).status_code == 200


async def test_what_was_spent_is_known_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, monkeypatch, budget="1") as here:
        assert [(await here.chat()).status_code for _ in range(2)] == [200, 200]
        made = here.keys.read_bytes()
    async with house(tmp_path, monkeypatch, budget="1") as here:
        here.keys.write_bytes(made)  # the key as it was, made before what it spent
        assert (await here.chat()).status_code == 402


@pytest.mark.parametrize("stream", [False, True])
async def test_requests_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    async with house(tmp_path, monkeypatch, concurrency=1) as here:
        here.model.go_on.clear()
        first = asyncio.create_task(here.chat(stream=stream))
        await until(lambda: here.model.asked == 1)
        refused = await here.chat()
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        here.model.go_on.set()
        assert (await first).status_code == 200
        assert (await here.chat()).status_code == 200


async def test_who_goes_away_leaves_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, monkeypatch, concurrency=1) as here:
        here.model.go_on.clear()
        first = asyncio.create_task(here.chat(stream=True))
        await until(lambda: here.model.asked == 1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        here.model.go_on.set()
        assert (await here.chat()).status_code == 200


async def test_lists_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, monkeypatch, rpm=1, concurrency=1) as here:
        headers = {"x-api-key": KEY}
        for path in ("/v1/models", "/api/tags", "/api/version", "/v1beta/models") * 3:
            assert (await here.client.get(path, headers=headers)).status_code == 200
        assert (await here.chat()).status_code == 200


async def test_keys_do_not_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, monkeypatch, rpm=1) as here:
        add(here.keys, "bob", "hub_bob", rpm=1)
        for key in (KEY, "hub_bob"):
            assert [(await here.chat(key=key)).status_code for _ in range(2)] == [200, 429]


async def test_keys_come_and_go_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, monkeypatch, rpm=100) as here:
        for number in range(5):
            name, key = f"n{number}", f"hub_{number}"
            assert (await here.chat(key=key)).status_code == 401
            add(here.keys, name, key)
            assert (await here.chat(key=key)).status_code == 200
            change(here.keys, lambda keys, name=name: keys.pop(name))  # type: ignore[misc]
            assert (await here.chat(key=key)).status_code == 401
        add(here.keys, "anna", KEY, expires="2020-01-01")
        refused = await here.chat()
        assert (refused.status_code, "expired on 2020-01-01" in refused.text) == (401, True)
        change(here.keys, lambda keys: keys.clear())
        refused = await here.chat()
        assert (refused.status_code, "hub keys add" in refused.text) == (401, True)
        here.keys.unlink()
        assert (await here.chat(key="anything")).status_code == 200


async def test_calls_of_tools_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, monkeypatch, rpm=1) as here:

        async def call() -> dict[str, Any]:
            answer = await here.client.post(
                "/mcp",
                headers={
                    "x-api-key": KEY,
                    "accept": "application/json, text/event-stream",
                    "mcp-protocol-version": "2026-07-28",
                    "mcp-method": "tools/call",
                    "mcp-name": "list_models",
                },
                json={
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "tools/call",
                    "params": {
                        "name": "list_models",
                        "arguments": {},
                        "_meta": {
                            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                            "io.modelcontextprotocol/clientCapabilities": {},
                        },
                    },
                },
            )
            lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
            message: dict[str, Any] = json.loads(lines[-1] if lines else answer.text)
            return message

        assert "result" in await call()
        error = (await call())["error"]
        assert error["code"] == -32029
        assert error["data"]["type"] == "rate_limit"
        assert 0 < error["data"]["retryAfter"] <= 61
        here.seconds[0] += 61
        assert "result" in await call()
