"""Typed reading of a client's JSON: a value of the wrong type is an InvalidRequest with its path.

JSON null counts as absent everywhere, as it does for OpenAI's optional fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from adapters.errors import InvalidRequest


def kind_of(value: object) -> str:
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


def wrong(value: object, expected: str, where: str) -> NoReturn:
    raise InvalidRequest(f"expected {expected}, not {kind_of(value)}", where=where or None)


def member(key: str, where: str) -> str:
    return f"{where}.{key}" if where else key


def string(source: Mapping[str, Any], key: str, where: str = "") -> str | None:
    value = source.get(key)
    if value is not None and not isinstance(value, str):
        wrong(value, "a string", member(key, where))
    return value


def required_string(source: Mapping[str, Any], key: str, where: str = "") -> str:
    value = source.get(key)
    if not isinstance(value, str):
        wrong(value, "a string", member(key, where))
    return value


def integer(source: Mapping[str, Any], key: str, where: str = "") -> int | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        wrong(value, "an integer", member(key, where))
    return value


def number(source: Mapping[str, Any], key: str, where: str = "") -> float | None:
    value = source.get(key)
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        wrong(value, "a number", member(key, where))
    return value


def boolean(source: Mapping[str, Any], key: str, where: str = "") -> bool | None:
    value = source.get(key)
    if value is not None and not isinstance(value, bool):
        wrong(value, "true or false", member(key, where))
    return value


def mapping(source: Mapping[str, Any], key: str, where: str = "") -> dict[str, Any] | None:
    value = source.get(key)
    return None if value is None else as_mapping(value, member(key, where))


def required_mapping(source: Mapping[str, Any], key: str, where: str = "") -> dict[str, Any]:
    return as_mapping(source.get(key), member(key, where))


def as_mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        wrong(value, "an object", where)
    return value


def as_list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        wrong(value, "an array", where)
    return value


def as_string(value: object, where: str) -> str:
    if not isinstance(value, str):
        wrong(value, "a string", where)
    return value


def items(source: Mapping[str, Any], key: str, where: str = "") -> list[Any]:
    """The list under `key`; [] where it is absent."""
    value = source.get(key)
    return [] if value is None else as_list(value, member(key, where))


def rest(source: Mapping[str, Any], known: frozenset[str], prefix: str = "") -> dict[str, Any]:
    """What `source` has besides `known`, for the extension bag; null says nothing and is left away."""
    if source.keys() <= known:
        return {}
    return {prefix + key: value for key, value in source.items() if key not in known and value is not None}
