"""An upstream's answer to a ChatResponse. Lenient: ids, indexes and keys may be missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.canonical import (
    NO_EXTENSIONS,
    Base64Source,
    ChatResponse,
    Choice,
    Extensions,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from adapters.errors import InvalidRequest, InvalidResponse
from adapters.jsontext import dump
from adapters.openai_chat import thinking
from adapters.openai_chat.content import AUDIO_TYPES, PROTOCOL, decode_part
from adapters.openai_chat.errors import answer_error
from adapters.openai_chat.messages_decode import call_signature
from adapters.openai_chat.outcome import decode_finish, usage_of
from adapters.signatures import for_client

_TOP = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier"})
_CHOICE = frozenset({"index", "message", "finish_reason", "usage"})
_MESSAGE = thinking.SLOTS | {
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "annotations",
    "audio",
    "images",
}


def decode_response(body: Mapping[str, Any]) -> ChatResponse:
    """Raises InvalidResponse; an error object of status 200 keeps its kind."""
    if not isinstance(body, Mapping):
        raise InvalidResponse(f"expected an object, got {type(body).__name__}")
    choices = body.get("choices")
    if not isinstance(choices, list):
        if body.get("error"):
            raise answer_error(body)
        raise InvalidResponse("expected a list", where="choices")
    if not choices and body.get("error"):
        raise answer_error(body)
    stem = _text(body.get("id"))
    return ChatResponse(
        id=stem,
        model=_text(body.get("model")),
        choices=tuple(_choice(choice, index, stem) for index, choice in enumerate(choices)),
        usage=usage_of(body),
        created=_integer(body.get("created")),
        service_tier=_text(body.get("service_tier")) or None,
        extensions=bag_of(body, _TOP),
    )


TRIVIA = frozenset(
    {
        "system_fingerprint",
        "obfuscation",
        "provider",
        "native_finish_reason",
        "timings",
        "x_groq",
        "stop_reason",
        "token_ids",
        "prompt_token_ids",
        "prompt_logprobs",
        "kv_transfer_params",
    }
)
"""What servers tell about themselves: kept for clients of this protocol, missed by no other."""


def bag_of(source: Mapping[str, Any], known: frozenset[str]) -> Extensions:
    own = {
        f"_{key}" if key in TRIVIA else key: value
        for key, value in source.items()
        if key not in known and value is not None
    }
    return {PROTOCOL: own} if own else NO_EXTENSIONS


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _choice(value: Any, position: int, stem: str) -> Choice:
    where = f"choices[{position}]"
    if not isinstance(value, Mapping):
        raise InvalidResponse("expected an object", where=where)
    if value.get("error"):  # OpenRouter tells a provider's failure within the choice
        raise answer_error(value)
    message = value.get("message")
    if not isinstance(message, Mapping):
        raise InvalidResponse("expected an object", where=f"{where}.message")
    parts = _parts(message, stem, where)
    index = _integer(value.get("index"))
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    extensions = bag_of(value, _CHOICE)
    own = bag_of(message, _MESSAGE)
    if own:
        told = {f"message.{key}": inner for key, inner in own[PROTOCOL].items()}
        extensions = {PROTOCOL: {**extensions.get(PROTOCOL, NO_EXTENSIONS), **told}}
    return Choice(
        tuple(parts),
        decode_finish(value.get("finish_reason"), has_calls=has_calls),
        position if index is None or index < 0 else index,
        extensions,
    )


def _parts(message: Mapping[str, Any], stem: str, where: str) -> list[Part]:
    parts: list[Part] = [*thinking.decode(message, Signature)]
    parts += content_parts(message.get("content"), f"{where}.message.content")
    annotations = message.get("annotations")
    if annotations:
        _annotate(parts, annotations)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(Refusal(refusal))
    parts += media_parts(message)
    parts += decode_calls(listed_calls(message.get("tool_calls")), stem)
    legacy = message.get("function_call")
    if isinstance(legacy, Mapping) and legacy.get("name"):
        call_id = mint_id(stem, _text(legacy["name"]), 0)
        arguments = arguments_text(legacy.get("arguments"))
        extensions = {PROTOCOL: {"_legacy": True}}
        parts.append(ToolCall(call_id, _text(legacy["name"]), arguments, extensions=extensions))
    return parts


def content_parts(content: Any, where: str) -> list[Part]:
    """Text, or Mistral's list of text and thinking chunks; what is neither is kept verbatim."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    if not isinstance(content, list):
        return []
    parts: list[Part] = []
    for chunk in content:
        if isinstance(chunk, Mapping) and chunk.get("type") == "thinking":
            parts.append(Thinking(thinking.chunk_text(chunk), extensions={PROTOCOL: {"_chunk": True}}))
            continue
        try:
            parts.append(decode_part(chunk, where))
        except InvalidRequest:
            if isinstance(chunk, Mapping):
                parts.append(Opaque(PROTOCOL, str(chunk.get("type")), chunk))
    return [part for part in parts if not isinstance(part, Text | Thinking) or part.text]


def _annotate(parts: list[Part], annotations: Any) -> None:
    for index, part in enumerate(parts):
        if isinstance(part, Text):
            own = {**part.extensions.get(PROTOCOL, NO_EXTENSIONS), "annotations": annotations}
            parts[index] = Text(part.text, {**part.extensions, PROTOCOL: own})
            return
    parts.append(Text("", {PROTOCOL: {"annotations": annotations}}))


def media_parts(message: Mapping[str, Any]) -> list[Part]:
    """Sound (OpenAI's `audio`) and pictures (OpenRouter's `images`) that the model made."""
    parts: list[Part] = []
    images = message.get("images")
    for image in images if isinstance(images, list) else ():
        try:
            part = decode_part({"type": "image_url", **image}, "images")
        except (InvalidRequest, TypeError):
            continue
        if isinstance(part, Media):
            kept = Media("image", part.source, part.media_type)
            parts.append(kept)
    audio = message.get("audio")
    if isinstance(audio, Mapping) and isinstance(audio.get("data"), str):
        name = _text(audio.get("format")) or "wav"
        own = {f"audio.{key}": value for key, value in audio.items() if key != "data"}
        media_type = AUDIO_TYPES.get(name, f"audio/{name}")
        parts.append(Media("audio", Base64Source(audio["data"]), media_type, extensions={PROTOCOL: own}))
    return parts


# ---------------------------------------------------------------- calls


def listed_calls(value: Any) -> list[Any]:
    """The calls; a lone one may stand there without its list."""
    if isinstance(value, Mapping):
        return [value]
    return value if isinstance(value, list) else []


def called(call: Mapping[str, Any], *, is_custom: bool) -> Mapping[str, Any]:
    """Where a call's name and arguments stand: some servers leave `function` around them away."""
    key = "custom" if is_custom else "function"
    inner = call.get(key, call)
    return inner if isinstance(inner, Mapping) else {}


def decode_calls(values: list[Any], stem: str) -> list[ToolCall]:
    """The calls, each with an id of its own."""
    calls: dict[str, ToolCall] = {}
    for position, value in enumerate(values):
        call = decode_call(value, stem, position)
        if call.id in calls:
            call = replace(call, id=mint_id(call.id, call.name, position))
        calls[call.id] = call
    return list(calls.values())


def decode_call(value: Any, stem: str, position: int) -> ToolCall:
    call = value if isinstance(value, Mapping) else {}
    is_custom = isinstance(call.get("custom"), Mapping)
    inner = called(call, is_custom=is_custom)
    name = _text(inner.get("name"))
    signature, extra = answer_signature(call.get("extra_content"))
    own: dict[str, Any] = {} if extra is None else {"extra_content": extra}
    if signature is not None:
        own["_signed"] = True
    return ToolCall(
        _text(call.get("id")) or mint_id(stem, name, position),
        name,
        arguments_text(inner.get("input" if is_custom else "arguments")),
        "custom" if is_custom else "function",
        signature=signature,
        extensions={PROTOCOL: own} if own else NO_EXTENSIONS,
    )


def answer_signature(extra: Any) -> tuple[Signature | None, Any]:
    """A call's signature in an upstream's answer, and what else stands in its `extra_content`.

    It is this upstream's own, with the maker's name that it stood under: nobody else may get it.
    """
    signature, rest = call_signature(extra, Signature)
    return (Signature(for_client(signature, PROTOCOL), PROTOCOL) if signature else None), rest


def arguments_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dump(value)


_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")


def mint_id(stem: str, name: str, position: int) -> str:
    """An id for a call that came without one: from the answer's id, so that it is new in each turn."""
    source = _UNSAFE.sub("", stem)[-40:] or _UNSAFE.sub("_", name)[:40]
    return f"call_{source}_{position}"
