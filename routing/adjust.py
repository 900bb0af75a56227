"""A group's parameters put into a request: defaults where the client said nothing, overrides always."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from adapters.canonical import ChatRequest, Effort, Reasoning
from routing.table import Group, Parameters

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


def adjust(request: ChatRequest, group: Group) -> ChatRequest:
    changes = _unsaid(request, group.defaults) | _said(group.override)
    effort = _effort(request, group)
    if effort is not None:
        changes["reasoning"] = _reasoning(request.reasoning, effort)
    return replace(request, **changes) if changes else request


def _said(parameters: Parameters) -> dict[str, Any]:
    return {name: value for name in _PLAIN if (value := getattr(parameters, name)) is not None}


def _unsaid(request: ChatRequest, defaults: Parameters) -> dict[str, Any]:
    # `stop` is () where the client gave none, all others None.
    return {name: value for name, value in _said(defaults).items() if getattr(request, name) in (None, ())}


def _effort(request: ChatRequest, group: Group) -> Effort | None:
    default = group.defaults.reasoning_effort if request.reasoning is None else None
    return _EFFORTS.get(group.override.reasoning_effort or default or "")


def _reasoning(said: Reasoning | None, effort: Effort) -> Reasoning:
    show, summary = (said.show, said.summary) if said else (None, None)
    return Reasoning(enabled=effort != "none", effort=effort, show=show, summary=summary)


def with_extra_body(body: dict[str, Any], group: Group) -> dict[str, Any]:
    """`extra_body` at the top of the upstream's body: the defaults' below it, the override's above."""
    below, above = group.defaults.extra_body, group.override.extra_body
    return {**(below or {}), **body, **(above or {})} if below or above else body
