"""A client's `POST /responses` body to the canonical request.

Source: `openai.types.responses.response_create_params`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from adapters.canonical import (
    ChatRequest,
    Effort,
    Message,
    OutputFormat,
    ProviderTool,
    Reasoning,
    Text,
    Tool,
    ToolResult,
)
from adapters.errors import InvalidRequest
from adapters.openai_responses import notes
from adapters.openai_responses.items_decode import decode_items
from adapters.openai_responses.tools import DECLARING, decode_choice, decode_tools
from adapters.reading import (
    as_list,
    as_mapping,
    boolean,
    integer,
    mapping,
    number,
    required_string,
    string,
    wrong,
)

LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"

_EFFORTS = frozenset(get_args(Effort))

_MAPPED = frozenset(
    {
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "text",
        "reasoning",
        "user",
        "metadata",
        "service_tier",
        "stream",
        "include",
    }
)
"""Keys with a canonical field; `include` is carried whole, and its log probabilities are mapped."""

_STATE = frozenset({"previous_response_id", "conversation", "prompt"})
"""What only the provider knows: without it the request makes no sense."""

_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "store": (False,),
    "background": (False,),
    "truncation": ("disabled",),
}
"""Values that say what every other protocol does anyway: nothing is lost with them."""

_HARMLESS = frozenset({"stream_options"})
"""Obfuscation of the stream is the provider's business."""


def decode_request(body: Mapping[str, Any], model: str | None = None) -> ChatRequest:
    """Raises InvalidRequest with a JSON path."""
    declared = decode_tools(body.get("tools") or [], "tools")
    searches = any(isinstance(tool, Tool) and tool.name == "tool_search" for tool in declared)
    messages = _input(body.get("input"), searches)
    tools = _unique([*declared, *_declared_later(messages)])
    include = as_list(body.get("include") or [], "include")
    instructions = string(body, "instructions")
    choice = body.get("tool_choice")
    text = mapping(body, "text") or {}
    return ChatRequest(
        model=model or required_string(body, "model", ""),
        messages=messages,
        instructions=(Text(instructions, place="instructions"),) if instructions else (),
        tools=tuple(tools),
        tool_choice=None if choice is None else decode_choice(choice),
        parallel_tool_calls=boolean(body, "parallel_tool_calls"),
        max_tokens=integer(body, "max_output_tokens"),
        temperature=number(body, "temperature"),
        top_p=number(body, "top_p"),
        logprobs=True if LOGPROBS in include else None,
        top_logprobs=integer(body, "top_logprobs"),
        output_format=_format(text),
        reasoning=_reasoning(mapping(body, "reasoning")),
        verbosity=string(text, "verbosity", "text"),
        user=string(body, "user"),
        metadata=_metadata(body),
        service_tier=string(body, "service_tier"),
        stream=boolean(body, "stream") or False,
        stream_usage=True,
        extensions=notes.extensions(_bag(body, include, text)),
    )


def _input(value: Any, searches: bool) -> tuple[Message, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        bag = notes.extensions({"_:form": ("input",)})
        return (Message("user", (Text(value, place="input"),), extensions=bag, place="input"),)
    if not isinstance(value, list):
        wrong(value, "a string or an array of items", "input")
    return decode_items(value, "input", searches=searches)


def _declared_later(messages: tuple[Message, ...]) -> list[Tool | ProviderTool]:
    """The tools that items declare in mid-conversation."""
    tools: list[Tool | ProviderTool] = []
    for at, message in enumerate(messages):
        raw = _declaring(message)
        if raw is not None:
            tools += decode_tools(raw.get("tools") or [], f"input[{at}].tools", raw["type"])
    return tools


def _unique(tools: list[Tool | ProviderTool]) -> list[Tool | ProviderTool]:
    """Each name once: what a search finds may be declared already."""
    seen: set[tuple[str | None, str]] = set()
    unique: list[Tool | ProviderTool] = []
    for tool in tools:
        if isinstance(tool, Tool):
            key = (tool.namespace, tool.name)
            if key in seen:
                continue
            seen.add(key)
        unique.append(tool)
    return unique


def _declaring(message: Message) -> Mapping[str, Any] | None:
    """The item that declares tools: `additional_tools` or `tool_search_output`."""
    if not message.parts:
        raw = notes.own(message.extensions).get("_:raw")
    elif isinstance(message.parts[0], ToolResult):
        raw = notes.own(message.parts[0].extensions).get("_:raw")
    else:
        return None
    declares = raw is not None and raw.get("type") in DECLARING
    return cast("Mapping[str, Any]", raw) if declares else None


def _format(text: Mapping[str, Any]) -> OutputFormat | None:
    value = mapping(text, "format", "text")
    if value is None:
        return None
    where = "text.format"
    kind = required_string(value, "type", where)
    match kind:
        case "text":
            return OutputFormat("text", extensions=notes.extensions(notes.rest(value, frozenset({"type"}))))
        case "json_object":
            return OutputFormat("json", extensions=notes.extensions(notes.rest(value, frozenset({"type"}))))
        case "json_schema":
            known = frozenset({"type", "schema", "name", "description", "strict"})
            return OutputFormat(
                "json_schema",
                as_mapping(value.get("schema"), f"{where}.schema"),
                string(value, "name", where),
                string(value, "description", where),
                boolean(value, "strict", where),
                notes.extensions(notes.rest(value, known)),
            )
    raise InvalidRequest(
        f"unknown format {kind!r}; expected text, json_object or json_schema", where=f"{where}.type"
    )


def _reasoning(value: Mapping[str, Any] | None) -> Reasoning | None:
    if value is None:
        return None
    bag = notes.rest(value, frozenset({"effort", "summary", "generate_summary"}))
    effort = string(value, "effort", "reasoning")
    if effort is not None and effort not in _EFFORTS:
        bag["effort"], effort = effort, None
    summary = string(value, "summary", "reasoning")
    older = string(value, "generate_summary", "reasoning")
    if older is not None:
        bag["_generate_summary"] = older
    for key in ("effort", "summary"):
        if key in value and value[key] is None:
            bag[f"_{key}"] = None
    return Reasoning(
        enabled=False if effort == "none" else None,
        effort=cast("Effort | None", effort),
        show=True if summary or older else None,
        summary=summary or older,
        extensions=notes.extensions(bag),
    )


def _metadata(body: Mapping[str, Any]) -> dict[str, str] | None:
    value = mapping(body, "metadata")
    if value is None:
        return None
    for key, one in value.items():
        if not isinstance(one, str):
            wrong(one, "a string", f"metadata.{key}")
    return value


def _bag(body: Mapping[str, Any], include: list[Any], text: Mapping[str, Any]) -> dict[str, Any]:
    bag: dict[str, Any] = {}
    spelled: dict[str, Any] = {}
    for key, value in body.items():
        if value is None or (key in ("tools", "instructions", "text", "reasoning") and not value):
            spelled[key] = value
        elif key in _MAPPED:
            continue
        elif key in _STATE or (key == "background" and value is True):
            bag[f"!{key}"] = value
        elif value in _DEFAULTS.get(key, ()) or key in _HARMLESS:
            bag[f"_{key}"] = value
        else:
            bag[notes.escaped(key)] = value
    if "include" in body and body["include"] is not None:
        foreign = any(one not in (ENCRYPTED, LOGPROBS) for one in include)
        bag["include" if foreign else "_include"] = include
    text_bag = {
        key: value for key, value in text.items() if key not in ("format", "verbosity") or value is None
    }
    if text_bag:
        bag["text"] = text_bag
    bag["_:spelled"] = spelled
    return bag
