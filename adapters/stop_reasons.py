"""How well a protocol's words for the end of an answer tell what happened.

Every codec has a table from the canonical reasons to its own words, each marked as exact or as the nearest
that the protocol has. Whatever is told by a nearest word only is reported: `stop_reason`, or `stop_sequence`
where what is missing is that (or which) stop sequence it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.canonical import ChatRequest, FinishReason
from adapters.losses import Losses


@dataclass(frozen=True, slots=True)
class Word:
    """`raw`: the protocol's word; `exact`: it means the same there."""

    raw: str
    exact: bool = True


def exact(raw: str) -> Word:
    return Word(raw)


def nearest(raw: str) -> Word:
    return Word(raw, exact=False)


def report(
    reason: FinishReason,
    word: Word,
    protocol: str,
    where: str,
    losses: Losses,
    *,
    names_sequence: bool = False,
) -> None:
    """What `word` does not tell of `reason`. `names_sequence`: the protocol says which sequence it was.

    A reason of which the upstream said nothing is not lost.
    """
    if reason.extensions:
        losses.foreign(reason.extensions, protocol, where)
    if reason.unified == "stop_sequence":
        if not (word.exact and names_sequence):
            which = f" {reason.stop_sequence!r}" if reason.stop_sequence is not None else ""
            losses.add("stop_sequence", where, f"that it was a stop sequence{which} is told as {word.raw!r}")
    elif not word.exact and not (reason.unified == "other" and reason.raw is None):
        said = f" ({reason.raw!r})" if reason.raw else ""
        losses.add("stop_reason", where, f"{reason.unified}{said} is told as {word.raw!r}")


def with_sequence(reason: FinishReason, request: ChatRequest) -> FinishReason:
    """The same with the stop sequence that it was, where the client had given one only."""
    if reason.unified != "stop_sequence" or reason.stop_sequence is not None or len(request.stop) != 1:
        return reason
    return replace(reason, stop_sequence=request.stop[0])
