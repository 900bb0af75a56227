"""What a downstream server offers, as it said it: definitions stay raw dictionaries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND

Kind = Literal["tools", "resources", "prompts"]
Definition = dict[str, Any]
Request = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""`(method, params) -> raw result`."""

KINDS: tuple[Kind, ...] = ("tools", "resources", "prompts")

_LISTS: dict[Kind, tuple[tuple[str, str, str], ...]] = {
    # kind: (field of Listing, method, key of the result)
    "tools": (("tools", "tools/list", "tools"),),
    "resources": (
        ("resources", "resources/list", "resources"),
        ("templates", "resources/templates/list", "resourceTemplates"),
    ),
    "prompts": (("prompts", "prompts/list", "prompts"),),
}
_MOST_PAGES = 1000
"""A server that pages for ever must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All definitions of one server, complete (every page), in its own names and URIs."""

    tools: tuple[Definition, ...] = ()
    resources: tuple[Definition, ...] = ()
    templates: tuple[Definition, ...] = ()
    prompts: tuple[Definition, ...] = ()
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    instructions: str | None = None

    def offers(self, kind: Kind) -> bool:
        return self.capabilities.get(kind) is not None

    def announces(self, kind: Kind) -> bool:
        """Whether the server says when this list changes."""
        return bool((self.capabilities.get(kind) or {}).get("listChanged"))


async def fetch(request: Request, kind: Kind) -> dict[str, tuple[Definition, ...]]:
    """The fields of `Listing` for one kind, every page. Raises `MCPError`, `ValueError`."""
    found: dict[str, tuple[Definition, ...]] = {}
    for name, method, key in _LISTS[kind]:
        try:
            found[name] = await _fetch_pages(request, method, key)
        except MCPError as error:
            # Many servers with resources have no templates and say so this way.
            if error.code != METHOD_NOT_FOUND:
                raise
            found[name] = ()
    return found


async def _fetch_pages(request: Request, method: str, key: str) -> tuple[Definition, ...]:
    items: list[Definition] = []
    params: dict[str, Any] = {}
    cursors: set[str] = set()
    for _ in range(_MOST_PAGES):
        result = await request(method, params)
        page = result.get(key)
        if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
            raise ValueError(f"the answer to {method} has no list of objects under {key!r}")
        items.extend(page)
        cursor = result.get("nextCursor")
        if cursor is None:
            return tuple(items)
        if not isinstance(cursor, str) or cursor in cursors:
            raise ValueError(f"{method} gave the same cursor twice; its pages never end")
        cursors.add(cursor)
        params = {"cursor": cursor}
    raise ValueError(f"{method} has more than {_MOST_PAGES} pages")
