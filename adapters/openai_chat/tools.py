"""Tools and the choice among them. Both directions.

https://platform.openai.com/docs/api-reference/chat/create (tools, tool_choice, functions, function_call)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters import openai_common, reading
from adapters.canonical import (
    NO_EXTENSIONS,
    ProviderTool,
    Tool,
    ToolChoice,
    placed,
)
from adapters.errors import InvalidRequest
from adapters.losses import Losses
from adapters.openai_chat.content import PROTOCOL, note, restore, with_cache_control
from adapters.reading import member

Json = dict[str, Any]

_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_CUSTOM = frozenset({"name", "description", "format"})
_LEGACY = frozenset({"name", "description", "parameters"})
_CHOICES = ("auto", "none", "required", "any")
"""`any` is Mistral's word for required."""

WEB_SEARCH = "web_search_options"
"""The provider's web search is a parameter of the request here, not an element of `tools`."""


# ---------------------------------------------------------------- decoding


def decode_tools(body: Mapping[str, Any]) -> tuple[Tool | ProviderTool, ...]:
    tools: list[Tool | ProviderTool] = [
        placed(_tool(value, f"tools[{index}]"), f"tools[{index}]")
        for index, value in enumerate(reading.items(body, "tools"))
    ]
    for index, value in enumerate(reading.items(body, "functions")):
        where = f"functions[{index}]"
        function = reading.as_mapping(value, where)
        bag = reading.rest(function, _LEGACY) | {"_legacy": True}
        tools.append(
            Tool(
                reading.required_string(function, "name", where),
                reading.string(function, "description", where),
                reading.mapping(function, "parameters", where),
                extensions={PROTOCOL: bag},
                place=where,
            )
        )
    search = reading.mapping(body, WEB_SEARCH)
    if search is not None:
        tools.append(ProviderTool(PROTOCOL, "web_search", search, WEB_SEARCH, WEB_SEARCH))
    return tuple(tools)


def _tool(value: Any, where: str) -> Tool | ProviderTool:
    source = reading.as_mapping(value, where)
    kind = source.get("type")
    if kind == "function" or (kind is None and "function" in source):
        return _function(source, where)
    if kind == "custom":
        return _custom(source, where)
    if not isinstance(kind, str):
        reading.wrong(kind, "a string", member("type", where))
    return ProviderTool(PROTOCOL, kind, source)


def _function(source: Mapping[str, Any], where: str) -> Tool:
    at = member("function", where)
    function = reading.required_mapping(source, "function", where)
    bag = reading.rest(source, frozenset({"type", "function", "cache_control"}))
    bag |= reading.rest(function, _FUNCTION, "function.")
    if "type" not in source:
        bag["_type"] = "absent"
    hint = source.get("cache_control")
    if hint is not None:
        bag["_cache_control"] = True
    extensions = {PROTOCOL: bag} if bag else NO_EXTENSIONS
    if hint is not None:
        extensions = {**extensions, "anthropic": {"cache_control": hint}}
    return Tool(
        reading.required_string(function, "name", at),
        reading.string(function, "description", at),
        reading.mapping(function, "parameters", at),
        strict=reading.boolean(function, "strict", at),
        extensions=extensions,
    )


def _custom(source: Mapping[str, Any], where: str) -> Tool:
    at = member("custom", where)
    nested = reading.mapping(source, "custom", where)
    custom = source if nested is None else nested  # the Responses API's flat form is tolerated
    bag = reading.rest(source, frozenset({"type", "custom"}) if nested is not None else _CUSTOM | {"type"})
    if nested is not None:
        bag |= reading.rest(nested, _CUSTOM, "custom.")
    return Tool(
        reading.required_string(custom, "name", at),
        reading.string(custom, "description", at),
        kind="custom",
        format=_flat_format(reading.mapping(custom, "format", at)),
        extensions={PROTOCOL: bag} if bag else NO_EXTENSIONS,
    )


def _flat_format(form: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Chat's `{type, grammar: {syntax, definition}}` as the canonical `{type, syntax, definition}`."""
    if form is None or not isinstance(form.get("grammar"), Mapping):
        return form
    return {**{key: value for key, value in form.items() if key != "grammar"}, **form["grammar"]}


def decode_choice(body: Mapping[str, Any]) -> ToolChoice | None:
    choice = body.get("tool_choice")
    if choice is None:
        return _legacy_choice(body.get("function_call"))
    if isinstance(choice, str):
        return _word(choice, "tool_choice")
    source = reading.as_mapping(choice, "tool_choice")
    kind = source.get("type", "function")
    if kind == "allowed_tools":
        return _allowed(source)
    if kind not in ("function", "custom"):
        return _provider_choice(source, kind)
    named = source.get(kind)
    at = member(kind, "tool_choice") if isinstance(named, Mapping) else "tool_choice"
    name = reading.required_string(named if isinstance(named, Mapping) else source, "name", at)
    return ToolChoice("named", (name,))


def _word(choice: str, where: str) -> ToolChoice:
    if choice not in _CHOICES:
        raise InvalidRequest(f"expected one of {', '.join(_CHOICES)}, got {choice!r:.60}", where=where)
    if choice == "any":
        return ToolChoice("required", extensions={PROTOCOL: {"_word": "any"}})
    return ToolChoice(choice)  # type: ignore[arg-type]


def _provider_choice(source: Mapping[str, Any], kind: Any) -> ToolChoice:
    """The choice of a provider's own tool: kept verbatim for its own protocol."""
    if not isinstance(kind, str):
        reading.wrong(kind, "a string", "tool_choice.type")
    return ToolChoice("auto", extensions={PROTOCOL: {"tool_choice": source}})


def _allowed(source: Mapping[str, Any]) -> ToolChoice:
    at = "tool_choice.allowed_tools"
    allowed = reading.required_mapping(source, "allowed_tools", "tool_choice")
    mode = reading.required_string(allowed, "mode", at)
    if mode not in ("auto", "required"):
        raise InvalidRequest(f"expected auto or required, got {mode!r:.60}", where=f"{at}.mode")
    names = []
    for index, value in enumerate(reading.items(allowed, "tools", at)):
        where = f"{at}.tools[{index}]"
        tool = reading.as_mapping(value, where)
        inner = tool.get("function") or tool.get("custom") or tool
        names.append(reading.required_string(reading.as_mapping(inner, where), "name", where))
    return ToolChoice(mode, tuple(names))  # type: ignore[arg-type]


def _legacy_choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return _word(choice, "function_call")
    source = reading.as_mapping(choice, "function_call")
    return ToolChoice("named", (reading.required_string(source, "name", "function_call"),))


# ---------------------------------------------------------------- encoding


def encode_tools(
    tools: Sequence[Tool | ProviderTool], body: Json, losses: Losses, *, cache_control: bool
) -> None:
    """Write `tools`, `functions` and `web_search_options` into `body`.

    A provider's own tool goes to its own protocol only: OpenAI answers any other type with 400.
    """
    listed: list[Json] = []
    legacy: list[Json] = []
    for index, tool in enumerate(tools):
        where = tool.place or f"tools[{index}]"
        if isinstance(tool, ProviderTool):
            if _is_search(tool) and openai_common.searches_itself(body["model"]):
                body[WEB_SEARCH], others = openai_common.search_options(tool.definition)
                for key in others:
                    losses.add(
                        f"tool.web_search.{key}", f"{where}.{key}", "the search has no such option here"
                    )
            elif tool.protocol != PROTOCOL:
                losses.add(f"tool.{tool.kind}", where, f"a tool that {tool.protocol} runs itself")
            elif tool.name == WEB_SEARCH:
                body[WEB_SEARCH] = dict(tool.definition)
            else:
                listed.append(dict(tool.definition))
        elif note(tool.extensions, "_legacy"):
            legacy.append(_encode_legacy(tool))
        else:
            listed.append(_encode_tool(tool, cache_control))
    if listed:
        body["tools"] = listed
    if legacy:
        body["functions"] = legacy


def _is_search(tool: ProviderTool) -> bool:
    return tool.protocol == openai_common.RESPONSES and tool.kind.startswith("web_search")


def _encode_legacy(tool: Tool) -> Json:
    out: Json = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.parameters is not None:
        out["parameters"] = tool.parameters
    restore(tool.extensions, "", out, out)
    return out


def _encode_tool(tool: Tool, cache_control: bool) -> Json:
    inner: Json = {"name": tool.name}
    if tool.description is not None:
        inner["description"] = tool.description
    out: Json = {"type": tool.kind, tool.kind: inner}
    if tool.kind == "custom":
        if tool.format is not None:
            inner["format"] = _nested_format(tool.format)
    else:
        if tool.parameters is not None:
            inner["parameters"] = tool.parameters
        if tool.strict is not None:
            inner["strict"] = tool.strict
    if tool.extensions:
        restore(tool.extensions, tool.kind, out, inner)
        with_cache_control(out, tool.extensions, cache_control)
    return out


def _nested_format(form: Mapping[str, Any]) -> Json:
    if form.get("type") != "grammar" or "grammar" in form:
        return dict(form)
    grammar = {key: form[key] for key in ("syntax", "definition") if key in form}
    others = {key: value for key, value in form.items() if key not in ("type", "syntax", "definition")}
    return {"type": "grammar", "grammar": grammar, **others}


def encode_choice(choice: ToolChoice, tools: Sequence[Tool | ProviderTool], body: Json) -> None:
    """Write `tool_choice` (or the legacy `function_call`); nothing where no tools are left."""
    if "tools" not in body and "functions" not in body:
        return
    key = "tool_choice" if "tools" in body else "function_call"
    kinds = {tool.name: tool.kind for tool in tools if isinstance(tool, Tool)}
    verbatim = note(choice.extensions, "tool_choice")
    if verbatim is not None:
        body["tool_choice"] = verbatim
    elif choice.mode == "named" and choice.names:
        name = choice.names[0]
        kind = kinds.get(name, "function")
        body[key] = {"name": name} if key == "function_call" else {"type": kind, kind: {"name": name}}
    elif choice.names and key == "tool_choice":
        listed = [
            {"type": kind, kind: {"name": name}}
            for name in choice.names
            for kind in (kinds.get(name, "function"),)
        ]
        allowed = {"mode": choice.mode, "tools": listed}
        body[key] = {"type": "allowed_tools", "allowed_tools": allowed}
    else:
        body[key] = note(choice.extensions, "_word") or choice.mode
