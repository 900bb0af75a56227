"""Parts of an answer to the items of its `output`, in the shapes that the client's tools were declared in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.canonical import (
    Base64Source,
    ChatRequest,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
)
from adapters.joining import Apart
from adapters.losses import Losses
from adapters.openai_responses import client_tools, notes
from adapters.openai_responses.items_decode import BEFORE_CALL
from adapters.openai_responses.items_encode import MINTED_REASONING
from adapters.signatures import for_client

_MESSAGE_KEYS = frozenset({"_:item"})


def declared_client_tools(request: ChatRequest) -> dict[str, str]:
    """Name -> kind of the tools that have call items of their own."""
    kinds: dict[str, str] = {}
    for tool in request.tools:
        raw = notes.own(tool.extensions).get("_:raw") if isinstance(tool, Tool) else None
        if raw is not None and raw.get("type") in client_tools.BY_KIND:
            kinds[tool.name or ""] = raw["type"]
    return kinds


def encode_output(
    parts: Iterable[Part], stem: str, kinds: Mapping[str, str], status: str, losses: Losses
) -> list[dict[str, Any]]:
    """The items of a whole answer. `status` is that of a message at its end; all others are completed."""
    items: list[dict[str, Any]] = []
    message: Mapping[str, Any] | None = None
    apart = Apart()
    for given in parts:
        part = told(given, losses, apart)
        if isinstance(part, Text | Refusal):
            about = message_of(part)
            if message is None or not continues(about, message):
                items.append(message_item(about, f"msg_{stem}{len(items)}", "completed", []))
            message = about
            items[-1]["content"].append(content_part(part))
            continue
        message = None
        carrier = signature_item(part, f"{MINTED_REASONING}{stem}{len(items)}")
        if carrier:
            items.append(carrier)
        item = whole_item(part, stem, len(items), kinds, losses)
        if item is not None:
            items.append(item)
    if message is not None:
        items[-1]["status"] = status
    return items


def told(part: Part, losses: Losses, apart: Apart) -> Part:
    """An item of another protocol as text, where it has words."""
    if isinstance(part, Text | Refusal):
        apart.text()
    if not isinstance(part, Opaque) or part.protocol == notes.PROTOCOL:
        return part
    losses.add(f"item.{part.kind}", "output", f"an item of {part.protocol} only")
    return Text(apart.item(part.text)) if part.text else part


# ---------------------------------------------------------------- messages


def message_of(part: Text | Refusal) -> Mapping[str, Any]:
    """The keys of the message item that the part came in, {} where it came in none."""
    item: Mapping[str, Any] = notes.own(part.extensions).get("_:item") or {}
    return item


def continues(about: Mapping[str, Any], previous: Mapping[str, Any]) -> bool:
    """Whether two neighbouring parts stand in one message item."""
    return about.get("_id") == previous.get("_id")


def message_item(
    about: Mapping[str, Any], item_id: str, status: str, content: list[dict[str, Any]]
) -> dict[str, Any]:
    item = {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}
    restored = notes.restore(item, {key: value for key, value in about.items() if key != "_status"})
    restored["status"] = status
    return restored


def content_part(part: Text | Refusal) -> dict[str, Any]:
    bag = {key: value for key, value in notes.own(part.extensions).items() if key not in _MESSAGE_KEYS}
    if isinstance(part, Refusal):
        return notes.restore({"type": "refusal", "refusal": part.text}, bag)
    return notes.restore({"type": "output_text", "annotations": [], "logprobs": [], "text": part.text}, bag)


# ---------------------------------------------------------------- the rest


def signature_item(part: Part, item_id: str, mark: str = BEFORE_CALL) -> dict[str, Any] | None:
    """A call has no slot for a signature: an empty reasoning item beside it carries it."""
    if not isinstance(part, ToolCall) or part.signature is None:
        return None
    marked = Signature(part.signature.value, part.signature.origin + mark)
    encrypted = for_client(marked, notes.PROTOCOL)
    return {"id": item_id, "type": "reasoning", "summary": [], "encrypted_content": encrypted}


def whole_item(
    part: Part, stem: str, at: int, kinds: Mapping[str, str], losses: Losses
) -> dict[str, Any] | None:
    match part:
        case Thinking():
            return reasoning_item(part, f"{MINTED_REASONING}{stem}{at}")
        case ToolCall():
            return call_item(part, f"{stem}{at}", kinds)
        case Media(extensions=extensions) if raw := notes.own(extensions).get("_:raw"):
            return dict(raw)
        case Media(kind="image", source=Base64Source(data)):
            form = part.media_type.partition("/")[2] or "png"
            return {
                "id": f"ig_{stem}{at}",
                "type": "image_generation_call",
                "status": "completed",
                "output_format": form if form in ("png", "webp", "jpeg", "gif") else "png",
                "result": data,
            }
        case Opaque(protocol=notes.PROTOCOL):
            return dict(part.value)
        case Opaque():
            return None
    losses.add(
        f"media.{part.kind}" if isinstance(part, Media) else part.tag, "output", "an answer cannot have it"
    )
    return None


def reasoning_item(part: Thinking, item_id: str) -> dict[str, Any]:
    raw = notes.own(part.extensions).get("_:raw")
    if raw is not None:
        item = {"summary": [], **raw}
        if part.signature is not None:
            item["encrypted_content"] = for_client(part.signature, notes.PROTOCOL)
        return item
    return reasoning_of(part, item_id, [part.text] if part.text else [])


def reasoning_of(part: Thinking, item_id: str, summary: Iterable[str]) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": part.id if part.id and part.id.startswith("rs_") else item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
    }
    if part.signature is not None:
        item["encrypted_content"] = for_client(part.signature, notes.PROTOCOL)
    return item


def call_item(call: ToolCall, suffix: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    bag = notes.own(call.extensions)
    raw = bag.get("_:raw")
    if raw is not None:
        return dict(raw)
    call_id = call.id or f"call_{suffix}"
    if call.kind == "custom":
        item: dict[str, Any] = {"id": f"ctc_{suffix}", "type": "custom_tool_call", "status": "completed"}
        item.update(call_id=call_id, name=call.name, input=call.arguments)
    elif call.name in kinds and call.namespace is None:
        kind = kinds[call.name]
        known = ToolCall(call_id, call.name, call.arguments)
        return client_tools.encode_call(known, kind, f"{_PREFIX[kind]}_{suffix}", "completed")
    else:
        arguments = call.arguments if call.arguments.strip() else "{}"
        item = {"id": f"fc_{suffix}", "type": "function_call", "status": "completed"}
        item.update(call_id=call_id, name=call.name, arguments=arguments)
    if call.namespace is not None:
        item["namespace"] = call.namespace
    return notes.restore(item, bag)


_PREFIX = {"local_shell": "lsh", "shell": "sh", "apply_patch": "apc", "tool_search": "tsc"}
