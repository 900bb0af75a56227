"""Content blocks of a client's request to parts.

https://platform.claude.com/docs/en/api/messages/create (messages → content)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapters.anthropic.marks import attach, read_slot
from adapters.anthropic.names import INVALID_JSON, bag, leftover
from adapters.anthropic.names import PROTOCOL as ANTHROPIC
from adapters.anthropic.opaque import opaque
from adapters.canonical import (
    Base64Source,
    FileIdSource,
    Media,
    MediaKind,
    MediaSource,
    Part,
    PlainTextSource,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UrlSource,
    placed,
)
from adapters.errors import InvalidRequest
from adapters.jsontext import dump
from adapters.reading import (
    as_mapping,
    boolean,
    mapping,
    required_mapping,
    required_string,
    string,
    wrong,
)

_TEXT = frozenset({"type", "text"})
_MEDIA = frozenset({"type", "source", "title"})
_THINKING = frozenset({"type", "thinking", "signature"})
_REDACTED = frozenset({"type", "data"})
_CALL = frozenset({"type", "id", "name", "input"})
_RESULT = frozenset({"type", "tool_use_id", "content", "is_error"})


def decode_content(content: Any, role: Role, where: str) -> tuple[Part, ...]:
    """A message's content: a string is one text."""
    if isinstance(content, str):
        return (placed(Text(content), where),)
    if not isinstance(content, list):
        wrong(content, "a string or a list of content blocks", where)
    parts = [decode_block(block, f"{where}[{index}]") for index, block in enumerate(content)]
    for index, part in enumerate(parts):
        _check_place(part, role, f"{where}[{index}]")
    return tuple(attach(parts))


def decode_block(block: Any, where: str) -> Part:
    source = as_mapping(block, where)
    kind = required_string(source, "type", where)
    reader = _READERS.get(kind)
    return placed(reader(source, where) if reader else opaque(source, kind), where)


def _check_place(part: Part, role: Role, where: str) -> None:
    if isinstance(part, ToolCall | Thinking) and role != "assistant":
        raise InvalidRequest(f"stands only in messages of the assistant, not of the {role}", where=where)
    if isinstance(part, ToolResult) and role != "user":
        raise InvalidRequest(
            f"a tool_result stands only in messages of the user, not of the {role}", where=where
        )


def _text(source: Mapping[str, Any], where: str) -> Part:
    return Text(required_string(source, "text", where), bag(leftover(source, _TEXT)))


# ---------------------------------------------------------------- media


def _image(source: Mapping[str, Any], where: str) -> Part:
    return _media(source, "image", where)


def _document(source: Mapping[str, Any], where: str) -> Part:
    return _media(source, "document", where)


def _media(block: Mapping[str, Any], kind: MediaKind, where: str) -> Part:
    source = required_mapping(block, "source", where)
    at = f"{where}.source"
    extra = leftover(block, _MEDIA)
    media: MediaSource
    media_type = string(source, "media_type", at) or ""
    match required_string(source, "type", at):
        case "base64":
            media = Base64Source(required_string(source, "data", at))
        case "url":
            media, media_type = _link(required_string(source, "url", at), media_type, kind)
        case "file":
            media = FileIdSource(required_string(source, "file_id", at), ANTHROPIC)
        case "text":
            media = PlainTextSource(required_string(source, "data", at))
        case "content":
            text = _content_text(source.get("content"), at)
            if text is None:
                return opaque(block, "document")
            media, extra = PlainTextSource(text), {**extra, "_source": dict(source)}
        case _:
            return opaque(block, kind)
    return Media(kind, media, media_type, name=string(block, "title", where), extensions=bag(extra))


def _link(url: str, media_type: str, kind: MediaKind) -> tuple[MediaSource, str]:
    """Some clients put a data URL where a link belongs."""
    head, comma, data = url.partition(",")
    if url[:5].lower() == "data:" and comma and head.endswith(";base64"):
        return Base64Source(data), head[5:-7].split(";")[0] or media_type
    return UrlSource(url), media_type or ("application/pdf" if kind == "document" else "")


def _content_text(content: Any, where: str) -> str | None:
    """The text of a document that consists of content blocks; None if some of them are no text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        wrong(content, "a string or a list of content blocks", f"{where}.content")
    parts = [decode_block(block, f"{where}.content[{index}]") for index, block in enumerate(content)]
    texts = [part.text for part in parts if isinstance(part, Text)]
    return "\n".join(texts) if len(texts) == len(parts) else None


# ---------------------------------------------------------------- thinking


def _thinking(source: Mapping[str, Any], where: str) -> Part:
    signature, thought_id = read_slot(string(source, "signature", where) or "")
    text = required_string(source, "thinking", where)
    return Thinking(text, signature, id=thought_id, extensions=bag(leftover(source, _THINKING)))


def _redacted(source: Mapping[str, Any], where: str) -> Part:
    signature, thought_id = read_slot(required_string(source, "data", where))
    extra = bag(leftover(source, _REDACTED))
    return Thinking("", signature, redacted=True, id=thought_id, extensions=extra)


# ---------------------------------------------------------------- tools


def _tool_use(source: Mapping[str, Any], where: str) -> Part:
    return ToolCall(
        id=required_string(source, "id", where),
        name=required_string(source, "name", where),
        arguments=arguments_of(mapping(source, "input", where) or {}),
        extensions=bag(leftover(source, _CALL)),
    )


def arguments_of(value: Mapping[str, Any]) -> str:
    """A call's `input` as JSON text; arguments that were no JSON object come back as they were."""
    if len(value) == 1 and isinstance(invalid := value.get(INVALID_JSON), str):
        return invalid
    return dump(value)


def _tool_result(source: Mapping[str, Any], where: str) -> Part:
    content = source.get("content")
    at = f"{where}.content"
    extra = leftover(source, _RESULT)
    parts: tuple[Part, ...] = ()
    if isinstance(content, str):
        parts, extra["_string"] = (placed(Text(content), at),), True
    elif isinstance(content, list):
        parts = tuple(decode_block(block, f"{at}[{index}]") for index, block in enumerate(content))
        for index, part in enumerate(parts):
            if isinstance(part, ToolCall | ToolResult | Thinking):
                raise InvalidRequest("does not stand within a tool_result", where=f"{at}[{index}]")
        extra["_list"] = True
    elif content is not None:
        wrong(content, "a string or a list of content blocks", at)
    is_error = boolean(source, "is_error", where)
    if is_error is False:
        extra["_is_error"] = False
    return ToolResult(
        call_id=required_string(source, "tool_use_id", where),
        content=parts,
        is_error=bool(is_error),
        extensions=bag(extra),
    )


_READERS: dict[str, Callable[[Mapping[str, Any], str], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
