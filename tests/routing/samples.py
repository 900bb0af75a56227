"""One small exchange in each protocol: what a client sends, what an upstream answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

TEXT = "Hello there"
UNKNOWN = {"a_field_nobody_heard_of": {"deep": [1, 2.50, "ü"]}}


def _sse(*events: dict[str, Any], named: bool = False, done: bool = False) -> tuple[bytes, ...]:
    pieces = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        pieces.append(f"{name}data: {json.dumps(event)}\n\n".encode())
    return (*pieces, b"data: [DONE]\n\n") if done else tuple(pieces)


@dataclass(frozen=True)
class Sample:
    protocol: str
    path: str
    stream_path: str
    body: dict[str, Any]
    stream_body: dict[str, Any]
    answer: dict[str, Any]
    stream: tuple[bytes, ...]
    error: dict[str, Any]
    """An upstream's error; `MESSAGE` stands for its text."""
    stream_error: bytes
    """A failure told within a stream."""
    stream_type: str = "text/event-stream"


def error_message(sample: Sample, document: dict[str, Any]) -> str:
    """The message of an error in this protocol's own shape; fails where the shape is another."""
    error = document["error"]
    match sample.protocol:
        case "ollama":
            assert isinstance(error, str)
            return error
        case "anthropic":
            assert document["type"] == "error"
            assert isinstance(error["type"], str)
        case "gemini":
            assert isinstance(error["code"], int)
            assert isinstance(error["status"], str)
        case _:
            assert isinstance(error["type"], str)
            assert {"param", "code"} <= error.keys()
    assert isinstance(error["message"], str)
    return str(error["message"])


_USER = [{"role": "user", "content": "Say hello"}]

_CHAT_CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "real-model"}


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {**_CHAT_CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


OPENAI = Sample(
    protocol="openai",
    path="/v1/chat/completions",
    stream_path="/v1/chat/completions",
    body={"model": "any", "messages": _USER},
    stream_body={
        "model": "any",
        "messages": _USER,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    answer={
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "real-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    },
    stream=_sse(
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"content": "Hello "}),
        _chunk({"content": "there"}),
        _chunk({}, "stop"),
        {
            **_CHAT_CHUNK,
            "choices": [],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        },
        done=True,
    ),
    error={"error": {"message": "MESSAGE", "type": "some_error", "param": None, "code": None}},
    stream_error=b'data: {"error": {"message": "it is overloaded", "type": "server_error", "code": 503}}\n\n',
)

_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "real-model",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    },
}
_ITEM = {"output_index": 0, "item_id": "msg_1"}
_CONTENT = {**_ITEM, "content_index": 0}
_EMPTY_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "in_progress",
    "content": [],
}


def _numbered(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


RESPONSES = Sample(
    protocol="openai-responses",
    path="/v1/responses",
    stream_path="/v1/responses",
    body={"model": "any", "input": "Say hello"},
    stream_body={"model": "any", "input": "Say hello", "stream": True},
    answer=_RESPONSE,
    stream=_sse(
        *_numbered(
            {
                "type": "response.created",
                "response": {**_RESPONSE, "status": "in_progress", "output": [], "usage": None},
            },
            {"type": "response.output_item.added", "output_index": 0, "item": _EMPTY_MESSAGE},
            {
                "type": "response.content_part.added",
                **_CONTENT,
                "part": {"type": "output_text", "text": "", "annotations": []},
            },
            {"type": "response.output_text.delta", **_CONTENT, "delta": "Hello ", "logprobs": []},
            {"type": "response.output_text.delta", **_CONTENT, "delta": "there", "logprobs": []},
            {"type": "response.output_text.done", **_CONTENT, "text": TEXT, "logprobs": []},
            {
                "type": "response.content_part.done",
                **_CONTENT,
                "part": {"type": "output_text", "text": TEXT, "annotations": []},
            },
            {"type": "response.output_item.done", "output_index": 0, "item": _RESPONSE["output"][0]},
            {"type": "response.completed", "response": _RESPONSE},
        ),
        named=True,
    ),
    error={"error": {"message": "MESSAGE", "type": "some_error", "param": None, "code": None}},
    stream_error=(
        b'event: error\ndata: {"type": "error", "sequence_number": 0, "code": "server_error", '
        b'"message": "it is overloaded", "param": null}\n\n'
    ),
)

_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "real-model",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 3},
}

ANTHROPIC = Sample(
    protocol="anthropic",
    path="/v1/messages",
    stream_path="/v1/messages",
    body={"model": "any", "max_tokens": 100, "messages": _USER},
    stream_body={"model": "any", "max_tokens": 100, "messages": _USER, "stream": True},
    answer=_MESSAGE,
    stream=_sse(
        {
            "type": "message_start",
            "message": {
                **_MESSAGE,
                "content": [],
                "stop_reason": None,
                "usage": {"input_tokens": 7, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "there"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
        named=True,
    ),
    error={"type": "error", "error": {"type": "some_error", "message": "MESSAGE"}, "request_id": "req_1"},
    stream_error=(
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", '
        b'"message": "it is overloaded"}}\n\n'
    ),
)


def _generated(text: str, **more: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
        "modelVersion": "real-model",
        "responseId": "r1",
    }


GEMINI = Sample(
    protocol="gemini",
    path="/v1beta/models/any:generateContent",
    stream_path="/v1beta/models/any:streamGenerateContent?alt=sse",
    body={"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]},
    stream_body={"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]},
    answer=_generated(TEXT, finishReason="STOP"),
    stream=_sse(_generated("Hello "), _generated("there", finishReason="STOP")),
    error={"error": {"code": 400, "message": "MESSAGE", "status": "INVALID_ARGUMENT"}},
    stream_error=(
        b'data: {"error": {"code": 503, "message": "it is overloaded", "status": "UNAVAILABLE"}}\n\n'
    ),
)


def _lines(*documents: dict[str, Any]) -> tuple[bytes, ...]:
    return tuple(json.dumps(document).encode() + b"\n" for document in documents)


_OLLAMA = {"model": "real-model", "created_at": "2026-01-01T00:00:00Z"}
_OLLAMA_END = {
    **_OLLAMA,
    "done": True,
    "done_reason": "stop",
    "total_duration": 5,
    "load_duration": 1,
    "prompt_eval_count": 7,
    "prompt_eval_duration": 1,
    "eval_count": 3,
    "eval_duration": 1,
}

OLLAMA = Sample(
    protocol="ollama",
    path="/api/chat",
    stream_path="/api/chat",
    body={"model": "any", "messages": _USER, "stream": False},
    stream_body={"model": "any", "messages": _USER},
    answer={**_OLLAMA_END, "message": {"role": "assistant", "content": TEXT}},
    stream=_lines(
        {**_OLLAMA, "done": False, "message": {"role": "assistant", "content": "Hello "}},
        {**_OLLAMA, "done": False, "message": {"role": "assistant", "content": "there"}},
        {**_OLLAMA_END, "message": {"role": "assistant", "content": ""}},
    ),
    error={"error": "MESSAGE"},
    stream_error=b'{"error": "it is overloaded"}\n',
    stream_type="application/x-ndjson",
)

SAMPLES = {sample.protocol: sample for sample in (OPENAI, RESPONSES, ANTHROPIC, GEMINI, OLLAMA)}


def error_of(sample: Sample, message: str) -> dict[str, Any]:
    """The protocol's upstream error with this text."""
    document: dict[str, Any] = json.loads(json.dumps(sample.error).replace("MESSAGE", message))
    return document


def text_of(stream: bytes) -> str:
    """All of a stream's text that says what the sample says, whatever the protocol: JSON strings joined."""
    found: list[str] = []
    for line in stream.replace(b"\r\n", b"\n").split(b"\n"):
        payload = line.removeprefix(b"data:").strip().strip(b",")
        if payload != b"[DONE]" and payload.startswith((b"{", b"[")):
            _collect(json.loads(payload), found)
    return "".join(found)


def _collect(value: Any, found: list[str]) -> None:
    if isinstance(value, dict):
        kind = str(value.get("type", ""))
        if kind.endswith((".done", ".completed")):  # Responses repeats what its deltas said
            return
        for key in ("content", "text", "delta"):
            if isinstance(value.get(key), str):
                found.append(value[key])
        for key in ("choices", "delta", "message", "candidates", "content", "parts", "part"):
            if isinstance(value.get(key), (dict, list)):
                _collect(value[key], found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
