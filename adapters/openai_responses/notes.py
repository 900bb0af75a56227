"""How this codec uses its extension bag.

A plain key is a JSON key that no canonical field has: it comes back as it was, and other protocols
report it lost. `_key` is the same for what others need not hear of (ids, statuses). `!key` is state
at the provider without which the request makes no sense. `_:key` is a note of this codec's own and
never becomes JSON: `_:raw` is the whole JSON object, given back in the place of what it was read into;
`_:form` names spellings. A key of the client that begins like one of these gets `=` before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import NO_EXTENSIONS, Extensions

PROTOCOL = "openai-responses"

QUIET = frozenset({"id", "status", "created_by", "type", "annotations", "logprobs"})
"""Keys of items and parts without meaning for other protocols, where the value is empty or an id."""

_MARKS = ("_", "!", "=", ":")


_NONE: Mapping[str, Any] = {}


def own(extensions: Extensions) -> Mapping[str, Any]:
    """This protocol's bag."""
    return _NONE if extensions is NO_EXTENSIONS else extensions.get(PROTOCOL) or _NONE


def extensions(bag: Mapping[str, Any]) -> Extensions:
    return {PROTOCOL: bag} if bag else NO_EXTENSIONS


def rest(source: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The bag for the keys of `source` that are not in `known`."""
    return {_name(key, value): value for key, value in source.items() if key not in known}


def escaped(key: str) -> str:
    """A client's key, so that it cannot be taken for a note."""
    return f"={key}" if key.startswith(_MARKS) else key


def quiet(source: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The same for keys that nobody else needs to hear of."""
    return {f"_{escaped(key)}": value for key, value in source.items() if key not in known}


def _name(key: str, value: Any) -> str:
    is_quiet = value is None or (key in QUIET and (key in ("id", "status") or not value))
    return f"_{escaped(key)}" if is_quiet else escaped(key)


def restore(out: dict[str, Any], bag: Mapping[str, Any]) -> dict[str, Any]:
    """Put the keys of a bag back into a JSON object."""
    for key, value in bag.items():
        if key.startswith("_:"):
            continue
        name = key[1:] if key.startswith(("_", "!")) else key
        out[name.removeprefix("=")] = value
    return out
