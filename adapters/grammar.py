"""The order of stream events, as a table, and a checker that walks it.

Every decoder obeys it and every encoder may rely on it.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.canonical import (
    Failure,
    Finish,
    KeepAlive,
    Media,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)

# state -> event type -> next state
NEXT: dict[str, dict[type, str]] = {
    "new": {StreamStart: "open", Failure: "over", KeepAlive: "new"},
    "open": {
        PartStart: "open",
        PartDelta: "open",
        PartUpdate: "open",
        PartEnd: "open",
        UsageUpdate: "open",
        KeepAlive: "open",
        Finish: "finished",
        Failure: "over",
    },
    "finished": {
        PartStart: "finished",  # another choice may still be running
        PartDelta: "finished",
        PartUpdate: "finished",
        PartEnd: "finished",
        Finish: "finished",
        UsageUpdate: "finished",
        KeepAlive: "finished",
        StreamEnd: "over",
        Failure: "over",
    },
    "over": {},
}


class GrammarError(AssertionError):
    """An event stands where it may not."""


class Grammar:
    """Walks the table; `feed` raises GrammarError at the first event out of order."""

    def __init__(self) -> None:
        self.state = "new"
        self._open: dict[tuple[int, int], type] = {}
        self._next_index: dict[int, int] = {}
        self._finished: set[int] = set()

    def feed(self, event: StreamEvent) -> None:
        following = NEXT[self.state].get(type(event))
        if following is None:
            raise GrammarError(f"{type(event).__name__} in state {self.state}")
        self._check_parts(event)
        self.state = following

    def _check_parts(self, event: StreamEvent) -> None:
        match event:
            case PartStart(index, part, choice):
                expected = self._next_index.get(choice, 0)
                if choice in self._finished:
                    raise GrammarError(f"part {index} starts after choice {choice} finished")
                if index != expected:
                    raise GrammarError(f"part {index} starts where {expected} is next")
                if isinstance(part, Text | Thinking) and part.text:
                    raise GrammarError("a part's skeleton has text")
                if isinstance(part, ToolCall) and part.arguments:
                    raise GrammarError("a tool call's skeleton has arguments")
                self._next_index[choice] = index + 1
                self._open[choice, index] = type(part)
            case PartDelta(index, _, choice):
                kind = self._open.get((choice, index))
                if kind is None or kind in (Media, Opaque):
                    raise GrammarError(f"delta for part {index}, which is not open to text")
            case PartUpdate(index, choice=choice):
                if (choice, index) not in self._open:
                    raise GrammarError(f"update of part {index}, which is not open")
            case PartEnd(index, choice):
                if self._open.pop((choice, index), None) is None:
                    raise GrammarError(f"end of part {index}, which is not open")
            case Finish(_, choice):
                if choice in self._finished:
                    raise GrammarError(f"choice {choice} finishes twice")
                if any(owner == choice for owner, _ in self._open):
                    raise GrammarError(f"choice {choice} finishes with open parts")
                self._finished.add(choice)
            case StreamEnd():
                if self._open:
                    raise GrammarError("the stream ends with open parts")
            case _:
                pass


def check(events: Iterable[StreamEvent]) -> list[StreamEvent]:
    """The events, if they are a whole stream in order; else GrammarError."""
    grammar, seen = Grammar(), list(events)
    for event in seen:
        grammar.feed(event)
    if grammar.state != "over":
        raise GrammarError(f"the stream stops in state {grammar.state}")
    return seen
