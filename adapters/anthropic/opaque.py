"""Blocks that only this protocol has: kept verbatim, and told in words for all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.anthropic.names import PROTOCOL
from adapters.canonical import Opaque
from adapters.jsontext import dump

_LONGEST = 4_000
"""Characters of a server tool's result that are told in words: enough to follow the conversation."""


def opaque(block: Mapping[str, Any], kind: str) -> Opaque:
    """The block as it is; its text is made of what a reader of the conversation would miss."""
    return Opaque(PROTOCOL, kind, block, told(block, kind))


def told(block: Mapping[str, Any], kind: str) -> str:
    """The block in words; "" where it says nothing about the conversation."""
    match kind:
        case "search_result":
            return _search_result(block)
        case "tool_reference":
            return f"The tool {block.get('tool_name')} is available now."
        case "server_tool_use" | "mcp_tool_use":
            return f"[called {block.get('name')} with {dump(block.get('input') or {})}]"
        case "compaction":
            content = block.get("content")
            return content if isinstance(content, str) else ""
        case "document":
            return _texts((block.get("source") or {}).get("content"))
    if kind.endswith("_tool_result"):
        words = _results(block.get("content"))
        return f"[{kind.removesuffix('_tool_result')} result: {words[:_LONGEST]}]"
    return _texts(block.get("content"))


def _search_result(block: Mapping[str, Any]) -> str:
    head = " ".join(str(block[key]) for key in ("title", "source") if block.get(key))
    return "\n".join(filter(None, (head, _texts(block.get("content")))))


def _results(content: Any) -> str:
    """Texts, or titles and links of what a search found, or the JSON without what nobody can read."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        lines = []
        for item in content:
            if isinstance(item, Mapping):
                words = [item[key] for key in ("title", "url", "text") if isinstance(item.get(key), str)]
                lines.append(" ".join(words))
        return "\n".join(filter(None, lines))
    if isinstance(content, Mapping):
        return dump({key: value for key, value in content.items() if not key.startswith("encrypted")})
    return ""


def _texts(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (item.get("text") for item in content if isinstance(item, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str))
