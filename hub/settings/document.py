"""A settings file as plain data in which every value knows its line.

Scalars stay the text that was written, `4.10` and `"4.10"` alike: the settings model knows which
values are numbers and which are names, and a model called 4.10 or an environment value `010` must
not be turned into a number on the way. Only below `extra_body`, which the model leaves open,
do plain scalars get the types of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from hub.settings.problems import KeyPath, Problem, SettingsError, dotted

MAX_VALUES = 100_000
"""Beyond this a file is an accident or an attack (aliases of aliases), not settings."""

_NULL = re.compile(r"null|Null|NULL|~|", re.ASCII)
_TRUE = re.compile(r"true|True|TRUE", re.ASCII)
_FALSE = re.compile(r"false|False|FALSE", re.ASCII)
_INT = re.compile(r"[-+]?[0-9]{1,300}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written; `source` names what is not a line of the file."""

    line: int | None
    source: str = ""


@dataclass(slots=True)
class Document:
    """`data` is made of dicts with text keys, lists, text and None."""

    data: dict[str, Any]
    places: dict[KeyPath, Place] = field(default_factory=dict)
    expanded: set[KeyPath] = field(default_factory=set)
    """Where a variable stood: such a value may be secret and is not repeated in a message."""
    problems: dict[KeyPath, Problem] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def refuse(self, path: KeyPath, message: str, hint: str = "") -> None:
        """Record a problem at `path`. The first one of a place stays: others would follow from it."""
        place = self.place(path)
        self.problems.setdefault(path, Problem(place.line, place.source or dotted(path), message, hint))

    def section(self, name: str) -> dict[str, Any]:
        """A top-level mapping, empty where it is absent or not a mapping."""
        value = self.data.get(name)
        return value if isinstance(value, dict) else {}

    def place(self, path: KeyPath) -> Place:
        """Where `path` was written, or the nearest thing around it that was."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(None)


def parse(text: str) -> Document:
    """Read YAML (and so JSON). Raises `SettingsError` with the syntax error or every duplicate key."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise SettingsError([_syntax_problem(error, text)]) from None
    except yaml.YAMLError as error:
        raise SettingsError([Problem(None, "", f"not readable as YAML: {error}")]) from None
    except (RecursionError, ValueError):
        raise SettingsError([Problem(None, "", "not readable as YAML: nested too deeply")]) from None
    builder = _Builder()
    try:
        data = None if node is None else builder.value(node, ())
    except RecursionError:
        raise SettingsError([Problem(None, "", "not readable as YAML: nested too deeply")]) from None
    if builder.problems:
        raise SettingsError(builder.problems)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise SettingsError(
            [Problem(1, "", "a settings file is a mapping (`key: value`), not a list or a text")]
        )
    return Document(data, builder.places)


def typed(text: str) -> str | int | float | bool | None:
    """A plain scalar by YAML 1.2's core schema."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return str(text)


class PlainText(str):
    """A scalar that was written without quotes, and so may yet become a number (`typed`)."""

    __slots__ = ()


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    reason = " ".join(part for part in (error.context, error.problem) if part)
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    hint = ""
    if "'\\t'" in reason:
        hint = "indent with spaces, not tabs"
    elif "block scalar" in reason and re.search(r":\s*>=?\s*\d", line):
        hint = 'a comparison needs quotes, ">60000"'
    elif "flow" in reason and "${" in line:
        hint = 'between { } or [ ] a variable needs quotes, "${NAME}"'
    return Problem(mark.line + 1 if mark else None, "", f"not readable as YAML: {reason}", hint)


class _Builder:
    """Turns composed nodes into data, keeping their lines and collecting what is wrong."""

    def __init__(self) -> None:
        self.places: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise SettingsError(
                [self._problem(node, path, f"more than {MAX_VALUES} values are not settings")]
            )
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self._open:
            self.problems.append(self._problem(node, path, "an alias stands inside of what it repeats"))
            return None
        self._open.add(id(node))
        try:
            build: Callable[[Any, KeyPath], Any] = (
                self._mapping if isinstance(node, yaml.MappingNode) else self._sequence
            )
            return build(node, path)
        finally:
            self._open.discard(id(node))

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            self.places[*path, index] = Place(item.start_mark.line + 1)
            values.append(self.value(item, (*path, index)))
        return values

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                for other in self._merged(value_node, path):
                    merged = {**other, **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(
                    self._problem(key_node, path, "a key must be a text, not a list or mapping")
                )
                continue
            key = str(key_node.value)
            if key in values:
                self.problems.append(
                    self._problem(
                        key_node,
                        (*path, key),
                        f"`{key}` is written twice",
                        f"the first one is on line {self.places[*path, key].line}; keep one of them",
                    )
                )
                continue
            self.places[*path, key] = Place(key_node.start_mark.line + 1)
            values[key] = self.value(value_node, (*path, key))
        return {**merged, **values}

    def _merged(self, node: yaml.Node, path: KeyPath) -> Iterator[dict[str, Any]]:
        """The mappings that `<<:` brings in, https://yaml.org/type/merge.html."""
        for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(item, yaml.MappingNode):
                written = dict(self.places)
                value = self.value(item, path)
                self.places = {**self.places, **written}
                if isinstance(value, dict):
                    yield value
            else:
                self.problems.append(self._problem(item, path, "`<<` must be followed by a mapping"))

    @staticmethod
    def _problem(node: yaml.Node, path: KeyPath, message: str, hint: str = "") -> Problem:
        return Problem(node.start_mark.line + 1, dotted(path), message, hint)


def _scalar(node: yaml.ScalarNode) -> str | None:
    text = str(node.value)
    if node.style is not None:
        return text
    return None if _NULL.fullmatch(text) else PlainText(text)
