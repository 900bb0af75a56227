"""A whole hub in this process, with a scripted model behind it and a state folder of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hub.app import Hub
from hub.logs.pipeline import LogPipeline
from hub.settings import load_settings
from tests.routing.scripted_upstream import Connection, Received, Script
from tests.routing.serving import running

CHAT = {"model": "any", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "model-0613",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}


def chunk(**more: Any) -> bytes:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "model-0613"}
    return b"data: " + json.dumps({**base, "choices": [], **more}).encode() + b"\n\n"


def delta(text: str | None = None, finish: str | None = None) -> bytes:
    content = {"role": "assistant", "content": text} if text is not None else {}
    return chunk(choices=[{"index": 0, "delta": content, "finish_reason": finish}])


STREAM = (
    delta("Hello"),
    delta(" there"),
    delta(finish="stop"),
    chunk(usage=ANSWER["usage"]),
    b"data: [DONE]\n\n",
)


def by_model(**scripts: Script) -> Script:
    """What the upstream does, by the model that it is asked for; else it answers, as JSON or as a stream."""

    async def script(received: Received, connection: Connection) -> None:
        body = json.loads(received.body)
        if (own := scripts.get(body["model"])) is not None:
            await own(received, connection)
        elif body.get("stream"):
            await connection.head(200, {"content-type": "text/event-stream"})
            for piece in STREAM:
                await connection.chunk(piece)
            await connection.end()
        else:
            data = json.dumps(ANSWER).encode()
            sized = {"content-type": "application/json", "content-length": str(len(data))}
            await connection.head(200, sized, chunked=False)
            await connection.write(data)

    return script


def settings(upstream: str, **more: Any) -> dict[str, Any]:
    provider = {"protocol": "openai", "base_url": f"{upstream}/v1", "api_key": "provider-key-1234"}
    targets = [{"provider": "up", "model": "busy"}, {"provider": "up", "model": "m", "priority": 1}]
    return {
        "providers": {"up": provider},
        "groups": {
            "g": {"provider": "up", "model": "m"},
            "second": {"strategy": "priority", "targets": targets},
        },
        **more,
    }


@dataclass
class Served:
    url: str
    hub: Hub
    client: httpx.AsyncClient
    reload: Callable[[Mapping[str, Any]], Awaitable[None]]

    async def chat(self, group: str = "g", **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        path = f"{self.url}/{group}/v1/chat/completions"
        return await self.client.post(path, json={**CHAT, **more}, headers=headers)


@asynccontextmanager
async def serving(
    folder: Path, document: Mapping[str, Any], pipeline: LogPipeline | None = None
) -> AsyncIterator[Served]:
    file = folder / "hub.yaml"
    file.write_text(json.dumps(document))
    hub = Hub(lambda: load_settings(file, environ={}), pipeline)

    async def reload(new: Mapping[str, Any]) -> None:
        file.write_text(json.dumps(new))
        outcome = await hub.live.reload()
        assert outcome.kind != "refused", outcome

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hub.app(scope, receive, send)

    async with hub, running(app) as url, httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield Served(url, hub, client, reload)
