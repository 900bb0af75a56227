"""What a reader of one form of calls is, and what all of them need."""

from __future__ import annotations

from collections.abc import Callable

from adapters.compat.calls import Call, DeclaredTools, Rejected
from adapters.compat.cursor import Cursor, Reading

Outcome = list[Call] | Rejected | None
"""The calls, with the cursor behind them; Rejected for what was meant as a call and is none; None if the
mark was only a mark, and what follows is text."""
Reader = Callable[[Cursor, DeclaredTools], Reading[Outcome]]
"""It starts behind the opening mark."""

LONGEST_NAME = 256
FENCE = "```"


def past_end(cursor: Cursor, ends: tuple[str, ...]) -> Reading[str]:
    """Past one of `ends`, with a bracket too many before it; without moving if there is none."""
    if not ends:
        return ""
    start = cursor.at
    while (yield from cursor.space()) in ("}", "]"):
        cursor.at += 1
    end = yield from cursor.take(*ends)
    if not end:
        cursor.at = start
    return end


def as_outcome(found: Call | Rejected) -> Outcome:
    return [found] if isinstance(found, Call) else found
