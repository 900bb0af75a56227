"""How this codec uses its extension bag.

A plain key is a JSON key that no canonical field has: it comes back as it was, and other protocols
report it lost. `_key` is the same for what others need not hear of (ids, statuses). `!key` is state
at the provider without which the request makes no sense. Two notes have a meaning of their own:
`_raw` is the whole JSON object, given back in the place of what it was read into; `_form` names
spellings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import NO_EXTENSIONS, Extensions

PROTOCOL = "openai-responses"

QUIET = frozenset({"id", "status", "created_by", "type", "annotations", "logprobs"})
"""Keys of items and parts without meaning for other protocols, where the value is empty or an id."""

_STRUCTURAL = frozenset({"_raw", "_form", "_item", "_origin", "_namespace", "_spelled", "_compact"})


def own(extensions: Extensions) -> Mapping[str, Any]:
    """This protocol's bag."""
    return extensions.get(PROTOCOL) or {}


def extensions(bag: Mapping[str, Any]) -> Extensions:
    return {PROTOCOL: bag} if bag else NO_EXTENSIONS


def rest(source: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The bag for the keys of `source` that are not in `known`."""
    return {
        (f"_{key}" if _is_quiet(key, value) else key): value
        for key, value in source.items()
        if key not in known
    }


def _is_quiet(key: str, value: Any) -> bool:
    return value is None or (key in QUIET and (key in ("id", "status") or not value))


def restore(out: dict[str, Any], bag: Mapping[str, Any]) -> dict[str, Any]:
    """Put the keys of a bag back into a JSON object."""
    for key, value in bag.items():
        if key in _STRUCTURAL:
            continue
        out[key[1:] if key[0] in "_!" else key] = value
    return out
