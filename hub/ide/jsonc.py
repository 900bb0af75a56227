"""JSON with comments, read and changed in place: whatever is not touched keeps its bytes.

Editors write their settings as "JSONC": JSON with `//` and `/* */` comments and trailing commas
(https://code.visualstudio.com/docs/languages/json#_json-with-comments). A change here is one
replaced span of the text, so comments, order and layout of everything else stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_GAP = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
_DEEPEST = 200


class NotJson(ValueError):
    """The text is no JSON, even with comments. `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


class Change(NamedTuple):
    """Put `text` in the place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.end :]


@dataclass(slots=True)
class Node:
    """A value and where it stands. `members` has an object's, `value` whatever it is as plain data."""

    start: int
    end: int
    value: Any
    members: list[Member] = field(default_factory=list)

    def member(self, key: str) -> Member | None:
        """The one of that name; of several the last, as JSON parsers take it."""
        return next((each for each in reversed(self.members) if each.key == key), None)


@dataclass(slots=True)
class Member:
    key: str
    start: int
    node: Node


def parse(text: str) -> Node:
    """Raises NotJson."""
    reader = _Reader(text)
    node = reader.value(reader.skip(0), 0)
    end = reader.skip(node.end)
    if end != len(text):
        raise reader.error("something stands behind the end", end)
    return node


def load(text: str) -> Any:
    """The plain data. Raises NotJson."""
    return parse(text).value if _GAP.fullmatch(text) is None else {}


def set_member(text: str, path: Sequence[str], value: Any) -> Change:
    """The change that makes `value` stand at `path`, with objects around it as far as they are missing.

    Raises NotJson, and TypeError where something else than an object stands on the way.
    """
    if _GAP.fullmatch(text) is not None:  # an empty file, or nothing but comments
        layout = _Layout(text, None)
        before = text.rstrip(" \t\r\n")
        lead = before + layout.newline if before.strip("\ufeff") else before
        return Change(0, len(text), lead + layout.render(_nested(path, value), 0) + layout.newline)
    root = node = parse(text)
    for depth, key in enumerate(path):
        if not isinstance(node.value, dict):
            raise TypeError(".".join(path[:depth]) or "the whole file")
        member = node.member(key)
        if member is None:
            layout = _Layout(text, root)
            return _insertion(text, node, key, _nested(path[depth + 1 :], value), depth + 1, layout)
        node = member.node
    return Change(node.start, node.end, _Layout(text, root).render(value, len(path)))


def remove_member(text: str, path: Sequence[str]) -> Change | None:
    """The change that takes `path` away; None: it is not there. Raises NotJson."""
    node = parse(text)
    for key in path[:-1]:
        member = node.member(key)
        if member is None:
            return None
        node = member.node
    position = next(
        (at for at in reversed(range(len(node.members))) if node.members[at].key == path[-1]), None
    )
    if position is None:
        return None
    member = node.members[position]
    if position + 1 < len(node.members):
        return Change(member.start, node.members[position + 1].start, "")
    if position > 0:  # with the comma before it, but not with comments between
        comma = text.index(",", _Reader(text).skip(node.members[position - 1].node.end))
        trailing = _trailing_comma(text, member.node.end)
        between = text[comma + 1 : member.start]
        kept = between.rstrip(" \t") if between.strip() else ""  # a line's comment needs its end
        return Change(comma, trailing or member.node.end, kept)
    end = _trailing_comma(text, member.node.end) or member.node.end
    before, after = text[node.start + 1 : member.start], text[end : node.end - 1]
    if not before.strip() and not after.strip():  # nothing is left, not even a comment
        return Change(node.start + 1, node.end - 1, "")
    return Change(member.start, end, "")


def _trailing_comma(text: str, end: int) -> int | None:
    at = _Reader(text).skip(end)
    return at + 1 if text[at : at + 1] == "," else None


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _insertion(text: str, node: Node, key: str, value: Any, depth: int, layout: _Layout) -> Change:
    """A new last member of the object `node`, whose members stand `depth` levels deep."""
    written = f"{json.dumps(key, ensure_ascii=False)}: {layout.render(value, depth)}"
    break_line = layout.newline + layout.indent * depth
    if not node.members:
        inside = text[node.start + 1 : node.end - 1]
        if inside.strip():  # comments alone
            at = node.start + 1 + len(inside.rstrip(" \t\r\n"))
            return Change(
                at, node.end - 1, break_line + written + layout.newline + layout.indent * (depth - 1)
            )
        closing = layout.newline + layout.indent * (depth - 1)
        return Change(node.start + 1, node.end - 1, break_line + written + closing)
    last = node.members[-1]
    own_line = "\n" in text[node.start : node.members[0].start]
    gap = break_line if own_line else " "
    comma = _trailing_comma(text, last.node.end)
    if comma is not None:
        return Change(comma, comma, f"{gap}{written},")
    return Change(last.node.end, last.node.end, f",{gap}{written}")


class _Layout:
    """How the file is written: its indentation and its ends of lines."""

    def __init__(self, text: str, root: Node | None) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.indent = "  "
        if root is not None and root.members:
            line = text.rfind("\n", 0, root.members[0].start) + 1
            lead = text[line : root.members[0].start]
            if lead and not lead.strip(" \t"):
                self.indent = lead

    def render(self, value: Any, depth: int) -> str:
        text = json.dumps(value, indent=self.indent, ensure_ascii=False)
        return text.replace("\n", self.newline + self.indent * depth)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text

    def error(self, message: str, at: int) -> NotJson:
        return NotJson(message, self.text.count("\n", 0, at) + 1)

    def skip(self, at: int) -> int:
        match = _GAP.match(self.text, at)
        assert match is not None  # it matches nothing, too
        return match.end()

    def value(self, at: int, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.error("nested too deeply", at)
        match self.text[at : at + 1]:
            case "{":
                return self._object(at, depth)
            case "[":
                return self._array(at, depth)
            case '"':
                text, end = self._string(at)
                return Node(at, end, text)
            case _:
                scalar = _SCALAR.match(self.text, at)
                if scalar is None:
                    raise self.error(
                        "a value is missing" if at < len(self.text) else "the text ends early", at
                    )
                return Node(at, scalar.end(), json.loads(scalar[0]))

    def _string(self, at: int) -> tuple[str, int]:
        found = _STRING.match(self.text, at)
        if found is None:
            raise self.error("a text has no end, or a line break in it", at)
        try:
            return json.loads(found[0]), found.end()
        except ValueError:
            raise self.error("a text has an escape that does not exist", at) from None

    def _object(self, start: int, depth: int) -> Node:
        node = Node(start, start, {})
        at = self.skip(start + 1)
        while self.text[at : at + 1] != "}":
            if self.text[at : at + 1] != '"':
                raise self.error('a name in "…" is missing', at)
            key, end = self._string(at)
            colon = self.skip(end)
            if self.text[colon : colon + 1] != ":":
                raise self.error(f'":" is missing behind "{key}"', end)
            value = self.value(self.skip(colon + 1), depth + 1)
            node.members.append(Member(key, at, value))
            node.value[key] = value.value
            at = self._next(value.end, "}")
        node.end = at + 1
        return node

    def _array(self, start: int, depth: int) -> Node:
        node = Node(start, start, [])
        at = self.skip(start + 1)
        while self.text[at : at + 1] != "]":
            value = self.value(at, depth + 1)
            node.value.append(value.value)
            at = self._next(value.end, "]")
        node.end = at + 1
        return node

    def _next(self, end: int, closing: str) -> int:
        """Where the next member or the closing bracket stands."""
        at = self.skip(end)
        if self.text[at : at + 1] == ",":
            return self.skip(at + 1)
        if self.text[at : at + 1] != closing:
            raise self.error(f'"," or "{closing}" is missing', end)
        return at
