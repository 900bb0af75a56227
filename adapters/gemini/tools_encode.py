"""Canonical tools and tool choice to Gemini's.

https://ai.google.dev/gemini-api/docs/function-calling
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters import json_schema
from adapters.canonical import ChatRequest, ProviderTool, Tool, ToolChoice
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.parts_encode import Wire, note, own, split
from adapters.losses import Losses


def encode_tools(tools: Sequence[Tool | ProviderTool], losses: Losses) -> list[Wire]:
    """All functions in one `Tool`, in the place of the first; each provider tool in one of its own."""
    declarations: list[Wire] = []
    wires: list[Wire] = []
    for at, tool in enumerate(tools):
        where = tool.place or f"tools[{at}]"
        if isinstance(tool, Tool):
            if not declarations:
                wires.append({"functionDeclarations": declarations})
            declarations.append(_declaration(tool, where, losses))
        elif tool.protocol == PROTOCOL:
            wires.append(dict(tool.definition))
        else:
            losses.add(f"tool.{tool.kind}", where, f"a tool that {tool.protocol} runs")
    return wires


def _declaration(tool: Tool, where: str, losses: Losses) -> Wire:
    losses.foreign(tool.extensions, PROTOCOL, where)
    if tool.strict:
        losses.add("tool.strict", f"{where}.strict", "Gemini has no strict functions")
    wire: Wire = {"name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    declared = note(tool.extensions, "_declared")
    if isinstance(declared, dict):
        wire.update(declared)
    elif tool.parameters is not None:
        # `parameters` takes a subset of OpenAPI only and refuses every keyword beyond it
        wire["parametersJsonSchema"] = json_schema.for_gemini(tool.parameters)
    return {**wire, **own(tool.extensions)}


# ---------------------------------------------------------------- tool choice

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}


def encode_tool_config(request: ChatRequest, bag: Wire, native: bool, losses: Losses) -> Wire:
    calling = _calling_config(request, native, losses)
    return {"functionCallingConfig": calling, **bag} if calling else dict(bag)


def _calling_config(request: ChatRequest, native: bool, losses: Losses) -> Wire:
    choice = request.tool_choice
    if choice is None:
        return {}
    losses.foreign(choice.extensions, PROTOCOL, "tool_choice")
    bag, _ = split(own(choice.extensions), "functionCallingConfig")
    names = [tool.name for tool in request.tools if isinstance(tool, Tool)]
    if native:
        mode = note(choice.extensions, "_mode") if _has_mode_note(choice) else _MODES[choice.mode]
        allowed = list(choice.names)
    else:
        if not names:  # "Function calling config is set without function_declarations"
            if choice.mode != "auto":
                losses.add("tool_choice", "tool_choice", "no function is left to choose")
            return {}
        mode, allowed = _MODES[choice.mode], _allowed(choice, names, losses)
        if choice.mode == "named" and not allowed:
            return {}
        if choice.mode == "auto" and allowed:
            mode = "VALIDATED"  # the only mode that leaves the choice to the model and limits the names
    config: Wire = {} if mode is None else {"mode": mode}
    if allowed and (native or choice.mode != "none"):
        config["allowedFunctionNames"] = allowed
    return {**config, **bag}


def _has_mode_note(choice: ToolChoice) -> bool:
    return "_mode" in choice.extensions.get(PROTOCOL, {})


def _allowed(choice: ToolChoice, names: Sequence[str], losses: Losses) -> list[str]:
    known = [name for name in choice.names if name in names]
    for name in choice.names:
        if name not in names:
            losses.add("tool_choice", "tool_choice", f"no function is called {name!r}")
    return known


def encode_format(request: ChatRequest, native: bool, losses: Losses) -> dict[str, Any]:
    """`responseMimeType` and the schema. Gemini 2.5 and later take JSON Schema.

    https://ai.google.dev/gemini-api/docs/structured-output
    """
    wanted = request.output_format
    if wanted is None:
        return {}
    losses.foreign(wanted.extensions, PROTOCOL, "output_format")
    declared = note(wanted.extensions, "_declared")
    if isinstance(declared, dict):
        return dict(declared)
    match wanted.kind:
        case "text":
            return {}
        case "json":
            return {"responseMimeType": "application/json"}
        case "json_schema":
            schema = json_schema.for_gemini(json_schema.described_schema(wanted))
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}
