"""What one endpoint shows of all servers' tools, prompts and resources, and what a part of it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import orjson

from hub.discovery_tools.definitions import definitions as discovery_tools
from hub.downstream.listing import Definition, Kind
from hub.settings.mcp import RESERVED_TOOL_NAMES, DiscoverySettings

LIST_ALL = DiscoverySettings()
GROUP_META = "hub/group"
"""Key in the `_meta` of a tool of the hub's own: the one group of models that it is about."""


@dataclass(frozen=True, slots=True)
class Item:
    """A tool or prompt as one endpoint shows it."""

    public: str
    server: str
    original: str
    definition: Definition
    """As the server gave it, but for the name (and a pointer to a resource) on shared endpoints."""
    shared: str = field(default="", compare=False)
    """The public name on `/mcp`, whatever endpoint this is."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """A tool that an endpoint does not show, and the setting that is the reason."""

    item: Item
    reason: str


@dataclass(frozen=True, slots=True)
class UriTable:
    """Public URIs of one server on a shared endpoint: a prefix, different for each server.

    The prefix ends in `/` and the quoted server name before it has none, so no prefix begins
    another one. Every URI of a server can be written this way, also one in a result that no list
    names. `ui:` stays the scheme of `ui:` resources, because hosts of MCP Apps look at it.
    """

    server: str
    rules: tuple[tuple[str, str], ...]
    """`(prefix of the original, prefix of the public one)`; the first that matches counts."""

    @classmethod
    def shared(cls, server: str) -> UriTable:
        name = quote(server, safe="")
        return cls(server, (("ui://", f"ui://{name}/"), ("", f"hub://{name}/")))

    @classmethod
    def own(cls, server: str) -> UriTable:
        return cls(server, (("", ""),))

    def public(self, uri: str) -> str:
        return next(new + uri[len(old) :] for old, new in self.rules if uri.startswith(old))

    def original(self, uri: str) -> str | None:
        return next((old + uri[len(new) :] for old, new in self.rules if uri.startswith(new)), None)

    @property
    def verbatim(self) -> bool:
        return self.rules == (("", ""),)


@dataclass(frozen=True, slots=True)
class View:
    """What one endpoint shows: complete lists and the tables behind them."""

    tools: tuple[Item, ...] = ()
    """All that may be called."""
    prompts: tuple[Item, ...] = ()
    resources: tuple[Definition, ...] = ()
    templates: tuple[Definition, ...] = ()
    instructions: str | None = None
    tool_by_name: Mapping[str, Item] = field(default_factory=dict, compare=False)
    prompt_by_name: Mapping[str, Item] = field(default_factory=dict, compare=False)
    uris: Mapping[str, UriTable] = field(default_factory=dict, compare=False)
    """By server, also of servers that offer nothing just now."""
    groups: frozenset[str] | None = field(default=None, compare=False)
    """The groups of models that its tools may use; None: all."""
    listed: tuple[Definition, ...] = field(default=(), repr=False)
    """What `tools/list` answers: all of `tools`, or the tools to look for them and the pinned ones."""
    searched: bool = False
    """Whether clients look for tools."""
    discovery: DiscoverySettings = field(default=LIST_ALL, compare=False, repr=False)
    hidden: tuple[Hidden, ...] = field(default=(), compare=False, repr=False)
    encoded: dict[str, tuple[int, bytes]] = field(init=False, default_factory=dict, compare=False, repr=False)
    """Of its lists, the number of definitions and what is sent, once somebody has asked for them."""

    def changed_kinds(self, before: View) -> tuple[Kind, ...]:
        """The kinds whose lists a client would find different."""
        changes: tuple[tuple[Kind, bool], ...] = (
            ("tools", self.listed != before.listed),
            ("resources", (self.resources, self.templates) != (before.resources, before.templates)),
            ("prompts", self.prompts != before.prompts),
        )
        return tuple(kind for kind, changed in changes if changed)

    def find_uri(self, uri: str) -> tuple[str, str] | None:
        """`(server, original URI)` of a public one."""
        for table in self.uris.values():
            if (original := table.original(uri)) is not None:
                return table.server, original
        return None

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        item = self.tool_by_name.get(name)
        if item is not None:
            return item.definition.get("inputSchema")
        if name not in RESERVED_TOOL_NAMES:
            return None
        return next((tool["inputSchema"] for tool in self.listed if tool["name"] == name), None)


def narrow(
    view: View,
    servers: Collection[str] | None,
    tools: Sequence[str] | None,
    groups: frozenset[str] | None = None,
) -> View:
    """What of `view` one may see who is limited to `servers`, to the tools whose names on `/mcp` match
    one of `tools`, and to `groups` of models; None: to nothing. With `tools`, a server of which no tool is
    left is not seen at all.
    """
    both = view.groups if groups is None else groups if view.groups is None else groups & view.groups

    named = matcher(("*",) if tools is None else tuple(tools))

    def visible(item: Item) -> bool:
        return bool(named(item.shared)) and is_of(item, both)

    shown = {name for name in view.uris if servers is None or name in servers}
    if tools is not None:
        shown &= {item.server for item in view.tools if visible(item)}
    tables = {name: table for name, table in view.uris.items() if name in shown}
    kept = tuple(item for item in view.tools if item.server in tables and visible(item))
    names = {item.public for item in kept}
    hidden = (*view.hidden, *(Hidden(item, "the key") for item in view.tools if item.public not in names))
    instructions = view.instructions if len(tables) == len(view.uris) else None
    return arranged(replace(part_of(view, tables, kept, instructions, both), hidden=hidden), view.discovery)


def arranged(view: View, rule: DiscoverySettings) -> View:
    """`view` with what `tools/list` answers by `rule`."""
    everything = tuple(item.definition for item in view.tools)
    searched = rule.discovery == "search" or (
        rule.discovery == "auto" and _size(everything) > rule.discovery_threshold
    )
    if not searched:
        return replace(view, listed=everything, searched=False, discovery=rule)
    is_pinned = matcher(rule.pinned)
    pinned = (item.definition for item in view.tools if is_pinned(item.shared))
    listed = (*discovery_tools(Counter(item.server for item in view.tools)), *pinned)
    return replace(view, listed=listed, searched=True, discovery=rule)


def part_of(
    view: View,
    tables: Mapping[str, UriTable],
    tools: tuple[Item, ...],
    instructions: str | None,
    groups: frozenset[str] | None,
) -> View:
    """`view` with the servers of `tables` alone, and with these `tools`."""

    def owned(definition: Definition, key: str) -> bool:
        return any(table.original(str(definition.get(key))) is not None for table in tables.values())

    return make_view(
        tools,
        tuple(item for item in view.prompts if item.server in tables),
        tuple(d for d in view.resources if owned(d, "uri")),
        tuple(d for d in view.templates if owned(d, "uriTemplate")),
        tables,
        instructions,
        groups,
    )


def make_view(
    tools: tuple[Item, ...],
    prompts: tuple[Item, ...],
    resources: tuple[Definition, ...],
    templates: tuple[Definition, ...],
    uris: Mapping[str, UriTable],
    instructions: str | None,
    groups: frozenset[str] | None = None,
) -> View:
    return View(
        tools,
        prompts,
        resources,
        templates,
        instructions,
        MappingProxyType({item.public: item for item in tools}),
        MappingProxyType({item.public: item for item in prompts}),
        MappingProxyType(dict(uris)),
        groups,
        tuple(item.definition for item in tools),
    )


def is_of(item: Item, groups: frozenset[str] | None) -> bool:
    """Whether a tool is about one of `groups`, or about no group."""
    group = None if groups is None else (item.definition.get("_meta") or {}).get(GROUP_META)
    return group is None or groups is None or group in groups


@lru_cache(maxsize=256)
def matcher(globs: tuple[str, ...]) -> Callable[[str], object]:
    """Whether a name matches one of `globs`."""
    if "*" in globs:
        return lambda _: True
    if not globs:
        return lambda _: False
    return re.compile("|".join(map(translate, globs))).match


def _size(definitions: Sequence[Definition]) -> int:
    """Bytes as JSON."""
    total = 0
    for definition in definitions:
        try:
            total += len(orjson.dumps(definition))
        except TypeError:  # integers beyond 64 bits
            total += len(json.dumps(definition))
    return total
