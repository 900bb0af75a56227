"""Reading Gemini's JSON: proto3 JSON, so keys come in camelCase or snake_case, and null is absence.

https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from adapters.errors import InvalidRequest

Fields = dict[str, Any]


@lru_cache(maxsize=1024)
def camel(key: str) -> str:
    """`inline_data` as `inlineData`; a leading underscore stays."""
    head, *rest = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head else key


def kind_of(value: Any) -> str:
    """The JSON type of a value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def fields(value: Any, where: str) -> Fields:
    """An object's members under their camelCase names, without the null ones."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"must be an object, not {kind_of(value)}", where=where or None)
    return {
        (camel(key) if "_" in key else key): member for key, member in value.items() if member is not None
    }


def items(value: Any, where: str) -> list[Any]:
    """An array's elements. A lone object is taken as an array of one, as Google's own servers do."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value]
    raise InvalidRequest(f"must be an array, not {kind_of(value)}", where=where)


def text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    raise InvalidRequest(f"must be a string, not {kind_of(value)}", where=where)


def take_text(members: Fields, key: str, where: str) -> str | None:
    """Take a string out of `members`; None if it is absent."""
    value = members.pop(key, None)
    return None if value is None else text(value, f"{where}.{key}" if where else key)


def take_number(members: Fields, key: str, where: str) -> float | None:
    """Take a number; proto3 JSON may write it as a string."""
    value = members.pop(key, None)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) < 40:
        try:
            return float(value)
        except ValueError:
            pass
    raise InvalidRequest(f"must be a number, not {kind_of(value)}", where=f"{where}.{key}")


def take_integer(members: Fields, key: str, where: str) -> int | None:
    """Take a whole number; `40.0` and `"40"` are 40."""
    value = take_number(members, key, where)
    if value is None:
        return None
    if isinstance(value, int):
        return value
    if value.is_integer():
        return int(value)
    raise InvalidRequest("must be a whole number", where=f"{where}.{key}")


def take_flag(members: Fields, key: str, where: str) -> bool | None:
    value = members.pop(key, None)
    if value is None or isinstance(value, bool):
        return value
    raise InvalidRequest(f"must be true or false, not {kind_of(value)}", where=f"{where}.{key}")


def take_texts(members: Fields, key: str, where: str) -> tuple[str, ...]:
    value = members.pop(key, None)
    if value is None:
        return ()
    place = f"{where}.{key}"
    if not isinstance(value, list):
        raise InvalidRequest(f"must be an array of strings, not {kind_of(value)}", where=place)
    return tuple(text(item, f"{place}[{index}]") for index, item in enumerate(value))
