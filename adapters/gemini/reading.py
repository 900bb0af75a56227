"""Reading Gemini's JSON: proto3 JSON, so keys come in camelCase or snake_case, and null is absence.

https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from adapters.errors import InvalidRequest
from adapters.reading import as_list, as_string, member, wrong

Fields = dict[str, Any]


@lru_cache(maxsize=1024)
def camel(key: str) -> str:
    """`inline_data` as `inlineData`; a leading underscore stays."""
    head, *rest = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head else key


def fields(value: Any, where: str) -> Fields:
    """An object's members under their camelCase names, without the null ones."""
    if not isinstance(value, dict):
        wrong(value, "an object", where)
    return {
        (camel(key) if "_" in key else key): member for key, member in value.items() if member is not None
    }


def items(value: Any, where: str) -> list[Any]:
    """An array's elements. A lone object is taken as an array of one, as Google's own servers do."""
    return [value] if isinstance(value, dict) else as_list(value, where)


def take_text(members: Fields, key: str, where: str) -> str | None:
    """Take a string out of `members`; None if it is absent."""
    value = members.pop(key, None)
    return None if value is None else as_string(value, member(key, where))


def take_number(members: Fields, key: str, where: str) -> float | None:
    """Take a number; proto3 JSON may write it as a string."""
    value = members.pop(key, None)
    if isinstance(value, str) and len(value) < 40:
        try:
            return float(value)
        except ValueError:
            pass
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        wrong(value, "a number", member(key, where))
    return value


def take_integer(members: Fields, key: str, where: str) -> int | None:
    """Take a whole number; `40.0` and `"40"` are 40."""
    value = take_number(members, key, where)
    if value is None:
        return None
    if isinstance(value, int):
        return value
    if value.is_integer():
        return int(value)
    raise InvalidRequest("expected a whole number", where=member(key, where))


def take_flag(members: Fields, key: str, where: str) -> bool | None:
    value = members.pop(key, None)
    if value is not None and not isinstance(value, bool):
        wrong(value, "true or false", member(key, where))
    return value


def take_texts(members: Fields, key: str, where: str) -> tuple[str, ...]:
    value = members.pop(key, None)
    if value is None:
        return ()
    place = member(key, where)
    return tuple(as_string(item, f"{place}[{index}]") for index, item in enumerate(as_list(value, place)))
