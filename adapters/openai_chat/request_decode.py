"""A client's body to a ChatRequest.

Every field of the official SDK's `CompletionCreateParams` is read here or kept in the bag. The
reasoning switches of compatible providers are understood as well, and noted so that they go back
as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from adapters import reading
from adapters.canonical import (
    NO_EXTENSIONS,
    ChatRequest,
    Effort,
    OutputFormat,
    Reasoning,
)
from adapters.codec import Arrival
from adapters.errors import InvalidRequest
from adapters.openai_chat.content import PROTOCOL
from adapters.openai_chat.messages_decode import decode_messages
from adapters.openai_chat.tools import WEB_SEARCH, decode_choice, decode_tools

EFFORTS = frozenset(get_args(Effort))

REASONING_KEYS = (
    "reasoning_effort",
    "reasoning",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "include_reasoning",
)
"""OpenAI's effort; OpenRouter's object; DeepSeek's, Moonshot's and Z.ai's object; DashScope's switch."""

_KNOWN = frozenset(
    {
        "model",
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "n",
        "logprobs",
        "top_logprobs",
        "response_format",
        "verbosity",
        "user",
        "metadata",
        "service_tier",
        "stream",
        "stream_options",
        WEB_SEARCH,
        *REASONING_KEYS,
    }
)


def decode_request(body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
    """Raises InvalidRequest with the JSON path of what is wrong."""
    source = reading.as_mapping(body, "")
    bag = reading.rest(source, _KNOWN)
    bag |= _limit_notes(source)
    options = reading.mapping(source, "stream_options") or NO_EXTENSIONS
    bag |= reading.rest(options, frozenset({"include_usage"}), "stream_options.")
    if source.get("top_k") is not None:
        bag["_top_k"] = True
    stop = source.get("stop")
    if isinstance(stop, str):
        bag["_stop"] = "string"
    return ChatRequest(
        model=reading.string(source, "model") or arrival.model or "",
        messages=decode_messages(source),
        tools=decode_tools(source),
        tool_choice=decode_choice(source),
        parallel_tool_calls=reading.boolean(source, "parallel_tool_calls"),
        max_tokens=_limit(source),
        temperature=reading.number(source, "temperature"),
        top_p=reading.number(source, "top_p"),
        top_k=reading.integer(source, "top_k"),
        stop=_stop(stop),
        seed=reading.integer(source, "seed"),
        presence_penalty=reading.number(source, "presence_penalty"),
        frequency_penalty=reading.number(source, "frequency_penalty"),
        n=reading.integer(source, "n"),
        logprobs=reading.boolean(source, "logprobs"),
        top_logprobs=reading.integer(source, "top_logprobs"),
        output_format=_output_format(source),
        reasoning=_reasoning(source),
        verbosity=reading.string(source, "verbosity"),
        user=reading.string(source, "user"),
        metadata=_metadata(source),
        service_tier=reading.string(source, "service_tier"),
        stream=bool(reading.boolean(source, "stream")),
        stream_usage=reading.boolean(options, "include_usage", "stream_options"),
        extensions={PROTOCOL: bag} if bag else NO_EXTENSIONS,
    )


def _limit(source: Mapping[str, Any]) -> int | None:
    newer = reading.integer(source, "max_completion_tokens")
    older = reading.integer(source, "max_tokens")
    for key, value in (("max_completion_tokens", newer), ("max_tokens", older)):
        if value is not None and value < 0:
            raise InvalidRequest(f"expected a number of tokens, got {value}", where=key)
    return older if newer is None else newer


def _limit_notes(source: Mapping[str, Any]) -> dict[str, Any]:
    """Which of the two names the client used, and the older one's value where it differs."""
    newer, older = source.get("max_completion_tokens"), source.get("max_tokens")
    if newer is None:
        return {"_limit": "max_tokens"} if older is not None else {}
    notes: dict[str, Any] = {"_limit": "max_completion_tokens"}
    if older is not None:
        notes["max_tokens"] = older
    return notes


def _stop(stop: Any) -> tuple[str, ...]:
    if stop is None:
        return ()
    if isinstance(stop, str):
        return (stop,)
    if not isinstance(stop, list):
        reading.wrong(stop, "a string or a list of strings", "stop")
    for index, value in enumerate(stop):
        if not isinstance(value, str):
            reading.wrong(value, "a string", f"stop[{index}]")
    return tuple(stop)


def _metadata(source: Mapping[str, Any]) -> Mapping[str, str] | None:
    found = reading.mapping(source, "metadata")
    for key, value in (found or {}).items():
        if not isinstance(value, str):
            reading.wrong(value, "a string", f"metadata.{key}")
    return found


def _output_format(source: Mapping[str, Any]) -> OutputFormat | None:
    found = reading.mapping(source, "response_format")
    if found is None:
        return None
    kind = reading.required_string(found, "type", "response_format")
    match kind:
        case "text":
            return OutputFormat("text", extensions=_bag(reading.rest(found, frozenset({"type"}))))
        case "json_object":
            return _json_object(found)
        case "json_schema":
            return _json_schema(found)
        case _:
            raise InvalidRequest(
                f"expected text, json_object or json_schema, got {kind!r:.60}", where="response_format.type"
            )


def _json_object(found: Mapping[str, Any]) -> OutputFormat:
    """JSON mode. llama.cpp and Together take a schema here, which then counts as one."""
    schema = reading.mapping(found, "schema", "response_format")
    bag = reading.rest(found, frozenset({"type", "schema"}))
    if schema is None:
        return OutputFormat("json", extensions=_bag(bag))
    return OutputFormat("json_schema", schema, extensions=_bag(bag | {"_type": "json_object"}))


def _json_schema(found: Mapping[str, Any]) -> OutputFormat:
    at = "response_format.json_schema"
    inner = reading.required_mapping(found, "json_schema", "response_format")
    bag = reading.rest(found, frozenset({"type", "json_schema"}))
    bag |= reading.rest(inner, frozenset({"schema", "name", "description", "strict"}), "json_schema.")
    return OutputFormat(
        "json_schema",
        reading.mapping(inner, "schema", at),
        reading.string(inner, "name", at),
        reading.string(inner, "description", at),
        reading.boolean(inner, "strict", at),
        _bag(bag),
    )


def _bag(own: dict[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {PROTOCOL: own} if own else NO_EXTENSIONS


# ---------------------------------------------------------------- reasoning


def _reasoning(source: Mapping[str, Any]) -> Reasoning | None:
    """One wish out of the spellings in use. `_given` keeps what the client wrote."""
    given = {key: source[key] for key in REASONING_KEYS if source.get(key) is not None}
    if not given:
        return None
    unified = _object(given, "reasoning")
    switch = _object(given, "thinking")
    effort = reading.string(given, "reasoning_effort") or reading.string(unified, "effort", "reasoning")
    budget = (
        reading.integer(unified, "max_tokens", "reasoning")
        or reading.integer(switch, "budget_tokens", "thinking")
        or reading.integer(given, "thinking_budget")
    )
    enabled = _enabled(given, unified, switch, effort)
    bag: dict[str, Any] = {"_given": given}
    if effort is not None and effort not in EFFORTS:
        bag["reasoning_effort"] = effort
    return Reasoning(
        enabled=enabled,
        effort=effort if effort in EFFORTS else None,  # type: ignore[arg-type]
        budget=budget,
        adaptive=switch.get("type") in ("adaptive", "auto"),
        show=_shown(given, unified),
        summary=reading.string(unified, "summary", "reasoning"),
        extensions={PROTOCOL: bag},
    )


def _object(given: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under `key`; a bare true or false means its `enabled`."""
    value = given.get(key)
    if isinstance(value, bool):
        return {"enabled": value, "type": "enabled" if value else "disabled"}
    return NO_EXTENSIONS if value is None else reading.as_mapping(value, key)


def _enabled(
    given: Mapping[str, Any], unified: Mapping[str, Any], switch: Mapping[str, Any], effort: str | None
) -> bool | None:
    kind = reading.string(switch, "type", "thinking")
    said = (
        reading.boolean(unified, "enabled", "reasoning"),
        reading.boolean(given, "enable_thinking"),
        None if kind is None else kind != "disabled",
        None if effort not in EFFORTS else effort != "none",
    )
    if False in said:
        return False
    return True if True in said else None


def _shown(given: Mapping[str, Any], unified: Mapping[str, Any]) -> bool | None:
    hidden = reading.boolean(unified, "exclude", "reasoning")
    return reading.boolean(given, "include_reasoning") if hidden is None else not hidden
