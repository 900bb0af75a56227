"""How the texts of one turn become one text, for protocols that have one slot for it: the only rule for it.

Texts that follow each other are one text: nothing is put between them. Anthropic cuts a sentence where
a citation begins, and streams have no other choice, since a text is sent before the next is known. The words
for an item that only another protocol has stand apart, between blank lines: they are no part of the sentence.

System text is different: its pieces are separate instructions, with a blank line between them.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.canonical import Opaque, Part, Refusal, Text
from adapters.losses import Losses

BLANK_LINE = "\n\n"


def joined_turn(parts: Iterable[Part]) -> str:
    """The text of a turn: its texts, refusals and the words for foreign items."""
    apart = Apart()
    texts: list[str] = []
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                apart.text()
                texts.append(text)
            case Opaque() if part.text:
                texts.append(apart.item(part.text))
            case _:
                pass
    return "".join(texts)


def joined_system(texts: Iterable[str]) -> str:
    return BLANK_LINE.join(text for text in texts if text)


def report_refusal(where: str, losses: Losses) -> None:
    """A model's own words of refusal are text like any other for a protocol that does not mark them."""
    losses.add("refusal", where, "told as text: nothing marks it as a refusal")


class Apart:
    """Sets the words for items apart from the text around them, also where it is sent piece by piece."""

    __slots__ = ("_follows_text",)

    def __init__(self) -> None:
        self._follows_text = False

    def text(self) -> None:
        """A text begins."""
        self._follows_text = True

    def item(self, words: str) -> str:
        """The words for an item, as they are to be sent."""
        before = BLANK_LINE if self._follows_text else ""
        self._follows_text = False
        return f"{before}{words.strip()}{BLANK_LINE}"
