"""Finds the codecs: the built-in ones, and those that installed distributions offer.

A distribution adds a protocol by an entry point of the group `ccproxy_hub.codecs` whose name is the
protocol's and whose value is a `Codec` object. See docs/custom-protocols.md.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from adapters.codec import Codec

log = logging.getLogger("adapters.registry")

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


class BrokenProtocol(LookupError):
    """What a distribution offers as a codec cannot be used. The text says why and whose it is."""


@cache
def _offered() -> dict[str, EntryPoint]:
    """What distributions add; a built-in protocol cannot be replaced."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in BUILT_IN}


def names() -> tuple[str, ...]:
    """Every protocol that can be asked for, the built-in ones first."""
    return (*BUILT_IN, *_offered())


@cache
def codec(name: str) -> Codec:
    """The codec of one protocol. Raises UnknownProtocol, BrokenProtocol."""
    if name in BUILT_IN:
        found: Codec = import_module(BUILT_IN[name]).CODEC
        return found
    if point := _offered().get(name):
        return _loaded(point)
    raise UnknownProtocol(f"no protocol `{name}`; known ones: {', '.join(names())}")


def _loaded(point: EntryPoint) -> Codec:
    owner = f"`{point.value}` of {point.dist.name}" if point.dist is not None else f"`{point.value}`"
    try:
        loaded = point.load()
    except Exception as error:  # whatever a stranger's module raises
        raise BrokenProtocol(f"{owner} cannot be loaded: {type(error).__name__}: {error}") from error
    wanted = {name for name in (*Codec.__annotations__, *vars(Codec)) if not name.startswith("_")}
    if missing := sorted(name for name in wanted if not hasattr(loaded, name)):
        raise BrokenProtocol(f"{owner} is no codec: it has no {', '.join(missing)}")
    if loaded.name != point.name:
        raise BrokenProtocol(f"{owner} calls itself `{loaded.name}`, and its entry point `{point.name}`")
    checked: Codec = loaded
    return checked


@cache
def codecs() -> tuple[Codec, ...]:
    """All that can be used. A broken one is logged and left out: the others shall serve."""
    found: list[Codec] = []
    for name in names():
        try:
            found.append(codec(name))
        except BrokenProtocol as broken:
            log.warning("the protocol `%s` is left out: %s", name, broken)
    return tuple(found)
