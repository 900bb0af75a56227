"""Web searches: who runs them, and how the hub runs one for a target that does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from adapters.search_results import Found
from routing.plan import Way


class Lookup(NamedTuple):
    """What a search has brought: `text` for the model."""

    text: str
    found: tuple[Found, ...] = ()
    error: bool = False


RunSearch = Callable[[str, str], Awaitable[Lookup]]
"""`(tool, query)`: runs a tool of the hub's. Does not raise."""

_SEARCH_THEMSELVES = {
    "anthropic": (".anthropic.com",),
    "openai": (".openai.com", ".openai.azure.com"),
    "openai-responses": (".openai.com", ".openai.azure.com", ".x.ai"),
    "gemini": (".googleapis.com",),
}
"""Whose API runs the searches of its protocol. Others who speak it take such a tool for an error."""


def searches_itself(way: Way, protocol: str) -> bool:
    """Whether a target runs the search tool of `protocol` itself."""
    target = way.codec.name
    family = {"openai", "openai-responses"}
    if target != protocol and not {target, protocol} <= family:
        return False
    if target == "openai" and "search" not in way.target.model:  # only models made for it do
        return False
    host = f".{urlsplit(way.target.provider.base_url).hostname or ''}"
    return host.endswith(_SEARCH_THEMSELVES.get(target, ()))
