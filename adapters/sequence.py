"""Overlapping parts to one open part at a time, for protocols whose streams have blocks in a row.

Upstreams of the chat protocols may interleave the deltas of parallel calls. Here the part that
started first keeps the line; what comes for later ones waits until it ends. Nothing waits where
nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.canonical import (
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    StreamEvent,
)

_OF_A_PART = (PartStart, PartDelta, PartUpdate, PartEnd)


class Sequencer:
    """Reorders the events of one choice so that every part ends before the next one starts.

    Events of further choices must be taken out before: these protocols have one answer only.
    """

    __slots__ = ("_ended", "_open", "_order", "_waiting")

    def __init__(self) -> None:
        self._open: tuple[int, int] | None = None
        self._order: list[tuple[int, int]] = []
        self._waiting: dict[tuple[int, int], list[StreamEvent]] = {}
        self._ended: set[tuple[int, int]] = set()

    def whole_parts(self, event: StreamEvent) -> list[StreamEvent]:
        """The same for one event, where nobody waits for what a broken stream left open."""
        if not isinstance(event, _OF_A_PART):
            return [event]
        out: list[StreamEvent] = []
        self._part(event, out)
        return out

    def feed(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        for event in events:
            if type(event) is PartDelta and (event.choice, event.index) == self._open:
                out.append(event)
            elif isinstance(event, _OF_A_PART):
                self._part(event, out)
            else:
                if isinstance(event, Failure):
                    self._flush(out)
                out.append(event)
        return out

    def _part(self, event: PartStart | PartDelta | PartUpdate | PartEnd, out: list[StreamEvent]) -> None:
        key = (event.choice, event.index)
        if self._open is None and isinstance(event, PartStart):
            self._open = key
        if key == self._open:
            out.append(event)
            if isinstance(event, PartEnd):
                self._open = None
                self._advance(out)
            return
        if isinstance(event, PartStart):
            self._order.append(key)
            self._waiting[key] = []
        self._waiting[key].append(event)
        if isinstance(event, PartEnd):
            self._ended.add(key)

    def _advance(self, out: list[StreamEvent]) -> None:
        """Let the next waiting part have the line, and those after it while they are whole."""
        while self._order:
            key = self._order.pop(0)
            out += self._waiting.pop(key)
            if key not in self._ended:
                self._open = key
                return
            self._ended.discard(key)

    def _flush(self, out: list[StreamEvent]) -> None:
        """What still waits, at the end of a broken stream."""
        while self._order and self._open is not None:
            out.append(PartEnd(self._open[1], self._open[0]))
            self._open = None
            self._advance(out)
