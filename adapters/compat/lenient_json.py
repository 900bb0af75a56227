"""JSON as models write it: their usual slips are repaired, everything else is refused.

Repaired: raw line breaks in strings, a trailing comma, Python's quotes and words, a backslash before
a character that needs none, brackets left open. Nothing is guessed about names or values.
"""

from __future__ import annotations

import json
import re
from typing import Any

from adapters.jsontext import load

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<mark>[{}\[\],:])
      | (?P<word>[^\s{}\[\],:"']+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|.)|(")', re.DOTALL)
_PLAIN_ESCAPES = '"\\/bfnrt'
_WORDS = {"True": "true", "False": "false", "None": "null"}
_CLOSING = {"{": "}", "[": "]"}


def load_lenient(text: str, *, close: bool = False) -> Any:
    """The value of `text`; `close` also closes brackets left open at its end. Raises ValueError."""
    try:
        return load(text)
    except ValueError:
        return json.loads(_repaired(text, close), strict=False)


def _repaired(text: str, close: bool) -> str:
    out: list[str] = []
    expected: list[str] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"no JSON at character {at}")
        at = found.end()
        match found.lastgroup:
            case "double":
                out.append(f'"{_escaped(found["double"])}"')
            case "single":
                out.append(f'"{_escaped(found["single"])}"')
            case "word":
                out.append(_WORDS.get(found[0], found[0]))
            case "mark":
                _bracket(found[0], out, expected)
    if expected and not close:
        raise ValueError("brackets are left open")
    while expected:
        _bracket(expected[-1], out, expected)
    return "".join(out)


def _bracket(mark: str, out: list[str], expected: list[str]) -> None:
    if mark in _CLOSING:
        expected.append(_CLOSING[mark])
    elif mark in "}]":
        if not expected or expected.pop() != mark:
            raise ValueError("brackets do not match")
        if out and out[-1] == ",":
            out.pop()
    out.append(mark)


def _escaped(string: str) -> str:
    """The inside of a string with escapes that JSON has."""
    return _ESCAPE.sub(_escape, string)


def _escape(found: re.Match[str]) -> str:
    escape = found[1]
    if escape is None:
        return '\\"'
    if escape == "'":
        return "'"
    if escape == "\n":  # a line that Python would continue
        return "\\n"
    return found[0] if len(escape) > 1 or escape in _PLAIN_ESCAPES else "\\" + found[0]
