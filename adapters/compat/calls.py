"""From what a model wrote to calls of tools that the client declared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.canonical import ChatRequest, Tool
from adapters.compat.lenient_json import load_lenient
from adapters.jsontext import dump, load, load_object
from adapters.tool_names import ToolNames, plain_request

INVALID_JSON = "INVALID_JSON"
"""Under this key the arguments stand that nobody can read: valid in every protocol, and refused by the
client's own check of the tool's parameters, which tells the model. The key is the one that Anthropic's
documentation names: platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming"""

_NAME_KEYS = ("name", "tool", "tool_name", "function_name", "function")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "tool_input", "params")
_LIST_KEYS = ("tool_calls", "calls", "function_calls")
_NAME = re.compile(r'["\'](?:name|tool|tool_name|function)["\']\s*:\s*["\']([^"\']+)["\']')


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a declared tool. `arguments` is the text of a JSON object."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Text that was meant as a call and is none: it stays text. `reason` is for the model."""

    text: str
    reason: str


class DeclaredTools:
    """The tools that an answer to `request` may call, by the names that the upstream is told."""

    __slots__ = ("_customs", "_tools")

    def __init__(self, request: ChatRequest) -> None:
        plain, _ = plain_request(request)
        choice = plain.tool_choice
        tools = [tool for tool in plain.tools if isinstance(tool, Tool)]
        if choice is not None and choice.mode == "none":
            tools = []
        elif choice is not None and choice.names:
            tools = [tool for tool in tools if tool.name in choice.names]
        self._tools = {tool.name: tool for tool in tools}
        names = ToolNames(request)
        self._customs = {
            name for name in self._tools if (declared := names.declared(name)) and declared.kind == "custom"
        }

    def __bool__(self) -> bool:
        return bool(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def property_schema(self, name: str, key: str) -> Mapping[str, Any] | None:
        """What the tool's schema says of one argument; None if it says nothing."""
        properties = (self._tools[name].parameters or {}).get("properties")
        schema = properties.get(key) if isinstance(properties, dict) else None
        return schema if isinstance(schema, dict) else None

    # ------------------------------------------------------------ making calls

    def call(self, name: str, arguments: Any) -> Call | Rejected:
        """`arguments` is what the model gave, already read from JSON; text is read once more."""
        if name not in self._tools:
            return self.unknown(name)
        if isinstance(arguments, str) and name in self._customs:
            inner = _object(arguments)
            return Call(name, dump(inner if inner and "input" in inner else {"input": arguments}))
        if isinstance(arguments, str):
            inner = _object(arguments)
            return self.unreadable(name, arguments) if inner is None else Call(name, dump(inner))
        if arguments is None:
            return Call(name, "{}")
        if not isinstance(arguments, dict):
            return self.unreadable(name, dump(arguments))
        return Call(name, dump(arguments))

    def call_with_text(self, name: str, arguments: str, *, closed: bool) -> Call | Rejected:
        """`arguments` is JSON text as the model wrote it. `closed`: it did not stop in the middle."""
        if name not in self._tools:
            return self.unknown(name)
        if not arguments.strip():
            return Call(name, "{}")
        try:
            return self.call(name, load_lenient(arguments, close=closed))
        except (ValueError, RecursionError):
            return self.unreadable(name, arguments)

    def unknown(self, name: str) -> Rejected:
        return Rejected("", f"there is no tool `{name}`; the tools are: {', '.join(self._tools)}")

    def unreadable(self, name: str, arguments: str) -> Call | Rejected:
        """A call that the client must refuse; or none, where it would run the tool all the same."""
        if (self._tools[name].parameters or {}).get("required"):
            return Call(name, dump({INVALID_JSON: arguments}))
        return Rejected("", f"the arguments of `{name}` are not a JSON object")

    # ------------------------------------------------------------ reading JSON

    def calls_in(self, text: str, *, closed: bool, strict: bool = False) -> list[Call] | Rejected:
        """The calls that `text`, one JSON value, stands for.

        `strict`: JSON that could be something else, so it has to name its arguments and be readable.
        """
        try:
            value = load_lenient(text, close=closed)
        except (ValueError, RecursionError):
            named = _NAME.search(text)
            if strict or named is None or named[1] not in self._tools:
                return Rejected(
                    "", 'it is not a JSON object like {"name": "TOOL", "arguments": {"PARAMETER": "VALUE"}}'
                )
            return _all([self.unreadable(named[1], text)])
        return _all([self._from_value(item, strict) for item in _items(value)])

    def _from_value(self, value: Any, strict: bool) -> Call | Rejected:
        if not isinstance(value, dict):
            return Rejected("", "it is not a JSON object")
        inner = value.get("function")
        fields = inner if isinstance(inner, dict) else value
        name = next((fields[key] for key in _NAME_KEYS if isinstance(fields.get(key), str)), None)
        key = next((key for key in _ARGUMENT_KEYS if key in fields), None)
        if name is None or (strict and key is None):
            return Rejected("", 'it has no "name"')
        return self.call(name, fields[key] if key else None)


def _object(text: str) -> dict[str, Any] | None:
    if (found := load_object(text)) is not None:
        return found
    try:
        value = load_lenient(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for key in _LIST_KEYS:
            if isinstance(listed := value.get(key), list):
                return listed
    return [value]


def _all(found: Iterable[Call | Rejected]) -> list[Call] | Rejected:
    calls: list[Call] = []
    for item in found:
        if isinstance(item, Rejected):
            return item
        calls.append(item)
    return calls or Rejected("", "it holds no call")


def argument_value(schema: Mapping[str, Any] | None, text: str) -> Any:
    """An argument given as text between tags, as its schema wants it: strings stay as they are."""
    kinds = _kinds(schema)
    if schema is None or kinds == {"string"}:
        return text
    try:
        value = load(text.strip())
    except ValueError:
        word = text.strip().lower()
        return {"true": True, "false": False, "none": None}.get(word, text) if kinds - {"string"} else text
    if isinstance(value, str) or not kinds or _kind_of(value) in kinds:
        return value
    return value if "string" not in kinds else text


def _kinds(schema: Mapping[str, Any] | None) -> set[str]:
    if schema is None:
        return set()
    kind = schema.get("type")
    kinds = (
        {kind} if isinstance(kind, str) else {str(one) for one in kind} if isinstance(kind, list) else set()
    )
    for key in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(key), list):
            for option in options:
                kinds |= _kinds(option) if isinstance(option, dict) else set()
    if not kinds and isinstance(values := schema.get("enum"), list):
        kinds = {_kind_of(value) for value in values}
    return (
        kinds | ({"number"} if "integer" in kinds else set()) | ({"integer"} if "number" in kinds else set())
    )


def _kind_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "null"
