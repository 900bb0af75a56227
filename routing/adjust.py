"""What a group and its target change in a request: parameters, system prompt, tools, fields of the body.

In this order: the client's temperature is scaled, defaults are put where the client said nothing,
overrides everywhere. Of the group and its target the target is the more particular: its values win.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from adapters.canonical import (
    ChatRequest,
    Effort,
    Message,
    Part,
    ProviderTool,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from adapters.errors import AdapterError
from adapters.instructions import is_volatile
from routing.changes import Replacement, SystemChange, ToolFilter, TooSlow, tool_name
from routing.table import NO_PARAMETERS, Group, Parameters, Target

_PLAIN = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "parallel_tool_calls",
)
"""Parameters that have the same name and form in the canonical request."""
_EFFORTS: Mapping[str, Effort] = {effort: effort for effort in get_args(Effort)}
_HOTTEST = 2.0


@dataclass(frozen=True, slots=True)
class Adjustment:
    """All that a group and one of its targets change. `headers` are no part of it: they change no body."""

    defaults: Parameters = NO_PARAMETERS
    override: Parameters = NO_PARAMETERS
    temperature_ratio: float | None = None
    system: tuple[SystemChange, ...] = ()
    tools: tuple[ToolFilter, ...] = ()


NO_ADJUSTMENT = Adjustment()


def adjustment_of(group: Group, target: Target) -> Adjustment | None:
    """None: nothing is changed."""
    both = (group.changes, target.changes)
    ratios = [each.temperature_ratio for each in both if each.temperature_ratio is not None]
    found = Adjustment(
        defaults=merged(group.defaults, target.defaults),
        override=merged(group.override, target.override),
        temperature_ratio=ratios[-1] if ratios else None,
        system=tuple(each.system for each in both if each.system is not None),
        tools=tuple(each.tools for each in both if each.tools is not None),
    )
    return None if found == NO_ADJUSTMENT else found


def merged(below: Parameters, above: Parameters) -> Parameters:
    """Each parameter of `above`, else of `below`; of `extra_body` each field."""
    if NO_PARAMETERS in (below, above):
        return above if below == NO_PARAMETERS else below
    said = {one.name: value for one in fields(Parameters) if (value := getattr(above, one.name)) is not None}
    if below.extra_body and above.extra_body:
        said["extra_body"] = deep(below.extra_body, above.extra_body)
    return replace(below, **said)


def adjust(request: ChatRequest, adjustment: Adjustment) -> ChatRequest:
    """Raises Unadjustable."""
    changes = _parameters(request, adjustment)
    if adjustment.tools:
        changes |= _tools(request, adjustment.tools)
    if changes:
        request = replace(request, **changes)
    for change in adjustment.system:
        request = _system(request, change)
    return request


# ---------------------------------------------------------------- parameters


def _parameters(request: ChatRequest, adjustment: Adjustment) -> dict[str, Any]:
    scaled: dict[str, Any] = {}
    if adjustment.temperature_ratio is not None and request.temperature is not None:
        scaled["temperature"] = min(request.temperature * adjustment.temperature_ratio, _HOTTEST)
    changes = scaled | _unsaid(request, adjustment.defaults) | _said(adjustment.override)
    effort = _effort(request, adjustment)
    if effort is not None:
        changes["reasoning"] = _reasoning(request.reasoning, effort)
    return changes


def _said(parameters: Parameters) -> dict[str, Any]:
    return {name: value for name in _PLAIN if (value := getattr(parameters, name)) is not None}


def _unsaid(request: ChatRequest, defaults: Parameters) -> dict[str, Any]:
    # `stop` is () where the client gave none, all others None.
    return {name: value for name, value in _said(defaults).items() if getattr(request, name) in (None, ())}


def _effort(request: ChatRequest, adjustment: Adjustment) -> Effort | None:
    default = adjustment.defaults.reasoning_effort if request.reasoning is None else None
    return _EFFORTS.get(adjustment.override.reasoning_effort or default or "")


def _reasoning(said: Reasoning | None, effort: Effort) -> Reasoning:
    show, summary = (said.show, said.summary) if said else (None, None)
    return Reasoning(enabled=effort != "none", effort=effort, show=show, summary=summary)


def with_extra_body(body: dict[str, Any], adjustment: Adjustment) -> dict[str, Any]:
    """`extra_body` in the upstream's body: the defaults' below it, the override's above."""
    below, above = adjustment.defaults.extra_body, adjustment.override.extra_body
    if below:
        body = deep(below, body)
    return deep(body, above) if above else body


def deep(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both objects as one. Where both have a key, objects are merged, and of anything else `above` stays."""
    out = dict(below)
    for key, value in above.items():
        under = out.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        out[key] = deep(under, value) if both else value  # type: ignore[arg-type]
    return out


# ---------------------------------------------------------------- tools


def _tools(request: ChatRequest, filters: Sequence[ToolFilter]) -> dict[str, Any]:
    """If none stays that history calls for, those it called stay without leave to call them.

    A conversation with calls needs tools beside it: without any, Anthropic's API refuses it.
    """
    kept = tuple(tool for tool in request.tools if all(each.keeps(tool_name(tool)) for each in filters))
    if len(kept) == len(request.tools):
        return {}
    if kept:
        return {"tools": kept, "tool_choice": _choice(request.tool_choice, kept)}
    called = {part.name for part in _calls(request.messages)}
    history = tuple(tool for tool in request.tools if isinstance(tool, Tool) and tool.name in called)
    if history:
        return {"tools": history, "tool_choice": ToolChoice("none")}
    return {"tools": (), "tool_choice": None, "parallel_tool_calls": None}


def _calls(messages: Iterable[Message]) -> Iterator[ToolCall]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield part


def _choice(choice: ToolChoice | None, kept: Sequence[Tool | ProviderTool]) -> ToolChoice | None:
    """A choice that names tools which are gone leaves the rest to the model."""
    if choice is None or not choice.names:
        return choice
    known = {tool.name for tool in kept}
    names = tuple(name for name in choice.names if name in known)
    if len(names) == len(choice.names):
        return choice
    return ToolChoice(choice.mode, names) if names else ToolChoice("auto")


# ---------------------------------------------------------------- the system prompt


class Unadjustable(AdapterError):
    """The settings' own fault: the request cannot be changed as they say."""


_SYSTEM = ("system", "developer")


def _system(request: ChatRequest, change: SystemChange) -> ChatRequest:
    if change.text is not None:
        request = _without_system(request)
        if change.text:
            request = _begin(request, change.text)
    for one in change.replace:
        request = _replaced(request, one)
    if change.prepend:
        request = _prepended(request, change.prepend)
    return _appended(request, change.append) if change.append else request


def _without_system(request: ChatRequest) -> ChatRequest:
    """Also what clients say to the model as `system` in the middle of a conversation is gone."""
    messages = tuple(message for message in request.messages if message.role not in _SYSTEM)
    return replace(request, instructions=(), messages=messages)


def _begin(request: ChatRequest, text: str) -> ChatRequest:
    """`text` as the whole system prompt, in the slot that every protocol's encoder knows."""
    return replace(request, instructions=(Text(text),))


def _replaced(request: ChatRequest, one: Replacement) -> ChatRequest:
    left = one.limit

    def changed(parts: tuple[Part, ...]) -> tuple[Part, ...]:
        nonlocal left
        out: list[Part] = []
        for part in parts:
            if isinstance(part, Text) and (left or not one.limit):
                text, times = one.apply(part.text, left)
                left -= times if one.limit else 0
                part = replace(part, text=text) if times else part
            out.append(part)
        return tuple(out)

    try:
        return _map_system(request, changed)
    except TooSlow as slow:
        raise Unadjustable(
            f"the regular expression `{slow}` of the group's `system.replace` takes too long for this "
            "prompt: write it so that it need not try so many ways, or as a literal `find`"
        ) from None


def _map_system(request: ChatRequest, changed: Any) -> ChatRequest:
    messages = tuple(
        replace(message, parts=changed(message.parts)) if message.role in _SYSTEM else message
        for message in request.messages
    )
    return replace(request, instructions=changed(request.instructions), messages=messages)


def _prepended(request: ChatRequest, text: str) -> ChatRequest:
    """Into the first text, so that its form stays: a string stays a string."""
    if request.instructions:
        return replace(request, instructions=_before(request.instructions, text))
    if request.messages and request.messages[0].role in _SYSTEM:
        first = request.messages[0]
        changed = replace(first, parts=_before(first.parts, text))
        return replace(request, messages=(changed, *request.messages[1:]))
    return _begin(request, text)


def _before(parts: tuple[Part, ...], text: str) -> tuple[Part, ...]:
    """A part that its own provider alone reads is no text to stand in, and stays the first."""
    for at, part in enumerate(parts):
        if isinstance(part, Text) and not is_volatile(part):
            return (*parts[:at], replace(part, text=f"{text}\n\n{part.text}"), *parts[at + 1 :])
    return (*parts, Text(text))


def _appended(request: ChatRequest, text: str) -> ChatRequest:
    """Behind the system text that opens the request."""
    leading = 0
    while leading < len(request.messages) and request.messages[leading].role in _SYSTEM:
        leading += 1
    if leading:
        last = request.messages[leading - 1]
        changed = replace(last, parts=_after(last.parts, text))
        messages = (*request.messages[: leading - 1], changed, *request.messages[leading:])
        return replace(request, messages=messages)
    if request.instructions:
        return replace(request, instructions=_after(request.instructions, text))
    return _begin(request, text)


def _after(parts: tuple[Part, ...], text: str) -> tuple[Part, ...]:
    for at in range(len(parts) - 1, -1, -1):
        part = parts[at]
        if isinstance(part, Text) and not is_volatile(part):
            return (*parts[:at], replace(part, text=f"{part.text}\n\n{text}"), *parts[at + 1 :])
    return (*parts, Text(text))
