"""Tools and the choice among them, from a client's request.

https://platform.claude.com/docs/en/api/messages/create (tools, tool_choice)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from adapters.anthropic.client_tools import as_function
from adapters.anthropic.names import PROTOCOL, bag, leftover
from adapters.canonical import ProviderTool, Tool, ToolChoice, placed
from adapters.errors import InvalidRequest
from adapters.reading import as_mapping, boolean, mapping, required_string, string

_TOOL = frozenset({"type", "name", "description", "input_schema", "strict"})
_TOLD = frozenset({"type", "name", "strict", "display_width_px", "display_height_px", "enable_zoom"})
"""Of a tool that Anthropic defines: what the function for other models says."""
_CHOICE = frozenset({"type", "name", "disable_parallel_tool_use"})

_MODES: dict[str, Literal["auto", "none", "required", "named"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "named",
    "none": "none",
}


def decode_tool(value: Any, where: str) -> Tool | ProviderTool:
    return placed(_tool(value, where), where)


def _tool(value: Any, where: str) -> Tool | ProviderTool:
    source = as_mapping(value, where)
    kind = string(source, "type", where)
    if kind in (None, "custom"):
        return _function(source, kind, where)
    name = string(source, "name", where)
    if (function := as_function(source)) is not None:
        name, description, schema = function
        extra = {"_definition": source, **leftover(source, _TOLD)}
        strict = boolean(source, "strict", where)
        return Tool(name, description, schema, strict=strict, extensions=bag(extra))
    return ProviderTool(PROTOCOL, kind or "", source, name)


def _function(source: Mapping[str, Any], kind: str | None, where: str) -> Tool:
    extra = {**leftover(source, _TOOL), "_own": True}
    if kind is not None:
        extra["_type"] = kind
    return Tool(
        name=required_string(source, "name", where),
        description=string(source, "description", where),
        parameters=mapping(source, "input_schema", where),
        strict=boolean(source, "strict", where),
        extensions=bag(extra),
    )


def decode_choice(value: Any, where: str) -> tuple[ToolChoice, bool | None]:
    """The choice, and whether parallel calls are allowed (None: not said)."""
    source = as_mapping(value, where)
    kind = required_string(source, "type", where)
    mode = _MODES.get(kind)
    if mode is None:
        raise InvalidRequest(f"one of {', '.join(_MODES)}, not {kind!r}", where=f"{where}.type")
    names = (required_string(source, "name", where),) if mode == "named" else ()
    disabled = boolean(source, "disable_parallel_tool_use", where)
    choice = ToolChoice(mode, names, bag(leftover(source, _CHOICE)))
    return choice, None if disabled is None else not disabled
