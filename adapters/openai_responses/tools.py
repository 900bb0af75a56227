"""Tools and the choice among them, both ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters import openai_common
from adapters.canonical import ProviderTool, Tool, ToolChoice, placed
from adapters.errors import InvalidRequest
from adapters.losses import Losses
from adapters.openai_responses import client_tools, notes
from adapters.reading import as_list, as_mapping, boolean, mapping, required_string, string
from adapters.tool_names import grammar_of

DECLARING = ("additional_tools", "tool_search_output")
"""Types of items that declare tools in mid-conversation."""
_KNOWN = frozenset({"type", "name", "description", "parameters", "strict", "format"})
_NAMESPACE = frozenset({"type", "name", "tools"})


# ---------------------------------------------------------------- reading


def decode_tools(values: Any, where: str, origin: str | None = None) -> list[Tool | ProviderTool]:
    """`origin` is the type of the item that declares them in mid-conversation."""
    tools: list[Tool | ProviderTool] = []
    for at, value in enumerate(as_list(values, where)):
        path = f"{where}[{at}]"
        definition = as_mapping(value, path)
        if definition.get("type") == "namespace":
            tools += _namespace(definition, path, origin)
        else:
            tools.append(placed(_tool(definition, path, origin), path))
    return tools


def _tool(definition: Mapping[str, Any], where: str, origin: str | None) -> Tool | ProviderTool:
    kind = required_string(definition, "type", where)
    if kind in ("function", "custom"):
        return _declared(definition, where, {"_:origin": origin} if origin else {})
    if client_tools.is_run_by_client(definition) and not origin:
        return client_tools.decode_tool(definition)
    return ProviderTool(notes.PROTOCOL, kind, definition, string(definition, "name", where))


def _declared(
    definition: Mapping[str, Any], where: str, bag: dict[str, Any], namespace: str | None = None
) -> Tool:
    kind = definition.get("type")
    if kind not in ("function", "custom"):
        raise InvalidRequest(f"expected a function or custom tool, not {kind!r}", where=f"{where}.type")
    bag = {"_:raw": definition, **notes.rest(definition, _KNOWN), **bag}
    return Tool(
        required_string(definition, "name", where),
        string(definition, "description", where),
        mapping(definition, "parameters", where),
        "custom" if kind == "custom" else "function",
        mapping(definition, "format", where),
        boolean(definition, "strict", where),
        namespace,
        notes.extensions(bag),
    )


def _namespace(definition: Mapping[str, Any], where: str, origin: str | None) -> list[Tool]:
    namespace = required_string(definition, "name", where)
    about = {key: value for key, value in definition.items() if key not in _NAMESPACE}
    bag: dict[str, Any] = {"_:namespace": about}
    if origin:
        bag["_:origin"] = origin
    tools = []
    for at, value in enumerate(as_list(definition.get("tools"), f"{where}.tools")):
        path = f"{where}.tools[{at}]"
        told = {"namespace.description": about["description"]} if at == 0 and about.get("description") else {}
        tools.append(placed(_declared(as_mapping(value, path), path, {**bag, **told}, namespace), path))
    return tools


def decode_choice(value: Any, where: str = "tool_choice") -> ToolChoice:
    match value:
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case str():
            raise InvalidRequest(f"unknown tool choice {value!r}", where=where)
    choice = as_mapping(value, where)
    kind = required_string(choice, "type", where)
    raw = {"_:raw": choice}
    if kind in ("function", "custom"):
        return ToolChoice("named", (required_string(choice, "name", where),), notes.extensions(raw))
    if kind in client_tools.BY_KIND:
        return ToolChoice("named", (kind,), notes.extensions(raw))
    if kind == "allowed_tools":
        mode = choice.get("mode")
        if mode not in ("auto", "required"):
            raise InvalidRequest("expected auto or required", where=f"{where}.mode")
        allowed = [
            as_mapping(one, f"{where}.tools[{at}]")
            for at, one in enumerate(as_list(choice.get("tools"), f"{where}.tools"))
        ]
        names = tuple(name for one in allowed if isinstance(name := one.get("name") or one.get("type"), str))
        return ToolChoice("required" if mode == "required" else "auto", names, notes.extensions(raw))
    return ToolChoice("required", (), notes.extensions({**raw, "tool_choice": kind}))


# ---------------------------------------------------------------- writing


def encode_tools(tools: Iterable[Tool | ProviderTool], losses: Losses) -> list[dict[str, Any]]:
    """Members of one namespace that stand together come back as one namespace tool."""
    out: list[dict[str, Any]] = []
    for at, tool in enumerate(tools):
        where = tool.place or f"tools[{at}]"
        if isinstance(tool, ProviderTool):
            if tool.protocol == notes.PROTOCOL:
                out.append(dict(tool.definition))
            elif tool.protocol == openai_common.CHAT and tool.kind == "web_search":
                out.append(openai_common.search_tool(tool.definition))
            else:
                losses.add(f"tool.{tool.kind}", where, f"a tool of {tool.protocol} only")
            continue
        losses.foreign(tool.extensions, notes.PROTOCOL, where)
        bag = notes.own(tool.extensions)
        if "_:origin" in bag:
            continue
        definition = _definition(tool, bag)
        if tool.namespace is None:
            out.append(definition)
        elif out and out[-1]["type"] == "namespace" and out[-1]["name"] == tool.namespace:
            out[-1]["tools"].append(definition)
        else:
            about = bag.get("_:namespace") or {"description": tool.namespace}
            out.append({"type": "namespace", "name": tool.namespace, **about, "tools": [definition]})
    return out


def _definition(tool: Tool, bag: Mapping[str, Any]) -> dict[str, Any]:
    raw = bag.get("_:raw")
    if raw is not None:
        return dict(raw) if raw.get("name", tool.name) == tool.name else {**raw, "name": tool.name}
    out: dict[str, Any] = {"type": tool.kind, "name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.kind == "custom":
        form = _format(tool)
        if form:
            out["format"] = form
        return out
    # An absent `strict` means: strict if the schema allows it. No other protocol has that default.
    out["strict"] = tool.strict or False
    out["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    return out


def _format(tool: Tool) -> dict[str, Any] | None:
    grammar = grammar_of(tool)
    if grammar:
        return {"type": "grammar", "syntax": grammar[0], "definition": grammar[1]}
    return dict(tool.format) if tool.format else None


def withheld(items: list[dict[str, Any]], tools: Sequence[Tool | ProviderTool]) -> list[dict[str, Any]]:
    """`items` without declarations of tools that are not among `tools`: somebody took them out."""
    if not any(item.get("type") in DECLARING for item in items):
        return items
    names = {(tool.namespace, tool.name) for tool in tools if isinstance(tool, Tool)}
    others = [
        tool.definition if isinstance(tool, ProviderTool) else notes.own(tool.extensions).get("_:raw")
        for tool in tools
    ]

    def kept(definitions: list[Any], namespace: str | None = None) -> list[Any]:
        found = []
        for one in definitions:
            if one.get("type") == "namespace":
                found.append({**one, "tools": kept(one["tools"], one["name"])})
            elif (namespace, one.get("name")) in names or one in others:
                found.append(one)
        return found

    return [
        {**item, "tools": kept(item["tools"])} if item.get("type") in DECLARING and "tools" in item else item
        for item in items
    ]


def encode_choice(choice: ToolChoice, tools: Iterable[Tool | ProviderTool], losses: Losses) -> Any:
    losses.foreign(choice.extensions, notes.PROTOCOL, "tool_choice")
    raw = notes.own(choice.extensions).get("_:raw")
    if raw is not None:
        return dict(raw)
    if not choice.names:
        return "required" if choice.mode == "named" else choice.mode
    kinds = {tool.name: tool.kind for tool in tools if isinstance(tool, Tool)}
    chosen = [{"type": kinds.get(name, "function"), "name": name} for name in choice.names]
    if choice.mode == "named":
        return chosen[0]
    if choice.mode == "none":
        return "none"
    return {"type": "allowed_tools", "mode": choice.mode, "tools": chosen}
