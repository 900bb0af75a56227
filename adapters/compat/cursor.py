"""Text that grows while it is read: readers are generators that yield where they need more of it."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Reading = Generator[None, None, T]
"""Yields to wait for more text; returns what was read."""

_SPACE = re.compile(r"\s*")
_STRUCTURE = re.compile(r"[\"'{}\[\]<`]")
_STRING_STOP = {'"': re.compile(r'["\\]'), "'": re.compile(r"['\\]")}
_CLOSING = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class JsonText:
    """A value from its opening bracket on. `complete`: its brackets are matched."""

    text: str
    complete: bool


class Cursor:
    """`at` is where reading goes on in `text`; `final`: no more text will come."""

    __slots__ = ("at", "final", "text")

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self.final = False

    def more(self) -> Reading[bool]:
        """Wait for more; False: nothing will come."""
        if self.final:
            return False
        yield
        return True

    def space(self) -> Reading[str]:
        """Go past white space. The next character, "" at the end of all text."""
        while True:
            found = _SPACE.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not (yield from self.more()):
                return ""

    def take(self, *words: str) -> Reading[str]:
        """Go past the longest of `words` that stands here; "" if none does."""
        while True:
            rest = self.text[self.at :]
            undecided = any(len(word) > len(rest) and word.startswith(rest) for word in words)
            if not undecided or not (yield from self.more()):
                break
        here = [word for word in words if self.text.startswith(word, self.at)]
        found = max(here, key=len, default="")
        self.at += len(found)
        return found

    def until(self, *ends: str, at_most: int | None = None) -> Reading[str | None]:
        """The text up to the first of `ends`, going past it. None, without moving, if there is none."""
        longest = max(map(len, ends))
        start = self.at
        while True:
            places = [(place, -len(end)) for end in ends if (place := self.text.find(end, start)) >= 0]
            if places and (at_most is None or min(places)[0] - self.at <= at_most):
                place, length = min(places)
                found = self.text[self.at : place]
                self.at = place - length
                return found
            if at_most is not None and len(self.text) - self.at >= at_most + longest:
                return None
            start = max(self.at, len(self.text) - longest + 1)
            if not (yield from self.more()):
                return None

    def json(self) -> Reading[JsonText]:
        """At `{` or `[`: up to the matching bracket.

        Strings may hold anything. What cannot stand in JSON outside of them (`<`, a backtick, the wrong
        bracket) ends it incomplete, as does the end of all text.
        """
        start = self.at
        expected: list[str] = []
        while True:
            found = _STRUCTURE.search(self.text, self.at)
            if found is None:
                self.at = len(self.text)
                if not (yield from self.more()):
                    return JsonText(self.text[start:], False)
                continue
            mark = found[0]
            self.at = found.start()
            if mark in _STRING_STOP:
                self.at += 1
                if not (yield from self._string(mark)):
                    return JsonText(self.text[start:], False)
            elif mark in _CLOSING:
                expected.append(_CLOSING[mark])
                self.at += 1
            elif expected and mark == expected[-1]:
                expected.pop()
                self.at += 1
                if not expected:
                    return JsonText(self.text[start : self.at], True)
            else:
                return JsonText(self.text[start : self.at], False)

    def _string(self, quote: str) -> Reading[bool]:
        """Past the end of a string; False if all text ends before."""
        stop = _STRING_STOP[quote]
        while True:
            found = stop.search(self.text, self.at)
            if found is not None and found[0] == quote:
                self.at = found.end()
                return True
            if found is not None and found.end() < len(self.text):
                self.at = found.end() + 1
                continue
            self.at = len(self.text) if found is None else found.start()
            if not (yield from self.more()):
                self.at = len(self.text)
                return False
