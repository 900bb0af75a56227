"""A Gemini request to the canonical one.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.canonical import ChatRequest, Message, Part, Reasoning, Role, ToolResult
from adapters.codec import Arrival
from adapters.errors import InvalidRequest
from adapters.gemini.calls import HistoryIds
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.chunks import joined
from adapters.gemini.parts_decode import decode_part, extensions_of
from adapters.gemini.reading import (
    Fields,
    fields,
    items,
    take_flag,
    take_integer,
    take_number,
    take_text,
    take_texts,
)
from adapters.gemini.tools_decode import decode_tool_config, decode_tools, output_format

_ROLES: dict[str | None, Role] = {None: "user", "user": "user", "model": "assistant", "function": "tool"}


def decode_request(body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
    """Raises InvalidRequest with a JSON path."""
    members = fields(body, "")
    inner = members.get("generateContentRequest")
    if inner is not None:  # countTokens may wrap a whole request
        members = {**fields(inner, "generateContentRequest")}
    model = _model(take_text(members, "model", ""), arrival)
    instructions = _instructions(members)
    messages = _contents(members.pop("contents", None))
    tools = decode_tools(members.pop("tools", None))
    config = fields(members.pop("generationConfig", {}), "generationConfig")
    choice = decode_tool_config(members)
    tier = take_text(members, "serviceTier", "")
    sampling = _sampling(config)
    formatted = output_format(config)
    reasoning = _reasoning(config)
    members.update({f"generationConfig.{key}": value for key, value in config.items()})
    return ChatRequest(
        model=model,
        messages=messages,
        instructions=instructions,
        tools=tools,
        tool_choice=choice,
        output_format=formatted,
        reasoning=reasoning,
        service_tier=tier,
        stream=bool(arrival.stream) or arrival.action.startswith("stream"),
        extensions={PROTOCOL: {**members, "_native": True}},
        **sampling,
    )


def _model(named: str | None, arrival: Arrival) -> str:
    return (arrival.model or named or "").removeprefix("models/")


# ---------------------------------------------------------------- conversation


def _instructions(members: Fields) -> tuple[Part, ...]:
    value = members.pop("systemInstruction", None)
    if value is None:
        return ()
    if isinstance(value, str):
        value = {"parts": [{"text": value}]}
    content = fields(value, "systemInstruction")
    parts = content.pop("parts", [])
    if content:
        members["_systemInstruction"] = content
    return _parts(parts, "systemInstruction.parts", HistoryIds(frozenset()))


def _contents(value: Any) -> tuple[Message, ...]:
    if value is None:
        raise InvalidRequest("is required", where="contents")
    if isinstance(value, str):
        value = [{"role": "user", "parts": [{"text": value}]}]
    contents = [fields(raw, f"contents[{index}]") for index, raw in enumerate(items(value, "contents"))]
    ids = HistoryIds(frozenset(_given_ids(contents)))
    return joined([_content(content, f"contents[{index}]", ids) for index, content in enumerate(contents)])


def _given_ids(contents: Iterable[Fields]) -> Iterable[str]:
    """The ids of calls that have one: minted ones must differ."""
    for content in contents:
        parts = content.get("parts")
        for part in parts if isinstance(parts, list) else [parts]:
            if not isinstance(part, dict):
                continue
            call = part.get("functionCall") or part.get("function_call")
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                yield call["id"]


def _content(content: Fields, where: str, ids: HistoryIds) -> Message:
    named = take_text(content, "role", where)
    role = _ROLES.get(named or None)
    if role is None:
        raise InvalidRequest("must be user, model or function", where=f"{where}.role")
    if role == "assistant":
        ids.next_turn()
    parts = _parts(content.pop("parts", []), f"{where}.parts", ids)
    if role == "tool" and not all(isinstance(part, ToolResult) for part in parts):
        role = "user"
    if named is None:
        content["_no_role"] = True
    return Message(role, parts, extensions=extensions_of(content), place=where)


def _parts(value: Any, where: str, ids: HistoryIds) -> tuple[Part, ...]:
    if isinstance(value, str):
        value = [{"text": value}]
    return tuple(
        part
        for index, raw in enumerate(items(value, where))
        for part in decode_part(raw, f"{where}[{index}]", ids)
    )


# ---------------------------------------------------------------- generationConfig


def _sampling(config: Fields) -> dict[str, Any]:
    where = "generationConfig"
    return {
        "max_tokens": take_integer(config, "maxOutputTokens", where),
        "temperature": take_number(config, "temperature", where),
        "top_p": take_number(config, "topP", where),
        "top_k": take_integer(config, "topK", where),
        "stop": take_texts(config, "stopSequences", where),
        "seed": take_integer(config, "seed", where),
        "presence_penalty": take_number(config, "presencePenalty", where),
        "frequency_penalty": take_number(config, "frequencyPenalty", where),
        "n": take_integer(config, "candidateCount", where),
        "logprobs": take_flag(config, "responseLogprobs", where),
        "top_logprobs": take_integer(config, "logprobs", where),
    }


_LEVELS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh"}


def _reasoning(config: Fields) -> Reasoning | None:
    """`thinkingConfig`. The original stays beside it, for a Gemini target that takes it as it is.

    https://ai.google.dev/gemini-api/docs/thinking
    """
    place = "generationConfig.thinkingConfig"
    original = config.pop("thinkingConfig", None)
    if original is None:
        return None
    thinking = fields(original, place)
    kept = dict(thinking)
    budget = take_integer(thinking, "thinkingBudget", place)
    level = take_text(thinking, "thinkingLevel", place)
    show = take_flag(thinking, "includeThoughts", place)
    effort = _LEVELS.get((level or "").upper().removeprefix("THINKING_LEVEL_"))
    enabled = None if budget is None and effort is None else budget != 0 or effort is not None
    return Reasoning(
        enabled=enabled,
        effort=effort,  # type: ignore[arg-type]  # the table's values are efforts
        budget=budget,
        show=show,
        extensions={PROTOCOL: {**thinking, "_thinkingConfig": kept}},
    )
