"""Ids of function calls. Gemini's are optional: calls and responses then match by name and order.

https://ai.google.dev/api/caching#FunctionCall
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_NOT_OF_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST = 40


def _clean(text: str) -> str:
    """As part of an id that every protocol takes."""
    return _NOT_OF_AN_ID.sub("_", text)[:_LONGEST]


@dataclass(slots=True)
class _Waiting:
    turn: int
    id: str
    name: str


class HistoryIds:
    """Ids for the calls of a conversation: from the position, so that each turn gives the same ones."""

    def __init__(self, taken: frozenset[str]) -> None:
        self._taken = taken
        self._count = 0
        self._turn = 0
        self._waiting: list[_Waiting] = []

    def next_turn(self) -> None:
        self._turn += 1

    def call(self, given: str | None, name: str) -> str:
        """The id of the next call."""
        call_id = given or self._minted(name)
        self._waiting.append(_Waiting(self._turn, call_id, name))
        return call_id

    def response(self, given: str | None, name: str) -> str:
        """The id of the call that a response answers: by id, else the next of that name, latest turn first.

        A response to no call at all gets an id of its own.
        """
        found = next((one for one in self._waiting if one.id == given), None)
        if found is None:
            named = [one for one in self._waiting if one.name == name]
            found = max(named, key=lambda one: one.turn, default=None)
        if found is None:
            return given or self._minted(name)
        self._waiting.remove(found)
        return found.id

    def _minted(self, name: str) -> str:
        call_id = f"call_{_clean(name)}_{self._count}"
        self._count += 1
        while call_id in self._taken:
            call_id += "_"
        return call_id


class AnswerIds:
    """Ids for the calls of one answer: unlike those of the answers before it."""

    def __init__(self, response_id: str) -> None:
        self._stem = _clean(response_id)
        self._count = 0

    def call(self, given: str | None, name: str, arguments: str) -> str:
        """The id of the next call."""
        number, self._count = self._count, self._count + 1
        if given:
            return given
        content = f"{name}\x00{arguments}".encode("utf-8", "surrogatepass")
        stem = self._stem or hashlib.sha256(content).hexdigest()[:20]
        return f"call_{stem}_{number}"
