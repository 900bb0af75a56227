# ruff: noqa: RUF001
# DeepSeek's marks have full-width bars.
"""Calls with marks between the name and the arguments: DeepSeek, Kimi."""

from __future__ import annotations

from adapters.compat.calls import Call, DeclaredTools, Rejected
from adapters.compat.cursor import Cursor, Reading
from adapters.compat.reader import FENCE, LONGEST_NAME, Outcome, past_end


def deepseek(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """V3 and R1: `function<sep>name` and fenced JSON; V3.1: `name<sep>{…}`."""
    calls: list[Call] = []
    while True:
        yield from cursor.space()
        if not (yield from cursor.take("<｜tool▁call▁begin｜>")):
            break
        name = yield from cursor.until("<｜tool▁sep｜>", at_most=LONGEST_NAME)
        if name == "function":
            name = yield from cursor.until("\n", at_most=LONGEST_NAME)
            yield from cursor.take("```json\n", "```")
        found = yield from _marked(cursor, tools, name, "<｜tool▁call▁end｜>")
        if not isinstance(found, Call):
            return found
        calls.append(found)
    if calls and (yield from past_end(cursor, ("<｜tool▁calls▁end｜>",))):
        yield from cursor.take("<｜end▁of▁sentence｜>")
    return calls or None


def kimi(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """`functions.name:0`, then the arguments."""
    calls: list[Call] = []
    while True:
        yield from cursor.space()
        if not (yield from cursor.take("<|tool_call_begin|>")):
            break
        name = yield from cursor.until("<|tool_call_argument_begin|>", at_most=LONGEST_NAME)
        if name is not None:
            name, _, number = name.strip().removeprefix("functions.").rpartition(":")
            name = name if number.isdigit() and name else f"{name}:{number}".removeprefix(":")
        found = yield from _marked(cursor, tools, name, "<|tool_call_end|>")
        if not isinstance(found, Call):
            return found
        calls.append(found)
    if calls:
        yield from past_end(cursor, ("<|tool_calls_section_end|>",))
    return calls or None


def _marked(
    cursor: Cursor, tools: DeclaredTools, name: str | None, end: str
) -> Reading[Call | Rejected | None]:
    """The arguments up to `end`, which may also stand in one of their strings."""
    if name is None or (name := name.strip()) not in tools:
        return None if name is None else tools.unknown(name)
    start = cursor.at
    if (yield from cursor.space()) == "{":
        value = yield from cursor.json()
        if value.complete:
            yield from cursor.space()
            yield from cursor.take(FENCE)
            yield from past_end(cursor, (end,))
            return tools.call_with_text(name, value.text, closed=True)
    cursor.at = start
    arguments = yield from cursor.until(end)
    if arguments is not None:
        return tools.call_with_text(name, arguments.strip().removesuffix(FENCE), closed=True)
    cursor.at = len(cursor.text)
    return tools.call_with_text(name, cursor.text[start:], closed=False)
