"""An answer of Anthropic's API, or of one like it, to a ChatResponse.

Lenient: what others leave out or send as null is taken as absent.
https://platform.claude.com/docs/en/api/messages/create (returns)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.anthropic.content_decode import arguments_of
from adapters.anthropic.names import OUTPUT_TOOL, PROTOCOL, bag, leftover
from adapters.anthropic.opaque import opaque
from adapters.anthropic.stop_reasons import decode_stop
from adapters.anthropic.usage import decode_tier, decode_usage
from adapters.canonical import ChatResponse, Choice, Part, Signature, Text, Thinking, ToolCall
from adapters.errors import InvalidResponse
from adapters.jsontext import dump

_MESSAGE = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"}
)
_TEXT = frozenset({"type", "text"})
_THINKING = frozenset({"type", "thinking", "signature"})
_REDACTED = frozenset({"type", "data"})
_CALL = frozenset({"type", "id", "name", "input"})


def decode_response(body: Mapping[str, Any]) -> ChatResponse:
    content = body.get("content")
    if content is None and ("stop_reason" in body or body.get("type") == "message"):
        content = []
    if not isinstance(content, list):
        raise InvalidResponse("expected a list of content blocks", where="content")
    parts: list[Part] = []
    for index, block in enumerate(content):
        if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
            raise InvalidResponse("expected a content block with a type", where=f"content[{index}]")
        parts.append(decode_block(block, index))
    unwrapped = any(is_output_call(block) for block in content)
    calls = any(isinstance(part, ToolCall) for part in parts)
    finish = decode_stop(body, unwrapped=unwrapped and not calls, has_calls=calls)
    usage = body.get("usage")
    return ChatResponse(
        id=text_of(body, "id"),
        model=text_of(body, "model"),
        choices=(Choice(tuple(parts), finish),),
        usage=decode_usage(usage) if isinstance(usage, Mapping) else None,
        service_tier=decode_tier(usage) if isinstance(usage, Mapping) else None,
        extensions=bag(leftover(body, _MESSAGE)),
    )


def decode_block(block: Mapping[str, Any], index: int) -> Part:
    """One whole block; `index` names a call that has no id."""
    match block["type"]:
        case "text":
            return Text(text_of(block, "text"), bag(leftover(block, _TEXT)))
        case "thinking":
            return Thinking(
                text_of(block, "thinking"),
                signature_of(block.get("signature")),
                extensions=bag(leftover(block, _THINKING)),
            )
        case "redacted_thinking":
            extra = bag(leftover(block, _REDACTED))
            return Thinking("", signature_of(block.get("data")), redacted=True, extensions=extra)
        case "tool_use":
            return _call(block, index)
        case kind:
            return opaque(block, kind)


def _call(block: Mapping[str, Any], index: int) -> Part:
    value = block.get("input")
    arguments = value if isinstance(value, str) else ""
    if is_output_call(block):
        return Text(dump(value) if isinstance(value, Mapping) else arguments)
    if isinstance(value, Mapping):
        arguments = arguments_of(value)
    return ToolCall(
        id=text_of(block, "id") or f"call_{index}",
        name=text_of(block, "name"),
        arguments=arguments,
        extensions=bag(leftover(block, _CALL)),
    )


def is_output_call(block: Any) -> bool:
    """Whether it is the answer in the form of a call: see OUTPUT_TOOL."""
    return isinstance(block, Mapping) and block.get("type") == "tool_use" and block.get("name") == OUTPUT_TOOL


def text_of(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    return value if isinstance(value, str) else ""


def signature_of(value: Any) -> Signature | None:
    return Signature(value, PROTOCOL) if isinstance(value, str) and value else None
