"""Typed reading of a client's JSON: a value of the wrong type is an InvalidRequest with its path.

JSON null counts as absent everywhere, as it does for OpenAI's optional fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from adapters.errors import InvalidRequest


def wrong(value: Any, expected: str, where: str) -> NoReturn:
    kind = "null" if value is None else type(value).__name__
    raise InvalidRequest(f"expected {expected}, got {kind}", where=where)


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


def mapping(source: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any] | None:
    value = source.get(key)
    if value is not None and not isinstance(value, Mapping):
        wrong(value, "an object", member(key, where))
    return value


def required_mapping(source: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    return as_mapping(source.get(key), member(key, where))


def as_mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        wrong(value, "an object", where)
    return value


def items(source: Mapping[str, Any], key: str, where: str = "") -> list[Any]:
    """The list under `key`; [] where it is absent."""
    value = source.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        wrong(value, "a list", member(key, where))
    return value


def rest(source: Mapping[str, Any], known: frozenset[str], prefix: str = "") -> dict[str, Any]:
    """What `source` has besides `known`, for the extension bag; null says nothing and is left away."""
    if source.keys() <= known:
        return {}
    return {prefix + key: value for key, value in source.items() if key not in known and value is not None}
