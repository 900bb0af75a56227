"""Blocks that only this protocol has: kept verbatim, and told in words for others where that helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.anthropic.names import PROTOCOL
from adapters.canonical import Opaque


def opaque(block: Mapping[str, Any], kind: str) -> Opaque:
    return Opaque(PROTOCOL, kind, block, told(block, kind))


def told(block: Mapping[str, Any], kind: str) -> str:
    """The block in words; "" where nothing is told.

    Nothing is told of calls that the provider ran and of their results: a model that reads of them in
    its own earlier words goes on to write such words instead of calling, and makes up the results.
    What they brought is in the text that follows them.
    """
    if kind.endswith(("_tool_use", "_tool_result")):
        return ""
    match kind:
        case "search_result":
            head = " ".join(str(block[key]) for key in ("title", "source") if block.get(key))
            return "\n".join(filter(None, (head, _texts(block.get("content")))))
        case "tool_reference":
            return f"The tool {block.get('tool_name')} is available now."
        case "document":
            source = block.get("source")
            return _texts(source.get("content")) if isinstance(source, Mapping) else ""
        case _:
            return _texts(block.get("content"))


def _texts(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (item.get("text") for item in content if isinstance(item, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str))
