"""The JSON Schema of settings files, for editors. `python -m hub.settings.schema` prints it.

It says what may be written, which is more than the model has: variables where numbers stand, the
spellings of other programs' `mcpServers`, and sections with nothing in them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from adapters.registry import BUILT_IN
from hub.settings import ide
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.settings.model import Settings

Json = dict[str, Any]

VARIABLE: Json = {"type": "string", "pattern": r"\$\{.+\}", "description": "A variable of the environment"}
SCALARS = ("integer", "number", "boolean")
EMPTY_MEANS_NOTHING_SAID = ("providers", "mcpServers", "profiles")


def settings_schema() -> Json:
    """The schema, as JSON Schema 2020-12."""
    schema = Settings.model_json_schema(by_alias=True)
    definitions: Json = schema["$defs"]
    for node in list(_nodes(schema)):
        _allow_variable(node)
        if isinstance(node.get("title"), str):
            del node["title"]
    for node in definitions["ProviderSettings"], definitions["McpServerSettings"]:
        for name in ("env", "headers"):
            if name in node["properties"]:
                node["properties"][name]["additionalProperties"] = {"type": ["string", "number", "boolean"]}
    _name_known_providers(definitions)
    _name_built_in_protocols(definitions["ProviderSettings"])
    _add_other_spellings(definitions["McpServerSettings"])
    for name in EMPTY_MEANS_NOTHING_SAID:
        section = schema["properties"][name]
        section["additionalProperties"] = {"anyOf": [section["additionalProperties"], {"type": "null"}]}
    _add_short_keys(schema["properties"]["keys"])
    for name in ("telemetry", "recorder"):
        schema["properties"][name]["anyOf"].append({"type": "boolean"})
    for name, section in schema["properties"].items():
        if "default" in section:
            del section["default"]
        if name != "default_group":
            schema["properties"][name] = {"anyOf": [section, {"type": "null"}]} | _description(section)
    schema["patternProperties"] = {"^x-": {}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Settings of the hub",
    }


def schema_text() -> str:
    """The schema as it stands in `configs/hub.schema.json`."""
    return json.dumps(settings_schema(), indent=2, ensure_ascii=False) + "\n"


def _nodes(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def _allow_variable(node: Json) -> None:
    """Let `${PORT}` stand where a number or a truth value does."""
    if node.get("type") not in SCALARS:
        return
    outer: Json = {key: node.pop(key) for key in ("description", "title", "default") if key in node}
    inner = dict(node)
    node.clear()
    node.update({"anyOf": [inner, dict(VARIABLE)], **outer})


def _name_known_providers(definitions: Json) -> None:
    for name in ("GroupSettings", "TargetSettings"):
        provider = definitions[name]["properties"]["provider"]
        provider.pop("type", None)
        provider.pop("minLength", None)
        provider["anyOf"] = [{"enum": list(KNOWN_PROVIDERS)}, {"type": "string", "minLength": 1}]


def _name_built_in_protocols(provider: Json) -> None:
    """An editor offers these; it cannot know which others are installed."""
    options = [{"enum": list(BUILT_IN)}, {"type": "string", "minLength": 1}, {"type": "null"}]
    provider["properties"]["protocol"]["anyOf"] = options


def _add_other_spellings(server: Json) -> None:
    properties = server["properties"]
    text_or_list = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    properties["command"] = {**text_or_list, **_description(properties["command"])}
    properties["type"] = {"enum": list(ide.TRANSPORTS), **_description(properties["type"])}
    for other, own in ide.RENAMED.items():
        properties[other] = {**properties[own], "description": f"Another program's name of `{own}`"}
    properties["enabled"] = {"type": "boolean", "description": "The opposite of `disabled`"}
    properties["envFile"] = {"type": "string", "description": "A file of `NAME=value` lines, put below `env`"}
    for name in sorted(ide.INERT):
        if name in properties:  # `trust`: an editor's is a switch
            properties[name] = {
                "anyOf": [{"enum": properties[name]["enum"]}, {"type": "boolean"}],
                **_description(properties[name]),
            }
            continue
        properties[name] = {"description": "Accepted and left out: it is the editor's own"}


def _add_short_keys(keys: Json) -> None:
    key = {"anyOf": [keys["additionalProperties"], {"type": "string", "minLength": 1}]}
    mapping = {"type": keys.pop("type"), "additionalProperties": key}
    del keys["additionalProperties"]
    keys["anyOf"] = [mapping, {"type": "array", "items": key}]


def _description(node: Json) -> Json:
    return {"description": node["description"]} if "description" in node else {}


if __name__ == "__main__":
    sys.stdout.write(schema_text())
