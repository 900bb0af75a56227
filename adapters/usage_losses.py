"""Token counts that a protocol does not tell apart: they are in its sums, and reported."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.canonical import Usage
from adapters.losses import Losses


def report_counts(usage: Usage | None, untold: Iterable[str], losses: Losses) -> None:
    """`untold`: fields of Usage for which the protocol has no count of its own."""
    if usage is None:
        return
    for name in untold:
        if getattr(usage, name):
            losses.add(f"usage.{name}", "usage", "not counted apart: it is in the sum")


def says_nothing(value: object) -> bool:
    """Whether details of a usage are all zero or empty, so that nobody misses them."""
    if isinstance(value, dict):
        return all(map(says_nothing, value.values()))
    if isinstance(value, list):
        return all(map(says_nothing, value))
    return not value
