"""In words: what a group and its target change in a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from adapters.canonical import ChatRequest
from routing.adjust import Adjustment, adjust
from routing.changes import SystemChange, tool_name
from routing.table import Group, Parameters, Target

_LONGEST = 60


def changes_told(request: ChatRequest, adjustment: Adjustment) -> Iterator[str]:
    """One line for each; values of fields of the body are not told."""
    if adjustment.temperature_ratio is not None:
        yield f"the client's temperature is multiplied with {adjustment.temperature_ratio:g}"
    yield from _parameters(adjustment.defaults, "where the client says nothing")
    yield from _parameters(adjustment.override, "whatever the client says")
    for change in adjustment.system:
        yield from _system(change)
    if adjustment.tools:
        yield from _tools(request, adjustment)


def headers_told(group: Group, target: Target) -> Iterator[str]:
    names = {name.lower() for changes in (group.changes, target.changes) for name in changes.headers}
    if names:
        yield f"headers are added: {', '.join(sorted(names))}"


def _parameters(parameters: Parameters, when: str) -> Iterator[str]:
    for one in fields(Parameters):
        value = getattr(parameters, one.name)
        if isinstance(value, Mapping):
            yield f"fields of the body {when}: {', '.join(value)}"
        elif value is not None:
            yield f"{one.name} is {value} {when}"


def _system(change: SystemChange) -> Iterator[str]:
    if change.text is not None:
        yield "the system prompt is another one" if change.text else "the system prompt is taken out"
    for one in change.replace:
        kind = "what matches " if one.is_regex else ""
        limit = f", {one.limit} times at most" if one.limit else ""
        yield f"in the system prompt {kind}`{_cut(one.find)}` becomes `{_cut(one.text)}`{limit}"
    if change.prepend:
        yield f"the system prompt begins with `{_cut(change.prepend)}`"
    if change.append:
        yield f"the system prompt ends with `{_cut(change.append)}`"


def _tools(request: ChatRequest, adjustment: Adjustment) -> Iterator[str]:
    kept = {tool_name(tool) for tool in adjust(request, Adjustment(tools=adjustment.tools)).tools}
    gone = [name for tool in request.tools if (name := tool_name(tool)) not in kept]
    yield f"tools are taken out: {', '.join(gone)}" if gone else "tools are filtered: all of them stay"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
