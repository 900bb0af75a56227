"""JSON text: one place for how it is written and read.

Written without spaces and in the order given: providers cache by the prefix's bytes, so the same
value must always give the same text, and sorting would change what the client wrote.

Numbers keep their digits. A number that a double cannot hold (an integer beyond 64 bits, `1e400`, `1e-400`,
`0.1000000000000000055`) is read as an int or an `ExactNumber`, and both are written as they were read: a
tool's arguments may be keys of a database or sums of money.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

_DIGITS_ALIKE = bytes.maketrans(b".123456789E", b"0000000000e")
_LONG_NUMBER = b"0" * 16
"""A double keeps 15 digits, whatever they are."""
_TINY_NUMBER = b"0e-000"
"""An exponent of three digits: below about 5e-324 a double is zero."""


class ExactNumber(float):
    """A number that is more than its double: `text` is how it was written."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> ExactNumber:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type[ExactNumber], tuple[str]]:
        return ExactNumber, (self.text,)


def dump_bytes(value: Any) -> bytes:
    """JSON as UTF-8. Integers beyond 64 bits and lone surrogates take a slower way."""
    try:
        return orjson.dumps(value, _exactly)
    except TypeError:
        return _dump_slowly(value)


def dump(value: Any) -> str:
    return dump_bytes(value).decode()


def _exactly(value: Any) -> Any:
    """What orjson asks for, since it writes no subclass of float."""
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _dump_slowly(value: Any) -> bytes:
    try:
        return orjson.dumps(_spliced(value), _exactly)
    except TypeError:  # a key with a lone surrogate
        return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def _spliced(value: Any) -> Any:
    """The same with what orjson refuses as text that it takes over."""
    match value:
        case dict():
            return {key: _spliced(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_spliced(inner) for inner in value]
        case int() if not isinstance(value, bool) and not -(2**63) <= value < 2**64:
            return orjson.Fragment(str(value))
        case str() if not _is_unicode(value):
            return orjson.Fragment(json.dumps(value))
        case _:
            return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def load(text: str | bytes) -> Any:
    """Raises ValueError for anything that is not JSON, too deep nesting included.

    What orjson does not keep goes through the standard library: numbers beyond a double, and lone
    surrogates, which JavaScript clients write when they cut a string inside an emoji.
    """
    try:
        value = orjson.loads(text)
    except ValueError:
        return load_exactly(text)
    return load_exactly(text) if may_lose_digits(value, text) else value


def load_exactly(text: str | bytes) -> Any:
    """The same by the standard library alone. Raises ValueError."""
    try:
        return json.loads(text, parse_float=_number, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _number(text: str) -> float:
    """A plain float where it says the same: `1.50` and `1E2` are no other numbers than `1.5` and `100.0`."""
    value = float(text)
    if len(text) < 16 and 1e-300 < abs(value) < 1e300:
        return value
    return value if repr(value) == text else ExactNumber(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def may_lose_digits(value: Any, text: str | bytes) -> bool:
    """Whether a float in `value`, which was read from `text`, may have been a longer number there.

    The values are looked at first: most requests of agents are long texts without a single float. Then it
    takes two passes over the bytes, from behind, for `rfind` is faster than `in`.
    """
    if not _has_float(value):
        return False
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    alike = data.translate(_DIGITS_ALIKE)
    return alike.rfind(_LONG_NUMBER) >= 0 or alike.rfind(_TINY_NUMBER) >= 0


def _has_float(value: Any) -> bool:
    """`value` is as a parser gives it."""
    if isinstance(value, float):
        return True
    pending = [value] if isinstance(value, dict | list) else []
    for container in pending:  # it grows meanwhile
        for item in container.values() if type(container) is dict else container:
            kind = type(item)
            if kind is dict or kind is list:
                pending.append(item)
            elif kind is float:
                return True
    return False


def load_object(text: str | bytes) -> dict[str, Any] | None:
    """The object that `text` holds; {} for blank text; None if it is no JSON object."""
    if not text or not text.strip():
        return {}
    try:
        value = load(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
