"""A request's body, read once: its document, the model it names, and a way to change only that name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from adapters.errors import InvalidRequest
from adapters.jsontext import load_exactly, may_lose_digits

_BOM = b"\xef\xbb\xbf"
_KEY = b'"model"'
_STRING_VALUE = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*")', re.DOTALL)
_ESCAPED_LETTER = b"\\u006"
"""In every escape of a letter of "model": without it, no key can be spelled `m\\u006fdel`."""
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^"{}\[\]:, \t\r\n]+', re.DOTALL)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Peek:
    """What a body says before anybody decodes it."""

    document: dict[str, Any]
    model: str | None
    """The top-level `model`; None: not given."""
    stream: bool | None
    """The top-level `stream`; None: not given."""


def peek(body: bytes) -> Peek:
    """Parse a body. Raises InvalidRequest with line and column, or with what stands there instead."""
    document = parse(body)
    model, stream = document.get("model"), document.get("stream")
    if model is not None and not isinstance(model, str):
        raise InvalidRequest(f"must be a string, not {_kind(model)}", where="model")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest(f"must be true or false, not {_kind(stream)}", where="stream")
    return Peek(document, model, stream)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; of repeated keys the last one counts. Raises InvalidRequest."""
    if body.startswith(_BOM):
        body = body[3:]
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        document = _parse_leniently(body, error)
    if not isinstance(document, dict):
        raise InvalidRequest(f"the body must be a JSON object, not {_kind(document)}")
    return document


def exact(document: dict[str, Any], body: bytes) -> dict[str, Any]:
    """The document of `body` with all digits of its numbers: for a conversion, which writes them anew."""
    if not may_lose_digits(document, body):
        return document
    try:
        found = load_exactly(body.removeprefix(_BOM))
    except ValueError:
        return document
    return found if isinstance(found, dict) else document


def _parse_leniently(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """What orjson refuses and json does not: numbers beyond a double, and lone surrogates.

    JavaScript clients cut texts within a surrogate pair. The half cannot be sent on as UTF-8: it becomes
    U+FFFD.
    """
    if not body.strip():
        raise InvalidRequest("the body is empty; a JSON object was expected")
    if "surrogate" not in error.msg and "infinity" not in error.msg:
        raise InvalidRequest(_told(error.msg, body, error.pos)) from None
    try:
        return _mended(load_exactly(body.decode()))
    except json.JSONDecodeError as second:
        raise InvalidRequest(_told(second.msg, body, second.pos)) from None
    except ValueError as second:
        raise InvalidRequest(f"the body is not valid JSON: {second}") from None


def _told(message: str, body: bytes, position: int) -> str:
    before = body[:position]
    line, column = before.count(b"\n") + 1, position - (before.rfind(b"\n") + 1) + 1
    return f"the body is not valid JSON: {message} (line {line}, column {column})"


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def replace_model(body: bytes, peeked: Peek, name: str) -> bytes:
    """`body` with its top-level `model` set to `name`; every other byte stays.

    Repeated `model` keys are all set, so that no reader can find another; a missing one is put first.
    """
    value = orjson.dumps(name)
    keys = _keys(body)
    strings = [found for end in keys if (found := _STRING_VALUE.match(body, end))]
    if len(strings) == 1 and not _may_hide_a_key(body) and orjson.loads(strings[0][1]) == peeked.model:
        start, end = strings[0].span(1)
        changed = body[:start] + value + body[end:]
        # A second "model" (a tool's schema has one) leaves it open which one this is: look.
        if len(keys) == 1 or parse(changed).get("model") == name:
            return changed
    return _splice(body, value)


def _may_hide_a_key(body: bytes) -> bool:
    """Looking for one byte is much faster than for several."""
    return b"\\" in body and body.rfind(_ESCAPED_LETTER) >= 0


def _keys(body: bytes) -> list[int]:
    """The ends of all `"model"`. From behind, for `rfind` is twice as fast as `find` and `re` are."""
    ends: list[int] = []
    at = body.rfind(_KEY)
    while at >= 0:
        ends.append(at + len(_KEY))
        at = body.rfind(_KEY, 0, at)
    return ends


def _splice(body: bytes, value: bytes) -> bytes:
    pieces: list[bytes] = []
    done = 0
    for start, end in _model_spans(body):
        pieces += (body[done:start], value)
        done = end
    if pieces:
        return b"".join((*pieces, body[done:]))
    brace = body.index(b"{") + 1
    comma = b"" if body[brace:].lstrip()[:1] == b"}" else b","
    return body[:brace] + b'"model":' + value + comma + body[brace:]


def _model_spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of top-level `model` keys begin and end. `body` is a valid JSON object."""
    depth, key, start, last = 0, "", -1, 0
    expects_key = False
    for token in _TOKEN.finditer(body):
        text = token[0]
        mark = text[:1]
        if depth == 1 and mark in b",}":
            if start >= 0 and key == "model":
                yield start, last
            start, expects_key = -1, True
        elif depth == 1 and expects_key:
            key, expects_key = orjson.loads(text) if b"\\" in text else text[1:-1].decode(), False
        elif depth == 1 and mark != b":" and start < 0:
            start = token.start()
        if mark in b"{[":
            depth += 1
            expects_key = depth == 1
        elif mark in b"}]":
            depth -= 1
        last = token.end()
