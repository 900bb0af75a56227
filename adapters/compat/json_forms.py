"""Calls as JSON between marks: Hermes, Qwen, Mistral, Llama."""

from __future__ import annotations

from adapters.compat.calls import Call, DeclaredTools, Rejected
from adapters.compat.cursor import Cursor, Reading
from adapters.compat.reader import LONGEST_NAME, Outcome, Reader, past_end
from adapters.compat.tag_forms import function_tag, glm


def hermes(*ends: str) -> Reader:
    """`<tool_call>` of Hermes and Qwen, with JSON; of Qwen3-Coder, with `<function=…>`; of GLM."""

    def read(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
        match (yield from cursor.space()):
            case "{" | "[":
                return (yield from json_values(cursor, tools, *ends))
            case "<":
                if not (yield from cursor.take("<function=")):
                    return None
                outcome = yield from function_tag(cursor, tools)
                if outcome is not None:
                    yield from past_end(cursor, ends)
                return outcome
            case _:
                return (yield from glm(cursor, tools, ends))

    return read


def python_tag(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    outcome = yield from json_values(cursor, tools)
    if outcome is not None:
        yield from cursor.take("<|eom_id|>", "<|eot_id|>")
    return outcome


def mistral(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """`[TOOL_CALLS][{…}]`, or `[TOOL_CALLS]name[ARGS]{…}` and `[TOOL_CALLS]name{…}`, one after another."""
    if (yield from cursor.space()) in ("[", "{"):
        return (yield from json_values(cursor, tools))
    calls: list[Call] = []
    while True:
        name = yield from cursor.until("{", at_most=LONGEST_NAME)
        if name is None:
            return calls or None
        cursor.at -= 1
        name = name.replace("[ARGS]", "").partition("[CALL_ID]")[0].strip()
        if name not in tools:
            return calls or None
        value = yield from cursor.json()
        found = tools.call_with_text(name, value.text, closed=value.complete)
        if isinstance(found, Rejected):
            return found
        calls.append(found)
        before = cursor.at
        yield from cursor.space()
        if not (yield from cursor.take("[TOOL_CALLS]")):
            cursor.at = before
            return calls


def between(*ends: str) -> Reader:
    def read(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
        return (yield from json_values(cursor, tools, *ends))

    return read


def json_values(cursor: Cursor, tools: DeclaredTools, *ends: str) -> Reading[Outcome]:
    """JSON values up to one of `ends`, or, where a model forgets it, up to other text."""
    calls: list[Call] = []
    behind = cursor.at
    while (yield from cursor.space()) in ("{", "["):
        text, complete, ended = yield from _value(cursor, ends)
        found = tools.calls_in(text, closed=complete or ended)
        if isinstance(found, Rejected):
            return found
        calls += found
        behind = cursor.at
        if ended:
            return calls
        yield from cursor.space()
        if (yield from cursor.take(";", ",")):
            behind = cursor.at
    cursor.at = behind
    if not calls:
        return None
    yield from past_end(cursor, ends)
    return calls


def _value(cursor: Cursor, ends: tuple[str, ...]) -> Reading[tuple[str, bool, bool]]:
    """The text of one JSON value, whether its brackets are matched, and whether its end mark stood there.

    What is no JSON goes to its end mark, wherever the reading of it has come to.
    """
    start = cursor.at
    value = yield from cursor.json()
    if (yield from past_end(cursor, ends)) or value.complete or not ends:
        ended = cursor.at != start + len(value.text)
        return value.text, value.complete, ended
    cursor.at = start
    body = yield from cursor.until(*ends)
    if body is not None:
        return body, False, True
    cursor.at = len(cursor.text)
    return cursor.text[start:], False, False
