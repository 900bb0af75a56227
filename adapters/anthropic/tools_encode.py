"""Tools, the choice among them, and an output format that a tool stands for.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use, …/strict-tool-use
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.anthropic.abilities import takes_output_format
from adapters.anthropic.names import OUTPUT_TOOL, PROTOCOL, fields, own
from adapters.canonical import ChatRequest, OutputFormat, Tool
from adapters.json_schema import described_schema, for_anthropic_output
from adapters.losses import Losses

Block = dict[str, Any]

_MODES = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
_MOST_STRICT = 20
"""Strict tools in one request."""
_NO_PARAMETERS: Block = {"type": "object", "properties": {}}


def encode_tools(request: ChatRequest, model: str, losses: Losses) -> list[Block]:
    out: list[Block] = []
    strict = sum(1 for tool in request.tools if isinstance(tool, Tool) and tool.strict)
    allow_strict = strict <= _MOST_STRICT and takes_output_format(model)
    for index, tool in enumerate(request.tools):
        where = tool.place or f"tools[{index}]"
        if isinstance(tool, Tool):
            out.append(_function(tool, allow_strict, where, losses))
        elif tool.protocol == PROTOCOL:
            out.append(dict(tool.definition))
        else:
            losses.add(f"tool.{tool.kind}", where, f"{tool.protocol} runs this tool; nobody else can")
    return out


def _function(tool: Tool, allow_strict: bool, where: str, losses: Losses) -> Block:
    losses.foreign(tool.extensions, PROTOCOL, where)
    notes = own(tool.extensions)
    if isinstance(definition := notes.get("_definition"), Mapping):
        return dict(definition)
    written = "_own" in notes
    block: Block = {"type": notes["_type"]} if "_type" in notes else {}
    block["name"] = tool.name
    if tool.description is not None:
        block["description"] = tool.description
    block["input_schema"] = _schema(tool, written, where, losses)
    if tool.strict is not None and (written or _may_be_strict(tool, allow_strict, where, losses)):
        block["strict"] = tool.strict
    return {**block, **fields(tool.extensions)}


def _schema(tool: Tool, written: bool, where: str, losses: Losses) -> Block:
    """The schema has to be that of an object, without alternatives at its top."""
    schema = dict(tool.parameters or {})
    if written:
        return schema
    if not schema:
        return dict(_NO_PARAMETERS)
    if any(key in schema for key in _ALTERNATIVES):
        losses.add(
            "tool.schema", f"{where}.parameters", "alternatives at the top are told as optional properties"
        )
        schema = _flat(schema)
    return schema if "type" in schema else {"type": "object", **schema}


_ALTERNATIVES = ("anyOf", "oneOf", "allOf")


def _flat(schema: Block) -> Block:
    """One object with the properties of all alternatives; required is what all of them require."""
    properties: Block = {}
    required = set(_names(schema))
    for key in _ALTERNATIVES:
        branches = [branch for branch in schema.get(key) or () if isinstance(branch, Mapping)]
        for branch in branches:
            found = branch.get("properties")
            properties.update(found if isinstance(found, Mapping) else {})
        sets = [set(_names(branch)) for branch in branches]
        required |= set().union(*sets) if key == "allOf" else set.intersection(*sets) if sets else set()
    own_properties = schema.get("properties")
    properties.update(own_properties if isinstance(own_properties, Mapping) else {})
    flat = {key: value for key, value in schema.items() if key not in _ALTERNATIVES}
    return {**flat, "properties": properties, **({"required": sorted(required)} if required else {})}


def _names(schema: Mapping[str, Any]) -> list[str]:
    names = schema.get("required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _may_be_strict(tool: Tool, allow: bool, where: str, losses: Losses) -> bool:
    """OpenAI's `strict` goes along where Anthropic takes the schema as it is."""
    if not tool.strict:
        return False
    same = allow and dict(tool.parameters or {}) == for_anthropic_output(tool.parameters)[0]
    if not same:
        losses.add("tool.strict", f"{where}.strict", "the model does not take this schema strictly")
    return same


def encode_choice(request: ChatRequest, tools: list[Block], losses: Losses) -> Block | None:
    """None where nothing has to be said, or where the tools it speaks of are gone."""
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is not None:
        losses.foreign(choice.extensions, PROTOCOL, "tool_choice")
    if not tools:
        if choice is not None and choice.mode in ("required", "named"):
            losses.add("tool_choice", "tool_choice", "there is no tool to choose")
        return None
    mode = choice.mode if choice is not None else "auto"
    names = choice.names if choice is not None else ()
    if mode == "required" and len(names) == 1:
        mode = "named"
    declared = {tool.get("name") for tool in tools}
    if mode == "named" and (not names or names[0] not in declared):
        losses.add("tool_choice", "tool_choice", "the tool that it names was left out")
        choice, mode, names = None, "auto", ()
    if names and mode in ("auto", "required"):
        losses.add("tool_choice.names", "tool_choice", "the API cannot restrict the choice to some tools")
    block: Block = {"type": _MODES[mode]}
    if mode == "named":
        block["name"] = names[0]
    if parallel is False and mode != "none":
        block["disable_parallel_tool_use"] = True
    elif parallel and own(request.extensions) and choice is not None and mode != "none":
        block["disable_parallel_tool_use"] = False
    if choice is None and len(block) == 1:
        return None
    return {**block, **fields(choice.extensions)} if choice is not None else block


def output_format(wanted: OutputFormat, losses: Losses) -> Block:
    """`output_config.format`."""
    if "_own" in own(wanted.extensions):
        return {"type": "json_schema", "schema": wanted.schema, **fields(wanted.extensions)}
    schema, _ = for_anthropic_output(described_schema(wanted))
    return {"type": "json_schema", "schema": schema}


def output_tool(wanted: OutputFormat) -> Block:
    """The tool that a model without output formats has to call instead."""
    description = wanted.description or "Give the final answer to the user by calling this tool, once."
    schema = dict(wanted.schema or _NO_PARAMETERS)
    return {"name": OUTPUT_TOOL, "description": description, "input_schema": schema}
