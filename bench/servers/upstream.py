"""A model server that costs nothing: fixed answers in the OpenAI and the Anthropic protocol."""

from __future__ import annotations

import json
import sys
from typing import Any

import uvicorn

CHUNKS = 200
_JSON = [(b"content-type", b"application/json")]
_SSE = [(b"content-type", b"text/event-stream")]


def _chat_answer() -> bytes:
    message = {"role": "assistant", "content": "Hello there, this is an answer of some length."}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 11, "total_tokens": 23}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": "bench",
            "choices": [choice],
            "usage": usage,
        }
    ).encode()


def _chat_stream() -> bytes:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        event = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "bench",
            "choices": [choice],
        }
        return b"data: " + json.dumps(event).encode() + b"\n\n"

    first = chunk({"role": "assistant", "content": ""})
    words = [chunk({"content": f"word{number} "}) for number in range(CHUNKS)]
    return b"".join([first, *words, chunk({}, "stop"), b"data: [DONE]\n\n"])


ANSWER, STREAM = _chat_answer(), _chat_stream()


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    streaming = b'"stream":true' in body or b'"stream": true' in body
    headers, content = (_SSE, STREAM) if streaming else (_JSON, ANSWER)
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", lifespan="off", access_log=False)
