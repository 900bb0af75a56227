"""A full-text index of tools: SQLite's FTS5 in memory, ranked by BM25.

Python brings it along, with a stemmer for plurals and endings, weights for columns and prefixes; the
libraries for BM25 alone have none of these and want numpy.
https://sqlite.org/fts5.html
"""

from __future__ import annotations

import re
import sqlite3
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from hub.downstream.listing import Definition

_WEIGHTS = (6.0, 2.0, 2.0, 0.5)
"""Of the columns: name and title, description, names of arguments, descriptions of arguments."""
_MOST_WORDS = 24
"""Of a query. More is a text that was pasted."""
_LONGEST_TEXT = 20_000
_RANKED = f"SELECT rowid, bm25(tools, {', '.join(map(str, _WEIGHTS))}) FROM tools WHERE tools MATCH ?"  # noqa: S608
_SHORTEST_BEGINNING = 3
"""Fewer letters begin too many words."""
_LIKENESS = 0.75
"""Of a mistyped word and the right one: between 0 and 1, as difflib counts."""
_MEANT, _MISTYPED = 0.4, 0.8
"""What a word of the same meaning and a mistyped one count, where the word itself counts 1."""
_SHORTEST_MISTYPED = 4
_MOST_MISTYPED = 8
_ALIKE = (
    ("delete", "remove", "erase", "drop"),
    ("create", "add", "new", "make", "insert"),
    ("update", "edit", "change", "modify", "set"),
    ("get", "read", "fetch", "show", "view", "retrieve"),
    ("list", "enumerate", "browse"),
    ("search", "find", "query", "lookup"),
    ("run", "execute", "start", "launch", "invoke"),
    ("send", "post", "submit", "publish"),
    ("mail", "email", "message"),
    ("folder", "directory"),
    ("picture", "image", "photo"),
)
"""Used for a word that no tool has."""
_SYNONYMS = {word: tuple(w for w in group if w != word) for group in _ALIKE for word in group}
_IDLE = (
    "a an and are as at be by can do for from how i in into is it me my of on or please should some that the "
    "this to tool tools use want what which with you"
)
_IDLE_WORDS = frozenset(_IDLE.split())
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])")
"""Writing without spaces between words is indexed sign by sign."""


@dataclass(frozen=True, slots=True)
class Found:
    """`places` of the tools in the order of their rank, best first. `read_as` has what was taken instead of a
    word that no tool has; `unknown` the words for which there was nothing."""

    places: tuple[int, ...] = ()
    read_as: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()


class ToolIndex:
    """Of a fixed sequence of tools. Both building and searching are for a thread; several may search."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        """Raises `sqlite3.OperationalError` where Python's SQLite was built without FTS5."""
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._connection.close)
        self._connection.execute(
            "CREATE VIRTUAL TABLE tools USING fts5(name, description, arguments, details, "
            "content='', tokenize='porter unicode61 remove_diacritics 2')"
        )
        words: set[str] = set()
        with self._connection:
            for place, definition in enumerate(definitions):
                columns = _columns(definition)
                words.update(*map(_words, columns[:3]))
                self._connection.execute(
                    "INSERT INTO tools (rowid, name, description, arguments, details) VALUES (?, ?, ?, ?, ?)",
                    (place, *columns),
                )
            self._connection.execute("INSERT INTO tools (tools) VALUES ('optimize')")
        self._words = words

    def search(self, query: str) -> Found:
        """Tools with any of the words, in any grammatical number, or with a beginning of theirs."""
        asked = list(dict.fromkeys(_words(_spaced(_parted(query)))))
        asked = ([word for word in asked if word not in _IDLE_WORDS] or asked)[:_MOST_WORDS]
        scores: dict[int, float] = {}
        read_as: list[tuple[str, str]] = []
        unknown: list[str] = []
        with self._lock:
            for word in asked:
                weight, found = 1.0, self._scores((word,))
                if not found and len(unknown) < _MOST_MISTYPED:
                    weight, others = self._instead(word)
                    found = self._scores(others)
                    read_as += [(word, other) for other in others]
                if not found:
                    unknown.append(word)
                for place, score in found.items():
                    scores[place] = scores.get(place, 0.0) + weight * score
        places = tuple(sorted(scores, key=lambda place: (-scores[place], place)))
        return Found(places, tuple(read_as), tuple(unknown))

    def _instead(self, word: str) -> tuple[float, list[str]]:
        """Words with the same meaning, or else spelled almost the same, and what one counts."""
        same = [other for other in _SYNONYMS.get(word, ()) if self._scores((other,))]
        if same or len(word) < _SHORTEST_MISTYPED:
            return _MEANT, same
        similar = (
            other for other in self._words if abs(len(other) - len(word)) <= 2 and other[0] in word[:2]
        )
        return _MISTYPED, get_close_matches(word, similar, n=2, cutoff=_LIKENESS)

    def _scores(self, words: Sequence[str]) -> dict[int, float]:
        """By place, of the word that is found best there. BM25 adds up over words, so each can go alone."""
        scores: dict[int, float] = {}
        for word in words:
            for place, rank in self._connection.execute(_RANKED, (_expression(word),)):
                scores[place] = max(scores.get(place, 0.0), -rank)  # the best has the lowest
        return scores


def _expression(word: str) -> str:
    """As FTS5 has it. A word is letters and digits, so there is no quote in it."""
    return f'"{word}" OR "{word}"*' if len(word) >= _SHORTEST_BEGINNING else f'"{word}"'


def _columns(definition: Definition) -> tuple[str, str, str, str]:
    schema = definition.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    arguments = properties if isinstance(properties, Mapping) else {}
    details = (about.get("description") for about in arguments.values() if isinstance(about, Mapping))
    return (
        _spaced(_parted(f"{definition.get('name')} {definition.get('title') or ''}")),
        _spaced(str(definition.get("description") or "")),
        _spaced(_parted(" ".join(arguments))),
        _spaced(" ".join(str(text) for text in details if text)),
    )


def _parted(names: str) -> str:
    """With the words of `getWeatherAt` beside it."""
    parts = _HUMP.sub(" ", names)
    return names if parts == names else f"{names} {parts}"


def _spaced(text: str) -> str:
    text = text[:_LONGEST_TEXT]
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
