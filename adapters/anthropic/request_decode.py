"""A client's body to a ChatRequest.

https://platform.claude.com/docs/en/api/messages/create and, for `/count_tokens`, the same without limits.
What this model has no place for stays in the bag: `context_management`, `mcp_servers`, `container`,
`safeguards`, … Notes for the way back begin with `_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from adapters.anthropic.content_decode import decode_content
from adapters.anthropic.names import BILLING_HEADER, bag, leftover
from adapters.anthropic.tools_decode import decode_choice, decode_tool
from adapters.canonical import (
    ChatRequest,
    Effort,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Role,
    Text,
    ToolChoice,
)
from adapters.codec import Arrival
from adapters.errors import InvalidRequest
from adapters.reading import (
    as_mapping,
    boolean,
    integer,
    items,
    mapping,
    number,
    required_string,
    string,
    wrong,
)

_KNOWN = frozenset(
    {
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "stream",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "service_tier",
    }
)
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_EFFORTS: dict[str, Effort] = {effort: effort for effort in get_args(Effort)}
_SERVICE_TIERS = {"standard_only": "default"}
"""Anthropic's word -> the one that the model has (OpenAI's); others are the same."""


def decode_request(body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
    choice, parallel = _choice(body)
    output_config = mapping(body, "output_config") or {}
    output_format = _output_format(body, output_config)
    extra: dict[str, Any] = {"_own": True, "_headers": _headers(arrival), **leftover(body, _KNOWN)}
    if isinstance(body.get("system"), str):
        extra["_system"] = "string"
    if body.get("tools") == []:
        extra["_tools"] = True
    if more := leftover(output_config, frozenset({"effort", "format"})):
        extra["output_config"] = more
    metadata = mapping(body, "metadata") or {}
    if more := leftover(metadata, frozenset({"user_id"})):
        extra["metadata"] = more
    tier = string(body, "service_tier")
    return ChatRequest(
        model=required_string(body, "model"),
        messages=tuple(_message(value, f"messages[{at}]") for at, value in enumerate(_messages(body))),
        instructions=_system(body.get("system")),
        tools=tuple(decode_tool(value, f"tools[{at}]") for at, value in enumerate(items(body, "tools"))),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        max_tokens=integer(body, "max_tokens"),
        temperature=number(body, "temperature"),
        top_p=number(body, "top_p"),
        top_k=integer(body, "top_k"),
        stop=_stop(body),
        output_format=output_format,
        reasoning=_reasoning(body, output_config),
        user=string(metadata, "user_id", "metadata"),
        service_tier=_SERVICE_TIERS.get(tier, tier) if tier else None,
        stream=bool(boolean(body, "stream")),
        extensions=bag(extra),
    )


def _headers(arrival: Arrival) -> dict[str, str]:
    """`anthropic-beta`, `-version`, `-workspace-id`, …: only Anthropic itself understands, and gets them."""
    return {name: value for name, value in arrival.headers.items() if name.startswith("anthropic-")}


def _messages(body: Mapping[str, Any]) -> list[Any]:
    value = body.get("messages")
    if not isinstance(value, list):
        wrong(value, "a list of messages", "messages")
    return value


def _message(value: Any, where: str) -> Message:
    source = as_mapping(value, where)
    said = required_string(source, "role", where)
    role = _ROLES.get(said)
    if role is None:
        raise InvalidRequest(f"one of {', '.join(_ROLES)}, not {said!r}", where=f"{where}.role")
    content = source.get("content")
    extra = leftover(source, frozenset({"role", "content"}))
    if isinstance(content, list):
        extra["_list"] = True
    parts: tuple[Part, ...] = ()
    if content is not None or role != "system":
        parts = decode_content(content, role, f"{where}.content")
    return Message(role, parts, extensions=bag(extra), place=where)


def _system(value: Any) -> tuple[Part, ...]:
    if value is None or value == "":
        return ()
    parts = decode_content(value, "system", "system")
    for index, part in enumerate(parts):
        if not isinstance(part, Text):
            raise InvalidRequest("the system prompt consists of text blocks", where=f"system[{index}]")
    first = parts[0] if parts else None
    if isinstance(first, Text) and first.text.startswith(BILLING_HEADER):
        # Other models would take it for text, and their prompt caches would miss every time.
        own = {**first.extensions.get("anthropic", {}), "_volatile": True}
        return (replace(first, extensions=bag(own)), *parts[1:])
    return parts


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    values = items(body, "stop_sequences")
    for index, value in enumerate(values):
        if not isinstance(value, str):
            wrong(value, "a string", f"stop_sequences[{index}]")
    return tuple(values)


def _choice(body: Mapping[str, Any]) -> tuple[ToolChoice | None, bool | None]:
    value = body.get("tool_choice")
    return (None, None) if value is None else decode_choice(value, "tool_choice")


def _output_format(body: Mapping[str, Any], output_config: Mapping[str, Any]) -> OutputFormat | None:
    """`output_config.format`, or `output_format`, the name that it had in its beta."""
    source, where, extra = mapping(output_config, "format", "output_config"), "output_config.format", {}
    if source is None:
        source, where, extra = mapping(body, "output_format"), "output_format", {"_output_format": True}
    if source is None:
        return None
    kind = required_string(source, "type", where)
    if kind != "json_schema":
        raise InvalidRequest(f"json_schema, not {kind!r}", where=f"{where}.type")
    schema = mapping(source, "schema", where)
    if schema is None:
        wrong(None, "an object", f"{where}.schema")
    more = leftover(source, frozenset({"type", "schema"}))
    return OutputFormat("json_schema", schema, extensions=bag({"_own": True, **extra, **more}))


def _reasoning(body: Mapping[str, Any], output_config: Mapping[str, Any]) -> Reasoning | None:
    thinking = mapping(body, "thinking")
    said = string(output_config, "effort", "output_config")
    if said is not None and said not in _EFFORTS:
        raise InvalidRequest(f"one of {', '.join(_EFFORTS)}, not {said!r}", where="output_config.effort")
    effort = _EFFORTS[said] if said is not None else None
    if thinking is None:
        return None if effort is None else Reasoning(effort=effort, extensions=bag({"_thinking": None}))
    kind = required_string(thinking, "type", "thinking")
    extra = {"_thinking": thinking, **leftover(thinking, frozenset({"type", "budget_tokens", "display"}))}
    display = string(thinking, "display", "thinking")
    return Reasoning(
        enabled=kind != "disabled",
        effort=effort,
        budget=integer(thinking, "budget_tokens", "thinking"),
        adaptive=kind not in ("enabled", "disabled"),
        show=None if kind == "disabled" else display != "omitted",
        extensions=bag(extra),
    )
