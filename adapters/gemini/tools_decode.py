"""Gemini's tools, tool configuration and output format to canonical ones.

https://ai.google.dev/api/caching#Tool
"""

from __future__ import annotations

from typing import Any

from adapters import json_schema
from adapters.canonical import OutputFormat, ProviderTool, Tool, ToolChoice
from adapters.errors import InvalidRequest
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.parts_decode import extensions_of
from adapters.gemini.reading import Fields, fields, items, take_text, take_texts
from adapters.reading import wrong


def decode_tools(value: Any) -> tuple[Tool | ProviderTool, ...]:
    """Every function declaration is a tool; every other key of a `Tool` is one that Google runs."""
    if value is None:
        return ()
    found: list[Tool | ProviderTool] = []
    for index, raw in enumerate(items(value, "tools")):
        where = f"tools[{index}]"
        for kind, definition in fields(raw, where).items():
            if kind != "functionDeclarations":
                found.append(ProviderTool(PROTOCOL, kind, {kind: definition}, place=f"{where}.{kind}"))
                continue
            place = f"{where}.{kind}"
            found.extend(
                _function(declared, f"{place}[{at}]") for at, declared in enumerate(items(definition, place))
            )
    return tuple(found)


def _function(raw: Any, where: str) -> Tool:
    members = fields(raw, where)
    name = take_text(members, "name", where)
    if not name:
        raise InvalidRequest("is required", where=f"{where}.name")
    description = take_text(members, "description", where)
    own, plain = members.pop("parameters", None), members.pop("parametersJsonSchema", None)
    declared, schema = None, None
    if own is not None:
        declared, schema = {"parameters": own}, json_schema.from_gemini(_schema(own, f"{where}.parameters"))
    elif plain is not None:
        declared = {"parametersJsonSchema": plain}
        schema = json_schema.lower_types(_schema(plain, f"{where}.parametersJsonSchema"))
    if declared is not None:
        members["_declared"] = declared
    return Tool(name, description, schema, extensions=extensions_of(members), place=where)


def _schema(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        wrong(value, "a schema object", where)
    return value


# ---------------------------------------------------------------- tool choice


def decode_tool_config(members: Fields) -> ToolChoice | None:
    """Take `toolConfig` out of the body; what it has beside the choice goes back there."""
    value = members.pop("toolConfig", None)
    if value is None:
        return None
    config = fields(value, "toolConfig")
    calling = config.pop("functionCallingConfig", None)
    members.update({f"toolConfig.{key}": inner for key, inner in config.items()})
    if calling is None:
        return None
    place = "toolConfig.functionCallingConfig"
    return _choice(fields(calling, place), place)


def _choice(calling: Fields, where: str) -> ToolChoice | None:
    mode = take_text(calling, "mode", where)
    names = take_texts(calling, "allowedFunctionNames", where)
    bag = {f"functionCallingConfig.{key}": value for key, value in calling.items()}
    match (mode or "MODE_UNSPECIFIED").upper():
        case "ANY":
            return ToolChoice("named" if len(names) == 1 else "required", names, extensions_of(bag))
        case "NONE":
            return ToolChoice("none", names, extensions_of(bag))
        case "VALIDATED":
            bag["functionCallingConfig.mode"] = "VALIDATED"
            return ToolChoice("auto", names, extensions_of(bag))
        case "AUTO":
            return ToolChoice("auto", names, extensions_of(bag))
        case "MODE_UNSPECIFIED":
            return ToolChoice("auto", names, extensions_of({**bag, "_mode": mode})) if names or bag else None
        case _:
            raise InvalidRequest("must be AUTO, ANY, NONE or VALIDATED", where=f"{where}.mode")


# ---------------------------------------------------------------- output format


def output_format(config: Fields) -> OutputFormat | None:
    """Take `responseMimeType` and the schemas out of `generationConfig`."""
    where = "generationConfig"
    mime = take_text(config, "responseMimeType", where)
    own, plain = config.pop("responseSchema", None), config.pop("responseJsonSchema", None)
    declared: Fields = {}
    schema = None
    if own is not None:
        declared["responseSchema"] = own
        schema = json_schema.from_gemini(_schema(own, f"{where}.responseSchema"))
    if plain is not None:
        declared["responseJsonSchema"] = plain
        schema = json_schema.lower_types(_schema(plain, f"{where}.responseJsonSchema"))
    if mime is not None:
        declared["responseMimeType"] = mime
    if not declared:
        return None
    if mime not in (None, "application/json"):
        return _other_format(mime, declared)
    kind = "json" if schema is None else "json_schema"
    return OutputFormat(kind, schema, extensions={PROTOCOL: {"_declared": declared}})  # type: ignore[arg-type]


def _other_format(mime: str | None, declared: Fields) -> OutputFormat:
    """Plain text, or a MIME type that no other protocol has (`text/x.enum`)."""
    if mime == "text/plain":
        return OutputFormat("text", extensions={PROTOCOL: {"_declared": declared}})
    return OutputFormat("text", extensions={PROTOCOL: {"_declared": declared, "responseMimeType": mime}})
