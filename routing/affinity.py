"""Where conversations are: the target and the key that a conversation began with. Bounded, expiring.

What counts as the same conversation: a header or a field by which the client names it; else its
beginning (`adapters.conversation`). A beginning is looked up only once the model has spoken: before that
nothing is worth keeping, and equal first questions are shared out like any others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from adapters.conversation import beginning, named_in_body, named_in_headers
from routing.health import Subject
from routing.table import Affinity

MOST = 20_000
"""Conversations and answers that are remembered, each. About 5 MB."""
RESPONSE_SECONDS = 30 * 86400.0
"""OpenAI keeps stored answers for 30 days."""


class Conversation(NamedTuple):
    """`began`: it may have a place already."""

    name: bytes
    began: bool
    by: str
    """How it is known, for people."""


def conversation(
    headers: Mapping[bytes, bytes], document: Mapping[str, Any], affinity: Affinity
) -> Conversation | None:
    """None: nothing says which one it is."""
    further = affinity.header.encode() if affinity.header else None
    if header := named_in_headers(headers, further):
        return Conversation(b"h" + header, True, "its session header")
    if body := named_in_body(document):
        return Conversation(b"b" + body.encode("utf-8", "replace"), True, "the session named in its body")
    if affinity.prefix and (found := beginning(document)) is not None:
        return Conversation(b"p" + found[0], found[1], "its beginning")
    return None


class Places:
    """Name to place, the least recently used forgotten first."""

    __slots__ = ("_clock", "_most", "_places")

    def __init__(self, clock: Callable[[], float], most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._places: OrderedDict[str | bytes, tuple[Subject, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def find(self, name: str | bytes) -> Subject | None:
        found = self._places.get(name)
        if found is None:
            return None
        if found[1] <= self._clock():
            del self._places[name]
            return None
        self._places.move_to_end(name)
        return found[0]

    def put(self, name: str | bytes, place: Subject, seconds: float) -> None:
        """Remember for so long from now on."""
        self._places[name] = place, self._clock() + seconds
        self._places.move_to_end(name)
        if len(self._places) > self._most:
            self._places.popitem(last=False)
