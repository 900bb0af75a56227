"""Errors of the command line: one line that says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class CommandError(Exception):
    """It failed."""

    exit_status = 1


class UsageError(CommandError):
    """The command line itself is wrong."""

    exit_status = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint to put behind `unknown x "word"`: the nearest known words, or all of a few."""
    from difflib import get_close_matches

    names = sorted(set(known))
    near = get_close_matches(word, names, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    if 0 < len(names) <= 12:
        return f"; there is: {', '.join(names)}"
    return ""
