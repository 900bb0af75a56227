"""Which tool call a delta belongs to: the dialects differ in indexes, ids and names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from adapters.canonical import Signature
from adapters.jsontext import load_object
from adapters.openai_chat.response_decode import mint_id


@dataclass(slots=True)
class Call:
    """A tool call while it arrives."""

    call_id: str
    name: str
    is_custom: bool = False
    part: int | None = None
    """The index of its part; None until its name is known."""
    held: str = ""
    """Arguments that came before the name."""
    arguments: list[str] = field(default_factory=list)
    signature: Signature | None = None
    extra: Any = None
    legacy: bool = False


class Calls:
    """The calls of one choice, in order of appearance.

    The index tells a call, where it is one. Without it an unknown id, or a name, begins a call. Some
    servers give each call the index 0: another id together with a name begins a call too, and so
    does a name with arguments after arguments that were complete. Others give every delta a new id:
    an id without a name begins nothing.
    """

    __slots__ = ("_calls", "_last", "_slots")

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._slots: dict[int, Call] = {}
        """The call that the deltas of an index belong to now."""
        self._last: Call | None = None

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def find(self, index: Any, call_id: str, name: str, arguments: str, *, stem: str) -> Call:
        """The call that a delta belongs to, a new one where it begins one. `stem` is for its id."""
        slot = _slot(index)
        known = self._slots.get(slot) if slot is not None else self._unindexed(call_id, name)
        if known is not None and name and known.name:
            begins = _begins(known, call_id, name, arguments, indexed=slot is not None)
            known = None if begins else known
        if known is None:
            known = self._new(call_id, name, stem)
        elif name and not known.name:
            known.name = name
        if slot is not None:
            self._slots[slot] = known
        self._last = known
        return known

    def _unindexed(self, call_id: str, name: str) -> Call | None:
        if call_id:
            same = next((call for call in self._calls if call.call_id == call_id), None)
            return same if same is not None or name else self._last
        return self._last

    def _new(self, call_id: str, name: str, stem: str) -> Call:
        if not call_id or any(call.call_id == call_id for call in self._calls):
            call_id = mint_id(call_id or stem, name, len(self._calls))
        call = Call(call_id, name)
        self._calls.append(call)
        return call


def _slot(index: Any) -> int | None:
    """The index, which some servers write as text or as a float; None where it is none."""
    if isinstance(index, bool) or not isinstance(index, int | float | str):
        return None
    try:
        number = int(index)
    except (ValueError, OverflowError):
        return None
    return number if number >= 0 else None


def _begins(known: Call, call_id: str, name: str, arguments: str, *, indexed: bool) -> bool:
    """Whether a delta with a name is another call than `known`, whose place it has."""
    if call_id:
        return call_id != known.call_id
    if not known.arguments:
        return not indexed and name != known.name
    return name != known.name or (bool(arguments) and load_object("".join(known.arguments)) is not None)
