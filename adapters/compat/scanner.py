"""Text as it arrives, taken apart into text and calls.

Text goes on at once. Held back is only what may become a call: the longest ending that some opening mark
begins with, then the call itself. White space between calls belongs to them and goes.
"""

from __future__ import annotations

import re
from dataclasses import replace

from adapters.compat.calls import Call, DeclaredTools, Rejected
from adapters.compat.cursor import Cursor, Reading
from adapters.compat.formats import READERS, bare
from adapters.compat.reader import FENCE, Outcome

Item = str | Call | Rejected
"""A piece of text, a call, or text that was meant as a call."""

_MARKS = re.compile("|".join(map(re.escape, READERS)))
_LONGEST_MARK = max(map(len, READERS))
_FIRST_CHARACTERS = frozenset(mark[0] for mark in READERS)
_BEGINNINGS = frozenset(mark[:length] for mark in READERS for length in range(1, len(mark)))
_BARE = "bare"


class CallScanner:
    """One text. Any division of it into pieces gives the same items, but for how text is divided."""

    __slots__ = (
        "_blank",
        "_cursor",
        "_fence",
        "_fresh",
        "_held",
        "_mark",
        "_reading",
        "_space",
        "_tools",
        "found",
    )

    def __init__(self, tools: DeclaredTools) -> None:
        self._tools = tools
        self._held = ""
        self._space = ""
        """White space that has not been followed by text yet."""
        self._fresh = True
        """No text stands between here and the start or the last call."""
        self._blank = True
        """Only white space stands before here in this line."""
        self._fence = 0
        """The width of the fence in whose code block this is; 0: in none."""
        self._cursor = Cursor("")
        self._reading: Reading[Outcome] | None = None
        self._mark = ""
        self.found = False
        """There was a call."""

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._held) + (len(self._cursor.text) if self._reading else 0)

    def feed(self, text: str) -> list[Item]:
        return self._run(text, final=False)

    def close(self) -> list[Item]:
        """The rest, at the end of the text."""
        items = self._run("", final=True)
        if self._space and not self.found:
            items.append(self._space)
        self._space = ""
        return items

    def abort(self) -> str:
        """What is held back, as text: for an answer that broke off."""
        text = self._space + self._held + (self._cursor.text if self._reading else "")
        self._space = self._held = ""
        self._reading = None
        return text

    def _run(self, text: str, final: bool) -> list[Item]:
        items: list[Item] = []
        if self._reading is not None:
            self._cursor.text += text
            text = self._read_on(items, final)
        else:
            text, self._held = self._held + text, ""
        while text:
            text = self._code(text, items, final) if self._fence else self._text(text, items, final)
        return items

    # ------------------------------------------------------------ text

    def _text(self, text: str, items: list[Item], final: bool) -> str:
        """Emit text up to the next mark, and read on from there. The rest that is still to be looked at."""
        if self._fresh and (start := text.lstrip()[:2]) and start[0] in "{[" and start not in ("[", "[T"):
            lead = len(text) - len(text.lstrip())
            self._emit(text[:lead], items)
            return self._begin(_BARE, text[lead:], items, final)
        found = _MARKS.search(text)
        if found is None:
            keep = 0 if final else _ending(text)
            self._emit(text[: len(text) - keep], items)
            self._held = text[len(text) - keep :]
            return ""
        self._emit(text[: found.start()], items)
        rest = text[found.start() :]
        if found[0] == FENCE and not self._blank:
            run = len(rest) - len(rest.lstrip("`"))
            self._emit(rest[:run], items)
            return rest[run:]
        return self._begin(found[0], rest, items, final)

    def _code(self, text: str, items: list[Item], final: bool) -> str:
        """Inside of a code block: everything is text, up to the fence that closes it."""
        place = text.find(FENCE)
        if place < 0:
            keep = 0 if final else len(text) - len(text.rstrip("`"))
            self._emit(text[: len(text) - keep], items)
            self._held = text[len(text) - keep :]
            return ""
        self._emit(text[:place], items)
        rest = text[place:]
        run = len(rest) - len(rest.lstrip("`"))
        if run == len(rest) and not final:
            self._held = rest
            return ""
        if self._blank and run >= self._fence:
            self._fence = 0
        self._emit(rest[:run], items)
        return rest[run:]

    def _emit(self, text: str, items: list[Item]) -> None:
        if not text:
            return
        line = text.rpartition("\n")
        self._blank = (self._blank or bool(line[1])) and not line[2].strip()
        if self._fresh:
            text = self._space + text
            self._space = ""
            if text.isspace():
                self._space = text
                return
            self._fresh = False
        items.append(text)

    # ------------------------------------------------------------ calls

    def _begin(self, mark: str, text: str, items: list[Item], final: bool) -> str:
        reader = bare if mark is _BARE else READERS[mark]
        self._mark = mark
        self._cursor = Cursor(text, 0 if mark is _BARE else len(mark))
        self._reading = reader(self._cursor, self._tools)
        return self._read_on(items, final)

    def _read_on(self, items: list[Item], final: bool) -> str:
        """The text behind what was read; "" while more is needed."""
        cursor, reading = self._cursor, self._reading
        assert reading is not None
        cursor.final = final
        try:
            next(reading)
        except StopIteration as stop:
            self._reading = None
            return self._take(stop.value, items)
        return ""

    def _take(self, outcome: Outcome, items: list[Item]) -> str:
        text, at = self._cursor.text, self._cursor.at
        match outcome:
            case list():
                items += outcome
                self.found = self._fresh = self._blank = True
                self._space = ""
                return text[at:]
            case Rejected():
                start = len(items)
                self._emit(text[:at], items)
                items[start:] = [replace(outcome, text="".join(map(str, items[start:])))]
                return text[at:]
        length = 1 if self._mark is _BARE else len(self._mark)
        if self._mark == FENCE:
            length = self._fence = len(text) - len(text.lstrip("`"))
        self._emit(text[:length], items)
        return text[length:]


def _ending(text: str) -> int:
    """How long the longest ending of `text` is that a mark begins with."""
    for length in range(min(_LONGEST_MARK - 1, len(text)), 0, -1):
        if text[-length] in _FIRST_CHARACTERS and text[-length:] in _BEGINNINGS:
            return length
    return 0
