"""JSON text: one place for how it is written and read.

Written without spaces and in the order given: providers cache by the prefix's bytes, so the same
value must always give the same text, and sorting would change what the client wrote.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def dump_bytes(value: Any) -> bytes:
    """JSON as UTF-8. Integers beyond 64 bits and lone surrogates go through the standard library."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def dump(value: Any) -> str:
    return dump_bytes(value).decode()


def load(text: str | bytes) -> Any:
    """Raises ValueError for anything that is not JSON, too deep nesting included.

    Two things that orjson does not keep go through the standard library: integers beyond 64 bits,
    and lone surrogates, which JavaScript clients write when they cut a string inside an emoji.
    """
    try:
        value = orjson.loads(text)
    except ValueError:
        return _load_slowly(text)
    return _load_slowly(text) if _has_lost_digits(value) else value


def _load_slowly(text: str | bytes) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _has_lost_digits(value: Any) -> bool:
    """Whether a float in `value` may stand for a long integer; cheap for ordinary documents."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float):
            if abs(item) >= 2**63 and item.is_integer():
                return True
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
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
