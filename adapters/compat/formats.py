# ruff: noqa: RUF001
# DeepSeek's marks have full-width bars.
"""The table of what calls begin with, and the forms that only their contents tell: fenced and bare JSON.

Sources: the chat templates that the models are published with (Hermes, Qwen, GLM, Mistral, Llama,
DeepSeek, Kimi).
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.compat.calls import Call, DeclaredTools
from adapters.compat.cursor import Cursor, Reading
from adapters.compat.json_forms import between, hermes, mistral, python_tag
from adapters.compat.mark_forms import deepseek, kimi
from adapters.compat.reader import FENCE, LONGEST_NAME, Outcome, Reader
from adapters.compat.tag_forms import function_tag, invoke_tag, invoke_tags

_PREFIX = "antml:"
"""Before the names of tags in one family of models."""
_CALL_KEYS = frozenset(
    ("name", "tool", "tool_name", "function", "type", "id", "tool_calls", "arguments", "parameters", "args")
)
"""What the first key of an object may be that is a call and not some other JSON."""


def looks_like_call(cursor: Cursor, tools: DeclaredTools) -> Reading[bool]:
    """Whether the JSON here may be a call, told by its first key, without moving.

    It keeps other JSON from being held back until its end.
    """
    start = cursor.at
    yield from cursor.space()
    if (yield from cursor.take("[")):
        yield from cursor.space()
    likely = False
    if (yield from cursor.take("{")):
        yield from cursor.space()
        if (yield from cursor.take('"')):
            key = yield from cursor.until('"', at_most=LONGEST_NAME)
            likely = key in _CALL_KEYS
            if key == "name":
                likely = yield from _named(cursor, tools)
    cursor.at = start
    return likely


def _named(cursor: Cursor, tools: DeclaredTools) -> Reading[bool]:
    yield from cursor.space()
    yield from cursor.take(":")
    yield from cursor.space()
    if not (yield from cursor.take('"')):
        return False
    name = yield from cursor.until('"', at_most=LONGEST_NAME)
    return name in tools


def bare(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """JSON with which an answer begins, as small models and Llama write calls."""
    if not (yield from looks_like_call(cursor, tools)):
        return None
    value = yield from cursor.json()
    found = tools.calls_in(value.text, closed=False, strict=True)
    return found if isinstance(found, list) else None


def _fence(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """A code block in which nothing but calls stands; with anything else in it, it is an example."""
    width = FENCE
    while (yield from cursor.take("`")):
        width += "`"
    if (yield from cursor.until("\n", at_most=LONGEST_NAME)) is None:
        return None
    calls: list[Call] = []
    while True:
        start = yield from cursor.space()
        if start == "" or (start == "`" and (yield from cursor.take(width))):
            return calls or None
        found = yield from (bare(cursor, tools) if start in "{[" else read_marked(cursor, tools))
        if not isinstance(found, list):
            return None
        calls += found


def read_marked(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """Whatever of the table begins here, without fences."""
    mark = yield from cursor.take(*_IN_FENCES)
    return (yield from READERS[mark](cursor, tools)) if mark else None


READERS: Mapping[str, Reader] = {
    "<tool_call>": hermes("</tool_call>"),
    "<function_call>": hermes("</function_call>"),
    "<function=": function_tag,
    "<invoke name=": invoke_tag(""),
    "<function_calls>": invoke_tags(""),
    f"<{_PREFIX}function_calls>": invoke_tags(_PREFIX),
    "<｜DSML｜function_calls>": invoke_tags("｜DSML｜"),
    "[TOOL_CALLS]": mistral,
    "<|python_tag|>": python_tag,
    "<｜tool▁calls▁begin｜>": deepseek,
    "<|tool_calls_section_begin|>": kimi,
    "<|tool_call|>": between("<|/tool_call|>"),
    FENCE: _fence,
}
"""What a call begins with -> how it is read on."""

_IN_FENCES = tuple(mark for mark in READERS if mark != FENCE)
