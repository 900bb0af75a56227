"""What a stream's encoder could not carry over: found out while the stream goes on, part by part."""

from __future__ import annotations

from adapters.canonical import (
    NO_EXTENSIONS,
    Extensions,
    Finish,
    Opaque,
    PartDelta,
    PartStart,
    PartUpdate,
    StreamEnd,
    StreamEvent,
    StreamStart,
    UsageUpdate,
)
from adapters.losses import Losses


def place(choice: int, index: int) -> str:
    """Where a part stands in the client's answer, as far as all protocols agree on it."""
    return f"choices[{choice}].parts[{index}]"


class StreamLosses(Losses):
    """The losses of one stream; `taken` gives those since the last time, each once for its place."""

    __slots__ = ("_noted", "_protocol", "_seen")

    def __init__(self, protocol: str) -> None:
        super().__init__()
        self._protocol = protocol
        self._noted: set[tuple[int, int]] = set()
        self._seen: set[tuple[str, str]] = set()

    def taken(self) -> Losses:
        """The losses that were not given out yet."""
        items, self._items = self._items, []
        out = Losses()
        for loss in items:
            if (key := (loss.code, loss.where)) not in self._seen:
                self._seen.add(key)
                out.add(loss.code, loss.where, loss.detail)
        return out

    def look(self, event: StreamEvent) -> None:
        """Report what stands in the event's extension bag for other protocols.

        Of the deltas of a part the first with a bag is reported: thousands may have the same keys.
        """
        kind = type(event)
        if kind is PartDelta:
            if not event.extensions or (event.choice, event.index) in self._noted:  # type: ignore[union-attr]
                return
            self._noted.add((event.choice, event.index))  # type: ignore[union-attr]
        extensions, where = _bag_of(event)
        if extensions:
            self.foreign(extensions, self._protocol, where)


def _bag_of(event: StreamEvent) -> tuple[Extensions, str]:
    match event:
        case PartDelta() | PartUpdate():
            return event.extensions, place(event.choice, event.index)
        case PartStart(part=part):
            extensions = NO_EXTENSIONS if isinstance(part, Opaque) else part.extensions
            return extensions, place(event.choice, event.index)
        case StreamStart():
            return event.extensions, ""
        case Finish():
            return event.extensions, f"choices[{event.choice}]"
        case UsageUpdate():
            return event.usage.extensions, "usage"
        case StreamEnd():
            return event.extensions, ""
        case _:
            return NO_EXTENSIONS, ""
