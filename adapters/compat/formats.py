# ruff: noqa: RUF001
# DeepSeek's marks have full-width bars.
"""How models write calls as text: one reader for each way, and the table of what they begin with.

A reader starts behind the opening mark. It returns the calls and leaves the cursor behind them; Rejected
for what was meant as a call and is none; None if the mark was only a mark, and what follows is text.

Sources: the chat templates that the models are published with (Hermes, Qwen, GLM, Mistral, Llama,
DeepSeek, Kimi).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from adapters.compat.calls import Call, DeclaredTools, Rejected, argument_value
from adapters.compat.cursor import Cursor, Reading
from adapters.jsontext import dump

Outcome = list[Call] | Rejected | None
Reader = Callable[[Cursor, DeclaredTools], Reading[Outcome]]

_LONGEST_NAME = 256
_PREFIX = "antml:"
"""Before the names of tags in one family of models."""
_NOT_A_NAME = "<>{}[]\n`"
FENCE = "```"
_CALL_KEYS = frozenset(
    ("name", "tool", "tool_name", "function", "type", "id", "tool_calls", "arguments", "parameters", "args")
)
"""What the first key of an object may be that is a call and not some other JSON."""


# ---------------------------------------------------------------- JSON between marks


def _values(cursor: Cursor, tools: DeclaredTools, *ends: str) -> Reading[Outcome]:
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
    yield from _end(cursor, ends)
    return calls


def _value(cursor: Cursor, ends: tuple[str, ...]) -> Reading[tuple[str, bool, bool]]:
    """The text of one JSON value, whether its brackets are matched, and whether its end mark stood there.

    What is no JSON goes to its end mark, wherever the reading of it has come to.
    """
    start = cursor.at
    value = yield from cursor.json()
    if (yield from _end(cursor, ends)) or value.complete or not ends:
        ended = cursor.at != start + len(value.text)
        return value.text, value.complete, ended
    cursor.at = start
    body = yield from cursor.until(*ends)
    if body is not None:
        return body, False, True
    cursor.at = len(cursor.text)
    return cursor.text[start:], False, False


def _end(cursor: Cursor, ends: tuple[str, ...]) -> Reading[str]:
    """Past one of `ends`, with a bracket too many before it; without moving if there is none."""
    if not ends:
        return ""
    start = cursor.at
    while (yield from cursor.space()) in ("}", "]"):
        cursor.at += 1
    end = yield from cursor.take(*ends)
    if not end:
        cursor.at = start
    return end


def _between(*ends: str) -> Reader:
    def read(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
        return (yield from _values(cursor, tools, *ends))

    return read


def _hermes(*ends: str) -> Reader:
    """`<tool_call>` of Hermes and Qwen, with JSON; of Qwen3-Coder, with `<function=…>`; of GLM."""

    def read(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
        match (yield from cursor.space()):
            case "{" | "[":
                return (yield from _values(cursor, tools, *ends))
            case "<":
                if not (yield from cursor.take("<function=")):
                    return None
                outcome = yield from _function(cursor, tools)
                if outcome is not None:
                    yield from _end(cursor, ends)
                return outcome
            case _:
                return (yield from _glm(cursor, tools, ends))

    return read


def _glm(cursor: Cursor, tools: DeclaredTools, ends: tuple[str, ...]) -> Reading[Outcome]:
    name = yield from cursor.until("<arg_key>", *ends, at_most=_LONGEST_NAME)
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
            return _outcome(tools.unreadable(name, body))
        key = key.strip()
        arguments[key] = argument_value(tools.property_schema(name, key), value)
        yield from cursor.space()
        if not (yield from cursor.take("<arg_key>")):
            yield from _end(cursor, ends)
            return [Call(name, dump(arguments))]


def _python_tag(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    outcome = yield from _values(cursor, tools)
    if outcome is not None:
        yield from cursor.take("<|eom_id|>", "<|eot_id|>")
    return outcome


def _mistral(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """`[TOOL_CALLS][{…}]`, or `[TOOL_CALLS]name[ARGS]{…}` and `[TOOL_CALLS]name{…}`, one after another."""
    if (yield from cursor.space()) in ("[", "{"):
        return (yield from _values(cursor, tools))
    calls: list[Call] = []
    while True:
        name = yield from cursor.until("{", at_most=_LONGEST_NAME)
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


# ---------------------------------------------------------------- tags with a name and parameters


def _function(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """Behind `<function=`."""
    name = yield from cursor.until(">", at_most=_LONGEST_NAME)
    if name is None or not _is_name(name := name.strip("\"' ")):
        return None
    return (yield from _parameters(cursor, tools, name, "<parameter=", "</parameter>", "</function>"))


def _invoke(prefix: str) -> Reader:
    """Behind `<invoke name=`, where `prefix` stands before every tag's name."""

    def read(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
        name = yield from cursor.until(">", at_most=_LONGEST_NAME)
        if name is None or not _is_name(name := name.strip("\"' ")):
            return None
        marks = (f"<{prefix}parameter name=", f"</{prefix}parameter>", f"</{prefix}invoke>")
        return (yield from _parameters(cursor, tools, name, *marks))

    return read


def _invokes(prefix: str) -> Reader:
    """Behind `<function_calls>`."""

    def read(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
        calls: list[Call] = []
        while True:
            yield from cursor.space()
            if not (yield from cursor.take(f"<{prefix}invoke name=")):
                break
            found = yield from _invoke(prefix)(cursor, tools)
            if not isinstance(found, list):
                return found
            calls += found
        if calls:
            yield from _end(cursor, (f"</{prefix}function_calls>",))
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
            return _outcome(tools.call(name, arguments))
        key = (yield from cursor.until(">", at_most=_LONGEST_NAME)) if mark else None
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
    return _outcome(tools.unreadable(name, body) if name in tools else tools.unknown(name))


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


def _outcome(found: Call | Rejected) -> Outcome:
    return [found] if isinstance(found, Call) else found


# ---------------------------------------------------------------- marks between name and arguments


def _deepseek(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """V3 and R1: `function<sep>name` and fenced JSON; V3.1: `name<sep>{…}`."""
    calls: list[Call] = []
    while True:
        yield from cursor.space()
        if not (yield from cursor.take("<｜tool▁call▁begin｜>")):
            break
        name = yield from cursor.until("<｜tool▁sep｜>", at_most=_LONGEST_NAME)
        if name == "function":
            name = yield from cursor.until("\n", at_most=_LONGEST_NAME)
            yield from cursor.take("```json\n", "```")
        found = yield from _marked(cursor, tools, name, "<｜tool▁call▁end｜>")
        if not isinstance(found, Call):
            return found
        calls.append(found)
    if calls and (yield from _end(cursor, ("<｜tool▁calls▁end｜>",))):
        yield from cursor.take("<｜end▁of▁sentence｜>")
    return calls or None


def _kimi(cursor: Cursor, tools: DeclaredTools) -> Reading[Outcome]:
    """`functions.name:0`, then the arguments."""
    calls: list[Call] = []
    while True:
        yield from cursor.space()
        if not (yield from cursor.take("<|tool_call_begin|>")):
            break
        name = yield from cursor.until("<|tool_call_argument_begin|>", at_most=_LONGEST_NAME)
        if name is not None:
            name, _, number = name.strip().removeprefix("functions.").rpartition(":")
            name = name if number.isdigit() and name else f"{name}:{number}".removeprefix(":")
        found = yield from _marked(cursor, tools, name, "<|tool_call_end|>")
        if not isinstance(found, Call):
            return found
        calls.append(found)
    if calls:
        yield from _end(cursor, ("<|tool_calls_section_end|>",))
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
            yield from _end(cursor, (end,))
            return tools.call_with_text(name, value.text, closed=True)
    cursor.at = start
    arguments = yield from cursor.until(end)
    if arguments is not None:
        return tools.call_with_text(name, arguments.strip().removesuffix(FENCE), closed=True)
    cursor.at = len(cursor.text)
    return tools.call_with_text(name, cursor.text[start:], closed=False)


# ---------------------------------------------------------------- JSON that only its names tell


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
            key = yield from cursor.until('"', at_most=_LONGEST_NAME)
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
    name = yield from cursor.until('"', at_most=_LONGEST_NAME)
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
    if (yield from cursor.until("\n", at_most=_LONGEST_NAME)) is None:
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
    "<tool_call>": _hermes("</tool_call>"),
    "<function_call>": _hermes("</function_call>"),
    "<function=": _function,
    "<invoke name=": _invoke(""),
    "<function_calls>": _invokes(""),
    f"<{_PREFIX}function_calls>": _invokes(_PREFIX),
    "<｜DSML｜function_calls>": _invokes("｜DSML｜"),
    "[TOOL_CALLS]": _mistral,
    "<|python_tag|>": _python_tag,
    "<｜tool▁calls▁begin｜>": _deepseek,
    "<|tool_calls_section_begin|>": _kimi,
    "<|tool_call|>": _between("<|/tool_call|>"),
    FENCE: _fence,
}
"""What a call begins with -> how it is read on."""

_IN_FENCES = tuple(mark for mark in READERS if mark != FENCE)


def rejected(found: Rejected, text: str) -> Rejected:
    """With the text that stays."""
    return replace(found, text=text)
