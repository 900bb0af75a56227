"""Finds the codecs: the built-in ones, and those that installed distributions offer.

A distribution adds a protocol by an entry point of the group `ccproxy_hub.codecs` whose value is a
`Codec` object.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from adapters.codec import Codec

BUILT_IN = {
    "openai": "adapters.openai_chat",
    "openai-responses": "adapters.openai_responses",
    "anthropic": "adapters.anthropic",
    "gemini": "adapters.gemini",
    "ollama": "adapters.ollama",
}
"""Protocol name -> the package that has its `CODEC`."""

ENTRY_POINTS = "ccproxy_hub.codecs"


class UnknownProtocol(LookupError):
    """No codec of that name is built in or installed."""


def names() -> tuple[str, ...]:
    """Every protocol that can be asked for, the built-in ones first."""
    offered = (point.name for point in entry_points(group=ENTRY_POINTS))
    return tuple(dict.fromkeys((*BUILT_IN, *offered)))


@cache
def codec(name: str) -> Codec:
    """The codec of one protocol. Raises UnknownProtocol."""
    if name in BUILT_IN:
        found: Codec = import_module(BUILT_IN[name]).CODEC
        return found
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == name:
            loaded: Codec = point.load()
            return loaded
    raise UnknownProtocol(f"no protocol `{name}`; known ones: {', '.join(names())}")


def codecs() -> tuple[Codec, ...]:
    """All of them."""
    return tuple(codec(name) for name in names())
