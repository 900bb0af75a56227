"""Calls whose arguments stand between tags: Qwen3-Coder, Anthropic's way, GLM, DeepSeek V3.2."""

from __future__ import annotations

from typing import Any

from adapters.compat.calls import Call, DeclaredTools, argument_value
from adapters.compat.cursor import Cursor, Reading
from adapters.compat.reader import LONGEST_NAME, Outcome, Reader, as_outcome, past_end
from adapters.jsontext import dump

_NOT_A_NAME = "<>{}[]\n`"


def function_tag(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """Behind `<function=`."""
    name = yield from cursor.until(">", at_most=LONGEST_NAME)
    if name is None or not _is_name(name := name.strip("\"' ")):
        return None
    return (yield from _parameters(cursor, tools, name, "<parameter=", "</parameter>", "</function>"))


def invoke_tag(prefix: str) -> Reader:
    """Behind `<invoke name=`, where `prefix` stands before every tag's name."""

    def read(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
        name = yield from cursor.until(">", at_most=LONGEST_NAME)
        if name is None or not _is_name(name := name.strip("\"' ")):
            return None
        marks = (f"<{prefix}parameter name=", f"</{prefix}parameter>", f"</{prefix}invoke>")
        return (yield from _parameters(cursor, tools, name, *marks))

    return read


def invoke_tags(prefix: str) -> Reader:
    """Behind `<function_calls>`."""

    def read(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
        calls: list[Call] = []
        while True:
            yield from cursor.space()
            if not (yield from cursor.take(f"<{prefix}invoke name=")):
                break
            found = yield from invoke_tag(prefix)(cursor, tools)
            if not isinstance(found, list):
                return found
            calls += found
        if calls:
            yield from past_end(cursor, (f"</{prefix}function_calls>",))
        return calls or None

    return read


def _is_name(name: str) -> bool:
    return bool(name) and not any(character in _NOT_A_NAME for character in name)


def _parameters(
    cursor: Cursor, tools: DeclaredTools, name: str, opening: str, closing: str, end: str
) -> Reading[Outcome]:
    start = cursor.at
    arguments: dict[str, Any] = {}
    while True:
        yield from cursor.space()
        mark = yield from cursor.take(opening, end)
        if mark == end:
            return as_outcome(tools.call(name, arguments))
        key = (yield from cursor.until(">", at_most=LONGEST_NAME)) if mark else None
        value = None if key is None else (yield from _parameter(cursor, opening, closing, end))
        if key is None or value is None:
            break
        key = key.partition(" string=")[0].strip("\"' ")
        schema = tools.property_schema(name, key) if name in tools else None
        arguments[key] = argument_value(schema, value)
    # Something else than parameters stands between the marks, or it stops in the middle.
    cursor.at = start
    body = yield from cursor.until(end)
    if body is None:
        body, cursor.at = cursor.text[start:], len(cursor.text)
    return as_outcome(tools.unreadable(name, body) if name in tools else tools.unknown(name))


def _parameter(cursor: Cursor, opening: str, closing: str, end: str) -> Reading[str | None]:
    """A value up to a closing tag that is followed by another parameter or the end: it may hold any text."""
    start = cursor.at
    while (yield from cursor.until(closing)) is not None:
        value = cursor.text[start : cursor.at - len(closing)]
        behind = cursor.at
        yield from cursor.space()
        if (yield from cursor.take(opening, end)):
            cursor.at = behind
            return _without_frame(value)
        cursor.at = behind
    return None


def _without_frame(value: str) -> str:
    """Without the line breaks behind the opening tag and before the closing one."""
    return value.removeprefix("\n").removesuffix("\n")


def glm(cursor: Cursor, tools: DeclaredTools, ends: tuple[str, ...]) -> Reading[Outcome]:
    name = yield from cursor.until("<arg_key>", *ends, at_most=LONGEST_NAME)
    if name is None or (name := name.strip()) not in tools:
        return None
    arguments: dict[str, Any] = {}
    if not cursor.text.endswith("<arg_key>", 0, cursor.at):
        return [Call(name, "{}")]
    start = cursor.at
    while True:
        key = yield from cursor.until("</arg_key>")
        yield from cursor.space()
        opened = yield from cursor.take("<arg_value>")
        value = (yield from cursor.until("</arg_value>")) if opened else None
        if key is None or value is None:
            cursor.at = start
            body = yield from cursor.until(*ends)
            if body is None:
                body, cursor.at = cursor.text[start:], len(cursor.text)
            return as_outcome(tools.unreadable(name, body))
        key = key.strip()
        arguments[key] = argument_value(tools.property_schema(name, key), value)
        yield from cursor.space()
        if not (yield from cursor.take("<arg_key>")):
            yield from past_end(cursor, ends)
            return [Call(name, dump(arguments))]
