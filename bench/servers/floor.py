"""The floor: bare Starlette and aiohttp's client, forwarding bytes or converting by hand."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

UPSTREAM = sys.argv[2] if len(sys.argv) > 2 else ""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app.state.session = session
        yield


async def forward(request: Request) -> Response:
    body = await request.body()
    url = f"{UPSTREAM}/v1/chat/completions"
    headers = {"content-type": "application/json", "authorization": "Bearer upstream"}
    answer = await request.app.state.session.post(url, data=body, headers=headers)
    kind = answer.headers["content-type"]
    if kind.startswith("text/event-stream"):
        return StreamingResponse(answer.content.iter_any(), media_type=kind)
    return Response(await answer.read(), media_type=kind)


# ---------------------------------------------------------------- Anthropic in, OpenAI out, by hand


async def convert(request: Request) -> Response:
    """The least that a conversion of texts takes; nothing is checked, and nothing else is carried."""
    asked = orjson.loads(await request.body())
    messages = [{"role": one["role"], "content": one["content"]} for one in asked["messages"]]
    wanted = {"model": asked["model"], "messages": messages, "max_tokens": asked["max_tokens"]}
    if asked.get("stream"):
        wanted |= {"stream": True, "stream_options": {"include_usage": True}}
    if tools := asked.get("tools"):
        wanted["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool["name"],
                    "description": tool["description"],
                    "parameters": tool["input_schema"],
                },
            }
            for tool in tools
        ]
    url = f"{UPSTREAM}/v1/chat/completions"
    headers = {"content-type": "application/json", "authorization": "Bearer upstream"}
    answer = await request.app.state.session.post(url, data=orjson.dumps(wanted), headers=headers)
    if asked.get("stream"):
        return StreamingResponse(_events(answer.content.iter_any()), media_type="text/event-stream")
    told = orjson.loads(await answer.read())
    choice, usage = told["choices"][0], told["usage"]
    message = {
        "id": told["id"],
        "type": "message",
        "role": "assistant",
        "model": told["model"],
        "content": [{"type": "text", "text": choice["message"]["content"]}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]},
    }
    return Response(orjson.dumps(message), media_type="application/json")


def _event(name: str, **body: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps({"type": name, **body}))


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """One piece for all that a read brought."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": {}}
    out = [_event("message_start", message=message)]
    out.append(_event("content_block_start", index=0, content_block={"type": "text", "text": ""}))
    rest = b""
    async for data in pieces:
        *lines, rest = (rest + data).split(b"\n\n")
        for line in lines:
            if line == b"data: [DONE]":
                continue
            for choice in orjson.loads(line[6:])["choices"]:
                if text := choice["delta"].get("content"):
                    delta = {"type": "text_delta", "text": text}
                    out.append(_event("content_block_delta", index=0, delta=delta))
        if out:
            yield b"".join(out)
            out = []
    ended = _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1})
    yield _event("content_block_stop", index=0) + ended + _event("message_stop")


app = Starlette(
    routes=[
        Route("/bench/v1/chat/completions", forward, methods=["POST"]),
        Route("/bench/v1/messages", convert, methods=["POST"]),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
