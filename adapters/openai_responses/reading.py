"""Reads JSON values and says where one is of a wrong type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.errors import InvalidRequest


def fail(where: str, expected: str, value: object) -> InvalidRequest:
    return InvalidRequest(f"expected {expected}, not {_kind(value)}", where=where)


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"


def obj(value: object, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise fail(where, "an object", value)


def array(value: object, where: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise fail(where, "an array", value)


def string(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    raise fail(where, "a string", value)


def text_of(source: Mapping[str, Any], key: str, where: str) -> str:
    """A required string."""
    return string(source.get(key), f"{where}.{key}" if where else key)


def optional_string(source: Mapping[str, Any], key: str, where: str = "") -> str | None:
    value = source.get(key)
    return None if value is None else string(value, f"{where}.{key}" if where else key)


def optional_object(source: Mapping[str, Any], key: str, where: str = "") -> dict[str, Any] | None:
    value = source.get(key)
    return None if value is None else obj(value, f"{where}.{key}" if where else key)


def optional_bool(source: Mapping[str, Any], key: str, where: str = "") -> bool | None:
    value = source.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise fail(f"{where}.{key}" if where else key, "a boolean", value)


def optional_int(source: Mapping[str, Any], key: str, where: str = "") -> int | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise fail(f"{where}.{key}" if where else key, "an integer", value)


def optional_number(source: Mapping[str, Any], key: str, where: str = "") -> float | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise fail(f"{where}.{key}" if where else key, "a number", value)
