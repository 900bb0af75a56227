"""Short forms that the tests share."""

from __future__ import annotations

import json
from typing import Any

from adapters.canonical import ChatRequest, Message, Part, StreamEvent, Text
from adapters.codec import Arrival, Encoded, Reply, TargetModel
from adapters.gemini import CODEC
from adapters.grammar import check

STREAM = "streamGenerateContent?alt=sse"
ARRAY = "streamGenerateContent"


def decode(body: dict[str, Any], model: str = "gemini-2.5-flash") -> ChatRequest:
    return CODEC.decode_request(body, Arrival("generateContent", model, stream=False))


def encode(request: ChatRequest, model: str = "gemini-2.5-flash") -> Encoded:
    return CODEC.encode_request(request, TargetModel(model))


def there_and_back(body: dict[str, Any], model: str = "gemini-2.5-flash") -> dict[str, Any]:
    return encode(decode(body, model), model).body


def said(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest("m", messages or (user(Text("hi")),), **fields)


def user(*parts: Part) -> Message:
    return Message("user", parts)


def model(*parts: Part) -> Message:
    return Message("assistant", parts)


def results(*parts: Part) -> Message:
    return Message("tool", parts)


def reply(request: ChatRequest | None = None, action: str = STREAM) -> Reply:
    return Reply(request or asked(), "a1b2c3d4e5f6a1b2c3d4e5f6", 1_700_000_000, action)


def chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One chunk of a stream; `finishReason` and the candidate's own keys go into the candidate."""
    top = {key: more.pop(key) for key in ("usageMetadata", "promptFeedback") if key in more}
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}
    return {"candidates": [candidate], **top, "modelVersion": "gemini-2.5-flash", "responseId": "R-1"}


def as_sse(chunks: list[dict[str, Any]], end: str = "\r\n\r\n") -> bytes:
    return "".join(f"data: {json.dumps(one, ensure_ascii=False)}{end}" for one in chunks).encode()


def as_array(chunks: list[dict[str, Any]]) -> bytes:
    return (
        "[" + ",\r\n".join(json.dumps(one, ensure_ascii=False, indent=1) for one in chunks) + "\n]"
    ).encode()


def events_of(data: bytes, step: int | None = None) -> list[StreamEvent]:
    """The events of a stream in pieces of `step` bytes; they have to obey the grammar."""
    decoder = CODEC.stream_decoder()
    size = step or len(data) or 1
    events: list[StreamEvent] = []
    for start in range(0, len(data), size):
        events += decoder.feed(data[start : start + size])
    return check([*events, *decoder.close()])


def streamed(events: list[StreamEvent], action: str = STREAM, request: ChatRequest | None = None) -> bytes:
    encoder = CODEC.stream_encoder(reply(request, action))
    return b"".join(encoder.encode([event]) for event in events)


def chunks_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: ")]
