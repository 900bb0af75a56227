"""A cheap, deterministic estimate of token counts, for where no provider will count.

About four bytes of UTF-8 make a token in English, code and JSON; other scripts have two or three bytes
to a character and about one token to one or two characters, which the same rule fits well enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.canonical import (
    Base64Source,
    ChatRequest,
    Media,
    MediaKind,
    Opaque,
    Part,
    PlainTextSource,
    ProviderTool,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from adapters.jsontext import dump_bytes

BYTES_PER_TOKEN = 4
PER_MESSAGE = 4
PER_TOOL = 12

_MEDIA_FLOOR: dict[MediaKind, int] = {"image": 800, "document": 1500, "audio": 300, "video": 2000}
"""A usual photograph, a page, ten seconds of sound and of film."""

_BASE64_PER_TOKEN: dict[MediaKind, int] = {"image": 0, "document": 60, "audio": 700, "video": 4000}
"""How many characters of base64 stand for a token; 0: the size says nothing."""


def of_text(text: str) -> int:
    """Tokens of `text`, rounded up; 0 for nothing."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // BYTES_PER_TOKEN)


def of_parts(parts: Iterable[Part]) -> int:
    """Tokens of a message's or an answer's parts."""
    return sum(of_part(part) for part in parts)


def of_part(part: Part) -> int:
    match part:
        case Text() | Refusal() | Thinking():
            return of_text(part.text)
        case ToolCall():
            return of_text(part.name) + of_text(part.arguments) + PER_MESSAGE
        case ToolResult():
            return of_parts(part.content) + PER_MESSAGE
        case Media():
            return _of_media(part)
        case Opaque():
            return of_text(part.text) if part.text else len(dump_bytes(dict(part.value))) // BYTES_PER_TOKEN


def _of_media(media: Media) -> int:
    floor = _MEDIA_FLOOR[media.kind]
    match media.source:
        case PlainTextSource(text=text):
            return of_text(text)
        case Base64Source(data=data) if _BASE64_PER_TOKEN[media.kind]:
            return max(floor, len(data) // _BASE64_PER_TOKEN[media.kind])
        case _:
            return floor


def of_request(request: ChatRequest) -> int:
    """Input tokens of a whole request: instructions, conversation, tools and output schema."""
    total = 3 + of_parts(request.instructions)
    total += sum(PER_MESSAGE + of_parts(message.parts) for message in request.messages)
    total += sum(_of_tool(tool) for tool in request.tools)
    if request.output_format is not None and request.output_format.schema is not None:
        total += len(dump_bytes(dict(request.output_format.schema))) // BYTES_PER_TOKEN
    return total


def _of_tool(tool: Tool | ProviderTool) -> int:
    if isinstance(tool, ProviderTool):
        return PER_TOOL + len(dump_bytes(dict(tool.definition))) // BYTES_PER_TOKEN
    total = PER_TOOL + of_text(tool.name) + of_text(tool.description or "")
    for document in (tool.parameters, tool.format):
        if document:
            total += len(dump_bytes(dict(document))) // BYTES_PER_TOKEN
    return total
