"""Tools that OpenAI defines and the client runs: told to other models as plain functions.

Each has its own kind of call item and of output item. The function's arguments are the JSON object in
the call's payload, so a call goes either way without loss.

Source: `openai.types.responses` (`LocalShell`, `FunctionShellToolParam`, `ApplyPatchToolParam`,
`ToolSearchToolParam`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.canonical import Part, Text, Tool, ToolCall, ToolResult
from adapters.jsontext import dump, load_object
from adapters.openai_responses import notes


@dataclass(frozen=True, slots=True)
class ClientTool:
    """`payload` is the key of the call item that holds what the model asks for."""

    kind: str
    call_type: str
    output_type: str
    payload: str
    description: str
    parameters: Mapping[str, Any]
    constants: Mapping[str, Any]
    """Keys of the payload that are always the same, and not asked of a model."""


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_STRINGS = {"type": "array", "items": {"type": "string"}}
_TIMEOUT = {"type": "integer", "description": "Time limit in milliseconds."}

CLIENT_TOOLS: tuple[ClientTool, ...] = (
    ClientTool(
        "local_shell",
        "local_shell_call",
        "local_shell_call_output",
        "action",
        "Runs a command on the user's machine and returns its output.",
        _object(
            ("command",),
            command={**_STRINGS, "description": "The program and its arguments."},
            working_directory={"type": "string"},
            env={"type": "object", "additionalProperties": {"type": "string"}},
            timeout_ms=_TIMEOUT,
        ),
        {"type": "exec", "env": {}},
    ),
    ClientTool(
        "shell",
        "shell_call",
        "shell_call_output",
        "action",
        "Runs shell commands and returns what they print.",
        _object(
            ("commands",),
            commands={**_STRINGS, "description": "The command lines, run in order."},
            timeout_ms=_TIMEOUT,
            max_output_length={"type": "integer", "description": "Most characters of output to return."},
        ),
        {},
    ),
    ClientTool(
        "apply_patch",
        "apply_patch_call",
        "apply_patch_call_output",
        "operation",
        "Creates, changes or deletes one file.",
        _object(
            ("type", "path"),
            type={"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            path={"type": "string"},
            diff={"type": "string", "description": "The change as a V4A diff; not for delete_file."},
        ),
        {},
    ),
    ClientTool(
        "tool_search",
        "tool_search_call",
        "tool_search_output",
        "arguments",
        "Searches for further tools; those that are found can be called afterwards.",
        _object(("query",), query={"type": "string"}, limit={"type": "integer"}),
        {},
    ),
)

BY_KIND = {tool.kind: tool for tool in CLIENT_TOOLS}
BY_CALL = {tool.call_type: tool for tool in CLIENT_TOOLS}
BY_OUTPUT = {tool.output_type: tool for tool in CLIENT_TOOLS}


def is_run_by_client(definition: Mapping[str, Any]) -> bool:
    """Whether a tool's definition is one that the client runs: a shell may run at OpenAI, too."""
    kind = definition.get("type")
    if kind == "shell":
        environment = definition.get("environment")
        return not isinstance(environment, dict) or environment.get("type") == "local"
    if kind == "tool_search":
        return definition.get("execution") == "client"
    return kind in BY_KIND


def decode_tool(definition: Mapping[str, Any]) -> Tool:
    known = BY_KIND[definition["type"]]
    description, parameters = definition.get("description"), definition.get("parameters")
    return Tool(
        known.kind,
        description if isinstance(description, str) else known.description,
        parameters if isinstance(parameters, dict) else known.parameters,
        extensions=notes.extensions({"_:raw": definition, **_rest(definition)}),
    )


_TOLD = frozenset({"type", "description", "parameters", "execution"})


def _rest(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What the function for other models does not say: skills of the shell, who else may call, …"""
    rest = notes.rest(definition, _TOLD)
    if isinstance(environment := rest.get("environment"), dict) and environment.keys() <= {"type"}:
        del rest["environment"]
    return rest


def decode_call(item: Mapping[str, Any], call_id: str) -> ToolCall:
    known = BY_CALL[item["type"]]
    payload = item.get(known.payload)
    if isinstance(payload, dict):
        payload = {
            key: value
            for key, value in payload.items()
            if value is not None and known.constants.get(key) != value
        }
    arguments = payload if isinstance(payload, str) else dump(payload)
    return ToolCall(call_id, known.kind, arguments, extensions=notes.extensions({"_:raw": item}))


def encode_call(call: ToolCall, kind: str, item_id: str, status: str) -> dict[str, Any]:
    """The item of a client that declared the tool. Arguments that are no object stand as they are."""
    known = BY_KIND[kind]
    arguments: Any = load_object(call.arguments)
    payload = call.arguments if arguments is None else {**known.constants, **arguments}
    if kind == "shell" and isinstance(payload, dict):
        payload = {"timeout_ms": None, "max_output_length": None, **payload}
    item = {
        "type": known.call_type,
        "id": item_id,
        "call_id": call.id,
        "status": status,
        known.payload: payload,
    }
    if kind == "tool_search":
        item["execution"] = "client"
    return item


_OUTPUT = frozenset(
    {"type", "id", "call_id", "status", "output", "tools", "execution", "max_output_length", "created_by"}
)


def decode_output(item: Mapping[str, Any], call_id: str) -> ToolResult:
    """The result in words; the item itself stays beside it."""
    known = BY_OUTPUT[item["type"]]
    output = item.get("output") if known.kind != "tool_search" else item.get("tools")
    text = output if isinstance(output, str) else "" if output is None else dump(output)
    if known.kind == "apply_patch":
        text = text or str(item.get("status") or "")
    content: tuple[Part, ...] = (Text(text),) if text else ()
    failed = item.get("status") == "failed"
    bag = {"_:raw": item, **notes.rest(item, _OUTPUT)}
    return ToolResult(call_id, content, known.kind, failed, extensions=notes.extensions(bag))
