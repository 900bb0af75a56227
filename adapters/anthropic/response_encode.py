"""A ChatResponse to the answer that a client of this protocol gets.

https://platform.claude.com/docs/en/api/messages/create (returns)
"""

from __future__ import annotations

from typing import Any

from adapters.anthropic.marks import call_slot, thought_slot
from adapters.anthropic.names import INVALID_JSON, PROTOCOL, fields
from adapters.anthropic.stop_reasons import encode_stop
from adapters.anthropic.usage import encode_usage
from adapters.canonical import (
    ChatResponse,
    Choice,
    FinishReason,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from adapters.codec import Reply
from adapters.joining import Apart, report_refusal
from adapters.jsontext import dump, load_object
from adapters.losses import Losses
from adapters.stream_losses import place
from adapters.tool_names import restore_response

Block = dict[str, Any]


def encode_response(response: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]:
    losses = Losses()
    response = restore_response(response, reply.request)
    losses.foreign(response.extensions, PROTOCOL, "")
    if len(response.choices) > 1:
        losses.add("n", "choices", "the protocol has one answer")
    choice = response.choices[0] if response.choices else Choice((), FinishReason("other"))
    losses.foreign(choice.extensions, PROTOCOL, "choices[0]")
    content: list[Block] = []
    apart = Apart()
    for index, part in enumerate(choice.parts):
        part = in_words(part, apart, place(0, index), losses)
        blocks = encode_part(part, place(0, index), f"toolu_{reply.id}{index}", losses)
        if len(blocks) > 1 and content and takes_signature(content[-1]):
            content[-1]["signature"] = blocks.pop(0)["data"]
        content += blocks
    if response.usage is not None:
        losses.foreign(response.usage.extensions, PROTOCOL, "usage")
    has_calls = any(isinstance(part, ToolCall) for part in choice.parts)
    body = {
        "id": message_id(response.id, reply),
        "type": "message",
        "role": "assistant",
        "model": response.model or reply.request.model,
        "content": content,
        **encode_stop(choice.finish, has_calls, reply.request, losses),
        "usage": encode_usage(response.usage, response.service_tier),
    }
    return {**body, **fields(response.extensions)}, losses


def message_id(upstream: str, reply: Reply) -> str:
    """Anthropic's own id where there is one; else a new one with the usual prefix."""
    return upstream if upstream.startswith("msg_") else f"msg_{reply.id}"


def encode_part(part: Part, where: str, minted: str, losses: Losses) -> list[Block]:
    """The blocks of one part. `minted`: the id of a call that has none."""
    if not isinstance(part, Opaque) and part.extensions:
        losses.foreign(part.extensions, PROTOCOL, where)
    match part:
        case Text():
            return [{"type": "text", "text": part.text, **fields(part.extensions)}]
        case Refusal():
            report_refusal(where, losses)
            return [{"type": "text", "text": part.text}]
        case Thinking():
            return _thinking(part)
        case ToolCall():
            return _call(part, where, minted, losses)
        case Opaque(protocol=protocol) if protocol == PROTOCOL:
            return [dict(part.value)]
        case Opaque() | Media() | ToolResult():
            report_foreign(part, where, losses)
            return []


def in_words(part: Part, apart: Apart, where: str, losses: Losses) -> Part:
    """An item of another protocol as text, where it has words."""
    if isinstance(part, Opaque) and part.protocol != PROTOCOL and part.text:
        report_foreign(part, where, losses)
        return Text(apart.item(part.text))
    if isinstance(part, Text | Refusal):
        apart.text()
    return part


def report_foreign(part: Part, where: str, losses: Losses) -> None:
    """What an answer of this protocol has no block for."""
    match part:
        case Opaque():
            losses.add(f"item.{part.kind}", where, f"only {part.protocol} has it")
        case Media():
            losses.add(f"media.{part.kind}", where, f"an answer has no {part.kind}")
        case ToolResult():
            losses.add("tool_result", where, "an answer has no results of tools")
        case _:
            pass


def _thinking(part: Thinking) -> list[Block]:
    value = thought_slot(part)
    if part.redacted:
        return [{"type": "redacted_thinking", "data": value, **fields(part.extensions)}] if value else []
    return [{"type": "thinking", "thinking": part.text, "signature": value, **fields(part.extensions)}]


def _call(part: ToolCall, where: str, minted: str, losses: Losses) -> list[Block]:
    call_id = part.id or minted
    value = load_object(part.arguments) if part.kind == "function" else {"input": part.arguments}
    if value is None:
        losses.add("tool_call.arguments", where, "they are no JSON object: given as text within one")
        value = {INVALID_JSON: part.arguments}
    block = {"type": "tool_use", "id": call_id, "name": part.name, "input": value, **fields(part.extensions)}
    return [*call_signature(part, call_id), block]


def takes_signature(block: Block) -> bool:
    """Whether it is a thought without one, so that the call behind it may use the slot."""
    return block["type"] == "thinking" and not block["signature"]


def call_signature(part: ToolCall, call_id: str) -> list[Block]:
    """A call's signature in a block of its own: `tool_use` has no place for it."""
    if part.signature is None or part.signature.origin == PROTOCOL:
        return []
    return [{"type": "redacted_thinking", "data": call_slot(part.signature, call_id)}]


def kept_arguments(value: Any) -> str:
    """A block's `input` as argument text."""
    return dump(value) if value else ""
