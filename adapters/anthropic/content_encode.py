"""Parts to content blocks for Anthropic's API.

https://platform.claude.com/docs/en/api/messages/create (messages → content)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from adapters.anthropic.names import INVALID_JSON, PROTOCOL, fields, own
from adapters.canonical import (
    Base64Source,
    FileIdSource,
    Media,
    Opaque,
    Part,
    PlainTextSource,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UrlSource,
)
from adapters.jsontext import load_object
from adapters.losses import Losses
from adapters.openai_common import cache_breakpoint, without_hint

Block = dict[str, Any]

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_BASE64_HEADS = (
    ("iVBOR", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
"""How the files of each type begin, as base64."""
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/javascript"})
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_IN_CALL_ID = re.compile(r"[^a-zA-Z0-9_-]")


def encode_parts(parts: tuple[Part, ...], role: Role, where: str, losses: Losses) -> list[Block]:
    """The blocks of one message; what the API has no block for is reported and left away."""
    blocks: list[Block] = []
    for index, part in enumerate(parts):
        block = encode_part(part, role, f"{where}[{index}]", losses)
        if block is not None:
            blocks.append(block)
    return blocks


def encode_part(part: Part, role: Role, where: str, losses: Losses) -> Block | None:
    where = part.place or where
    if isinstance(part, Opaque) or not part.extensions:
        return _encoded(part, role, where, losses)
    hint = cache_breakpoint(part.extensions) if isinstance(part, Text | Media) else None
    losses.foreign(part.extensions if hint is None else without_hint(part.extensions), PROTOCOL, where)
    block = _encoded(part, role, where, losses)
    if hint is not None and block is not None:
        block.setdefault("cache_control", _cache_control(hint))
    return block


def _cache_control(hint: Mapping[str, Any]) -> Block:
    """OpenAI's breakpoint as Anthropic's. A `ttl` is the least time there: the next longer one here."""
    return {"type": "ephemeral", "ttl": "1h"} if hint.get("ttl") else {"type": "ephemeral"}


def _encoded(part: Part, role: Role, where: str, losses: Losses) -> Block | None:
    match part:
        case Text():
            return {"type": "text", "text": part.text, **fields(part.extensions)}
        case Refusal():
            return {"type": "text", "text": part.text}
        case Media():
            return _media(part, role, where, losses)
        case Thinking():
            return _thinking(part, where, losses)
        case ToolCall():
            return _call(part, where, losses)
        case ToolResult():
            return _result(part, role, where, losses)
        case Opaque():
            return _opaque(part, where, losses)


def _opaque(part: Opaque, where: str, losses: Losses) -> Block | None:
    if part.protocol == PROTOCOL:
        return dict(part.value)
    losses.add(f"item.{part.kind}", where, f"only {part.protocol} has it")
    return {"type": "text", "text": part.text} if part.text.strip() else None


def _thinking(part: Thinking, where: str, losses: Losses) -> Block | None:
    """Thoughts need the signature that Anthropic gave them; without it they are an error."""
    signature = part.signature
    if signature is None or signature.origin != PROTOCOL:
        losses.thinking(part, where, "a model takes back only thoughts that its maker signed")
        return None
    if part.redacted:
        return {"type": "redacted_thinking", "data": signature.value, **fields(part.extensions)}
    block = {"type": "thinking", "thinking": part.text, "signature": signature.value}
    return {**block, **fields(part.extensions)}


# ---------------------------------------------------------------- tools


def _call(part: ToolCall, where: str, losses: Losses) -> Block:
    if part.signature is not None and part.signature.origin != PROTOCOL:
        losses.add("thinking.signature", where, f"a signature that only {part.signature.origin} can read")
    value = load_object(part.arguments)
    if value is None:
        losses.add("tool_call.arguments", where, "they are no JSON object: sent as text within one")
        value = {INVALID_JSON: part.arguments}
    block = {"type": "tool_use", "id": call_id(part.id), "name": part.name, "input": value}
    return {**block, **fields(part.extensions)}


def call_id(value: str) -> str:
    """An id in the API's alphabet; ids that had to change end in a hash, so that they stay different."""
    if _CALL_ID.fullmatch(value):
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_NOT_IN_CALL_ID.sub('_', value)[:48]}_{digest}"


def _result(part: ToolResult, role: Role, where: str, losses: Losses) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": call_id(part.call_id)}
    content = encode_parts(part.content, role, f"{where}.content", losses)
    notes = own(part.extensions)
    if content or notes.get("_list"):
        block["content"] = content if notes.get("_list") else _short(content)
    if part.is_error or notes.get("_is_error") is False:
        block["is_error"] = part.is_error
    return {**block, **fields(part.extensions)}


def _short(content: list[Block]) -> list[Block] | str:
    """A string where the content is one plain text."""
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        text: str = content[0]["text"]
        return text
    return content


# ---------------------------------------------------------------- media


def _media(part: Media, role: Role, where: str, losses: Losses) -> Block | None:
    if role == "assistant" or part.kind in ("audio", "video"):
        losses.add(f"media.{part.kind}", where, f"the API takes no {part.kind} here")
        return None
    source = _image_source(part) if part.kind == "image" else _document_source(part)
    if source is None:
        kind = part.media_type or type(part.source).__name__
        losses.add(f"media.{part.kind}", where, f"the API does not take it in this form ({kind})")
        return None
    if part.detail not in (None, "auto"):
        losses.add("detail", where, "the API has no detail of images")
    block: Block = {"type": part.kind, "source": own(part.extensions).get("_source") or source}
    if part.name is not None and part.kind == "document":
        block["title"] = part.name
    elif part.name is not None:
        losses.add("media.name", where, "the API has no names of images")
    return {**block, **fields(part.extensions)}


def _image_source(part: Media) -> Block | None:
    match part.source:
        case Base64Source(data=data):
            media_type = _known_type(part.media_type, data)
            if media_type not in IMAGE_TYPES:
                return None
            return {"type": "base64", "media_type": media_type, "data": data}
        case UrlSource(url=url) if url[:4].lower() == "http":
            return {"type": "url", "url": url}
        case FileIdSource(file_id=file_id, origin=origin) if origin == PROTOCOL:
            return {"type": "file", "file_id": file_id}
        case _:
            return None


def _document_source(part: Media) -> Block | None:
    match part.source:
        case Base64Source(data=data):
            return _inline_document(part.media_type, data)
        case UrlSource(url=url) if url[:4].lower() == "http":
            return {"type": "url", "url": url}
        case FileIdSource(file_id=file_id, origin=origin) if origin == PROTOCOL:
            return {"type": "file", "file_id": file_id}
        case PlainTextSource(text=text):
            return {"type": "text", "media_type": "text/plain", "data": text}
        case _:
            return None


def _inline_document(said: str, data: str) -> Block | None:
    """PDF goes as it is; what is text in truth goes as text."""
    media_type = _known_type(said, data).partition(";")[0]
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": data}
    if not media_type.startswith("text/") and media_type not in _TEXT_TYPES:
        return None
    try:
        text = base64.b64decode(data).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _known_type(said: str, data: str) -> str:
    """The media type; where none was said (or no real one), by how the bytes begin."""
    if said and said not in ("application/octet-stream", "image/*", "image/jpg"):
        return said
    return next((kind for head, kind in _BASE64_HEADS if data.startswith(head)), said)
