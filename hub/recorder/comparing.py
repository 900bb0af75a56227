"""What differs between two answers of one protocol, whole or streamed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from adapters.assemble import Assembler
from adapters.canonical import ChatResponse, Part, Refusal, Text, Thinking, ToolCall
from adapters.codec import Codec
from adapters.errors import AdapterError
from routing.reading import is_stream


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, as far as two can be compared. Times are in seconds."""

    status: int
    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    """Name and arguments of each tool call."""
    stop: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    model: str = ""
    target: str = ""
    first_byte: float | None = None
    duration: float | None = None
    error: str = ""


def told(
    codec: Codec,
    status: int,
    content_type: str,
    body: bytes,
    *,
    target: str = "",
    first_byte: float | None = None,
    duration: float | None = None,
) -> Told:
    """Read an answer in the client's protocol. What cannot be read is told as an error."""
    more: dict[str, Any] = {"target": target, "first_byte": first_byte, "duration": duration}
    if not 200 <= status < 300:
        return Told(
            status, error=codec.decode_error(status, {"content-type": content_type}, body).message, **more
        )
    try:
        response = _response(codec, content_type, body)
    except (AdapterError, ValueError, KeyError) as error:
        return Told(status, error=f"it cannot be read: {error}", **more)
    if isinstance(response, str):
        return Told(status, error=response, **more)
    choice = response.choices[0] if response.choices else None
    parts: Sequence[Part] = choice.parts if choice is not None else ()
    usage = response.usage
    return Told(
        status,
        text="".join(part.text for part in parts if isinstance(part, (Text, Refusal))),
        thinking="".join(part.text for part in parts if isinstance(part, Thinking)),
        calls=tuple((part.name, _arguments(part)) for part in parts if isinstance(part, ToolCall)),
        stop=choice.finish.unified if choice is not None else "",
        tokens_in=usage.input_tokens if usage else None,
        tokens_out=usage.output_tokens if usage else None,
        model=response.model,
        **more,
    )


def _response(codec: Codec, content_type: str, body: bytes) -> ChatResponse | str:
    """A text: what went wrong in the stream."""
    if not is_stream(content_type, codec):
        document = orjson.loads(body)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        return codec.decode_response(document)
    decoder, assembler = codec.stream_decoder(), Assembler()
    assembler.feed(decoder.feed(body))
    assembler.feed(decoder.close())
    if assembler.response is not None:
        return assembler.response
    return assembler.error.message if assembler.error is not None else "the stream ended before its end"


def _arguments(call: ToolCall) -> Any:
    try:
        return json.loads(call.arguments or "{}")
    except ValueError:
        return call.arguments


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that both answers say. `same`: they agree, or it is no matter for agreeing, as times are."""

    what: str
    before: Any
    after: Any
    same: bool


def differences(before: Told, after: Told) -> list[Difference]:
    """Of everything but the texts, in the order in which it is shown."""
    rows: list[tuple[str, Any, Any]] = [
        ("status", before.status, after.status),
        ("error", before.error, after.error),
        ("stop", before.stop, after.stop),
        ("tool calls", _calls(before), _calls(after)),
        ("text length", len(before.text), len(after.text)),
        ("thinking length", len(before.thinking), len(after.thinking)),
        ("tokens in", before.tokens_in, after.tokens_in),
        ("tokens out", before.tokens_out, after.tokens_out),
    ]
    found = [Difference(what, first, second, first == second) for what, first, second in rows]
    unjudged = [
        ("target", before.target, after.target),
        ("model", before.model, after.model),
        ("first byte", before.first_byte, after.first_byte),
        ("duration", before.duration, after.duration),
    ]
    return found + [Difference(what, first, second, True) for what, first, second in unjudged]


def agree(before: Told, after: Told) -> bool:
    """Whether both say the same: status, stop, calls with their arguments, text."""
    return (before.status, before.stop, before.calls, before.text, before.error) == (
        after.status,
        after.stop,
        after.calls,
        after.text,
        after.error,
    )


def text_diff(before: Told, after: Told, *, before_name: str, after_name: str) -> list[str]:
    """Of text and tool calls, as a unified diff by lines; empty where they are the same."""
    return list(
        difflib.unified_diff(_lines(before), _lines(after), before_name, after_name, n=2, lineterm="")
    )


def _lines(told_: Told) -> list[str]:
    calls = [
        f"-> {name} {json.dumps(arguments, ensure_ascii=False, sort_keys=True)}"
        for name, arguments in told_.calls
    ]
    return [*told_.text.splitlines(), *calls]


def _calls(told_: Told) -> str:
    return ", ".join(name for name, _ in told_.calls)
