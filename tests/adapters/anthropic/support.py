"""What these tests share: short ways to decode and encode, and the official SDK as a judge."""

from __future__ import annotations

import json
from typing import Any

from anthropic._streaming import SSEDecoder
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message as SdkMessage
from anthropic.types import RawMessageStreamEvent
from anthropic.types.beta import message_create_params as beta_params
from pydantic import TypeAdapter

from adapters.anthropic import CODEC
from adapters.canonical import ChatRequest, ChatResponse, StreamEvent
from adapters.codec import Arrival, Encoded, Reply, TargetModel

SONNET = "claude-sonnet-4-5"
OPUS = "claude-opus-4-8"
OLD = "claude-sonnet-4-20250514"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

_REQUEST = TypeAdapter(beta_params.MessageCreateParamsNonStreaming)
_EVENT = TypeAdapter(RawMessageStreamEvent)


def body(messages: Any = "Hi", **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return {"model": SONNET, "max_tokens": 100, "messages": turns, **more}


def decode(document: dict[str, Any], headers: dict[str, str] | None = None) -> ChatRequest:
    return CODEC.decode_request(document, Arrival(headers=headers or {}))


def encode(request: ChatRequest, model: str = SONNET) -> Encoded:
    """The upstream request, which the SDK's own type has to accept."""
    encoded = CODEC.encode_request(request, TargetModel(model))
    accepted = {key: value for key, value in encoded.body.items() if key != "stream"}
    _read_through(_REQUEST.validate_python(json.loads(json.dumps(accepted))))
    return encoded


def _read_through(value: Any) -> None:
    """pydantic checks the items of an `Iterable` only when they are asked for."""
    if isinstance(value, dict):
        for inner in value.values():
            _read_through(inner)
    elif not isinstance(value, str | int | float | None):
        for inner in value:
            _read_through(inner)


def through(document: dict[str, Any], model: str | None = None) -> dict[str, Any]:
    """A client's body decoded and encoded again."""
    return encode(decode(document), model or document["model"]).body


def reply(request: ChatRequest | None = None) -> Reply:
    return Reply(request or decode(body()), "abc123", 1_700_000_000)


def answer(response: ChatResponse, request: ChatRequest | None = None) -> dict[str, Any]:
    """The client's answer, which the SDK's own model has to accept."""
    document, _ = CODEC.encode_response(response, reply(request))
    SdkMessage.model_validate_json(json.dumps(document), strict=True)
    return document


def frames(*events: dict[str, Any]) -> bytes:
    """A stream as Anthropic writes it."""
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"
        for event in events
    )


def decode_stream(data: bytes, size: int | None = None) -> list[StreamEvent]:
    decoder = CODEC.stream_decoder()
    events: list[StreamEvent] = []
    for at in range(0, len(data), size or len(data) or 1):
        events += decoder.feed(data[at : at + (size or len(data))])
    return events + decoder.close()


def encode_stream(events: list[StreamEvent], request: ChatRequest | None = None) -> bytes:
    return CODEC.stream_encoder(reply(request)).encode(events)


def parsed(data: bytes) -> list[dict[str, Any]]:
    """The events of a client's stream; each one's name is its type, as the SDK needs it."""
    out = []
    for event in SSEDecoder().iter_bytes(iter([data])):
        document = json.loads(event.data)
        assert event.event == document["type"]
        out.append(document)
    return out


def accumulated(data: bytes) -> dict[str, Any]:
    """The message that the SDK's accumulator makes of a stream."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in parsed(data):
        if event["type"] == "ping":
            continue
        _EVENT.validate_python(event)
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)  # type: ignore[arg-type]
    document: dict[str, Any] = json.loads(snapshot.to_json())
    return document
