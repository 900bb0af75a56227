"""The official SDKs as judges: of requests by their request types, of answers and streams by their
models and their own accumulators.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

import httpx
import ollama
from anthropic._streaming import SSEDecoder
from anthropic.lib.streaming._beta_messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.beta import message_create_params as anthropic_params
from google.genai import types as genai
from openai._models import construct_type
from openai._types import omit
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import Response, ResponseStreamEvent, response_create_params
from pydantic import BaseModel, TypeAdapter, ValidationError
from typing_extensions import get_type_hints, is_typeddict

adapter = cache(TypeAdapter)

REQUESTS: dict[str, Any] = {
    "openai": chat_params.CompletionCreateParamsNonStreaming,
    "openai-responses": response_create_params.ResponseCreateParamsNonStreaming,
    "anthropic": anthropic_params.MessageCreateParamsNonStreaming,
    "ollama": ollama._types.ChatRequest,
}

GEMINI: dict[str, Any] = {
    "contents": list[genai.Content],
    "systemInstruction": genai.Content,
    "tools": list[genai.Tool],
    "toolConfig": genai.ToolConfig,
    "generationConfig": genai.GenerationConfig,
    "safetySettings": list[genai.SafetySetting],
    "cachedContent": str,
    "serviceTier": str,
    "labels": dict[str, str],
    "store": bool,
}
"""The members of a generateContent body; the SDK has no type for the whole."""

NEWER_THAN_TYPES: dict[str, frozenset[str]] = {
    "anthropic": frozenset({"temperature", "top_p", "top_k"}),
    "ollama": frozenset(),
}
"""What the API takes (older models' sampling) and the SDK's types no longer have."""


def request_errors(protocol: str, body: Mapping[str, Any]) -> list[str]:
    """What the official types say against a body for an upstream."""
    body = {key: value for key, value in body.items() if key != "stream"}
    if protocol == "gemini":
        unknown = [f"{key}: unknown" for key in body if key not in GEMINI]
        checked = [error for key in body if key in GEMINI for error in errors(GEMINI[key], body[key], key)]
        return unknown + checked
    kept = {k: v for k, v in body.items() if k not in NEWER_THAN_TYPES.get(protocol, ())}
    unknown = [f"{key}: unknown" for key in kept if key not in _members(REQUESTS[protocol])]
    return unknown + errors(REQUESTS[protocol], kept)


@cache
def _members(kind: Any) -> frozenset[str]:
    if is_typeddict(kind):
        return frozenset(get_type_hints(kind))
    assert issubclass(kind, BaseModel)
    return frozenset(kind.model_fields)


def errors(kind: Any, value: Any, where: str = "") -> list[str]:
    """One line for each complaint; of a union's branches those that the value's `type` names."""
    try:
        _read_through(adapter(kind).validate_python(value))
    except ValidationError as found:
        told = found.errors()
        for tag in ("type", "role"):
            other = {x["loc"][:-1] for x in told if x["type"] == "literal_error" and x["loc"][-1] == tag}
            told = [x for x in told if not any(x["loc"][: len(o)] == o for o in other)] or told
        return [f"{where}.{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in told[:5]]
    return []


def _read_through(value: Any) -> None:
    """pydantic checks the items of an `Iterable` only when they are asked for."""
    if isinstance(value, dict):
        for inner in value.values():
            _read_through(inner)
    elif not isinstance(value, str | int | float | bytes | BaseModel | None):
        for inner in value:
            _read_through(inner)


# ---------------------------------------------------------------- answers

ANSWERS: dict[str, Any] = {
    "openai": ChatCompletion,
    "openai-responses": Response,
    "anthropic": Message,
    "gemini": genai.GenerateContentResponse,
    "ollama": ollama.ChatResponse,
}


def answer_errors(protocol: str, answer: Mapping[str, Any]) -> list[str]:
    return errors(ANSWERS[protocol], answer)


# ---------------------------------------------------------------- streams

_RESPONSES_EVENTS: dict[str, Any] = {
    get_args(one.model_fields["type"].annotation)[0]: one
    for one in get_args(get_args(ResponseStreamEvent)[0])
}


def sse_events(data: bytes) -> list[Any]:
    """The documents of server-sent events, as an SDK's own parser finds them."""
    found = []
    for event in SSEDecoder().iter_bytes(iter([data])):
        if event.data == "[DONE]":
            found.append("[DONE]")
        elif event.data:
            document = json.loads(event.data)
            assert event.event in (None, document.get("type")), "an event's name is its type"
            found.append(document)
    return found


def rebuilt(protocol: str, data: bytes) -> dict[str, Any]:
    """The whole answer that the SDK's own accumulator makes of a client's stream, as JSON.

    Each event has to fit its type. AssertionError where the stream breaks its protocol's rules.
    """
    return _REBUILD[protocol](data)


def _fits(kind: Any, event: Any) -> None:
    found = errors(kind, event)
    assert not found, f"{found} in {event}"


def _chat(data: bytes) -> dict[str, Any]:
    *chunks, last = sse_events(data)
    assert last == "[DONE]"
    state: Any = ChatCompletionStreamState()
    usage = None
    for chunk in chunks:
        _fits(ChatCompletionChunk, chunk)
        usage = chunk.get("usage") or usage
        state.handle_chunk(construct_type(type_=ChatCompletionChunk, value=chunk))
    whole: dict[str, Any] = state.current_completion_snapshot.to_dict(mode="json")
    whole["usage"] = usage
    for choice in whole["choices"]:
        for call in choice["message"].get("tool_calls") or ():
            call.pop("index", None)
    return whole


def _responses(data: bytes) -> dict[str, Any]:
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    final = None
    for number, event in enumerate(sse_events(data)):
        assert final is None, "an event behind the last"
        assert event["sequence_number"] == number
        kind = _RESPONSES_EVENTS[event["type"]]
        _fits(kind, event)
        state.handle_event(construct_type(type_=kind, value=event))
        if event["type"] in ("response.completed", "response.incomplete"):
            final = event["response"]
            assert [item["type"] for item in final["output"]] == _kinds(state)
    assert final is not None, "no end"
    return final


def _kinds(state: Any) -> list[str]:
    """What the accumulator has put together so far."""
    snapshot = next(value for value in vars(state).values() if hasattr(value, "output"))
    return [item.type for item in snapshot.output]


def _anthropic(data: bytes) -> dict[str, Any]:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    last = None
    for event in sse_events(data):
        last = event["type"]
        if last == "ping":
            continue
        _fits(RawMessageStreamEvent, event)
        snapshot = accumulate_event(
            event=event,
            current_snapshot=snapshot,
            json_bufs=buffers,
            request_headers=httpx.Headers(),  # type: ignore[arg-type]
        )
    assert last == "message_stop"
    whole: dict[str, Any] = json.loads(snapshot.to_json())
    return whole


def _gemini(data: bytes) -> dict[str, Any]:
    """The SDK has no accumulator; its chats join texts as here."""
    answers: dict[int, dict[str, Any]] = {}
    top: dict[str, Any] = {}
    for chunk in sse_events(data):
        _fits(genai.GenerateContentResponse, chunk)
        for candidate in chunk.get("candidates", ()):
            empty = {"content": {"role": "model", "parts": []}}
            whole = answers.setdefault(candidate.get("index", 0), empty)
            assert "finishReason" not in whole, "a chunk behind the last"
            parts = whole["content"]["parts"]
            for part in candidate.get("content", {}).get("parts", ()):
                same = parts and part.keys() == parts[-1].keys() <= {"text", "thought"}
                if same:
                    parts[-1]["text"] += part["text"]
                elif part != {"text": ""}:
                    parts.append(dict(part))
            whole |= {key: value for key, value in candidate.items() if key != "content"}
        top |= {key: value for key, value in chunk.items() if key != "candidates"}
    ended = bool(answers) and all("finishReason" in one for one in answers.values())
    assert ended or "promptFeedback" in top, "no end"
    return {"candidates": [answers[index] for index in sorted(answers)], **top}


def _ollama(data: bytes) -> dict[str, Any]:
    """The SDK has no accumulator; its documentation joins `content`, `thinking` and `tool_calls`."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    documents = [json.loads(line) for line in data.split(b"\n") if line]
    for document in documents:
        _fits(ollama.ChatResponse, document)
        piece = document["message"]
        for key in ("content", "thinking"):
            if key in piece:
                message[key] = message.get(key, "") + piece[key]
        for key in ("tool_calls", "images"):
            if key in piece:
                message.setdefault(key, []).extend(piece[key])
    assert [document["done"] for document in documents] == [False] * (len(documents) - 1) + [True]
    return {**documents[-1], "message": message}


_REBUILD = {
    "openai": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
}
