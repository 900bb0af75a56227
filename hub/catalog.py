"""The catalogue: which public name or URI means what on which server, per endpoint.

Built anew, as immutable views, whenever a server's listing or the settings change. Names and URIs
are looked up in tables; a name is never split, because `a` + `b_c` and `a_b` + `c` look alike.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import orjson

from hub.discovery_tools.definitions import definitions as discovery_tools
from hub.downstream.listing import Definition, Kind, Listing
from hub.settings.mcp import RESERVED_TOOL_NAMES, DiscoverySettings, ProfileSettings, ProfileTools

LONGEST_NAME = 64
"""Clients refuse longer names, or other characters than these (MCP clients: 60-64, `[a-zA-Z0-9_-]`)."""
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
_HASH_CHARACTERS = 8

LIST_ALL = DiscoverySettings()
GROUP_META = "hub/group"
"""Key in the `_meta` of a tool of the hub's own: the one group of models that it is about."""

_UI_POINTERS = (("ui", "resourceUri"), ("ui/resourceUri",))
"""Where a tool's `_meta` names a resource of its own server (MCP Apps, current and older form)."""


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


class Names:
    """Public names for what servers call their tools and prompts: `{server}_{name}`.

    A plain name that could be read as another configured server's, is too long, or has characters
    that clients refuse gets a hash of server and name instead of its end. This depends on the
    configured servers alone, not on which of them are up, so names are stable over restarts.
    The hub's own tools keep their names, and no other gets one of these.
    """

    def __init__(
        self, servers: Iterable[str], own: Mapping[str, Iterable[str]] = MappingProxyType({})
    ) -> None:
        """`own` has the tools of those servers that the hub plays itself."""
        self._own = {server: frozenset(tools) for server, tools in own.items()}
        self._taken = RESERVED_TOOL_NAMES.union(*self._own.values())
        self._prefixes = {server: _FORBIDDEN.sub("_", server) + "_" for server in servers}
        self._rivals = {
            server: tuple(
                other for name, other in self._prefixes.items() if name != server and other.startswith(prefix)
            )
            for server, prefix in self._prefixes.items()
        }
        """Of each server, the prefixes of others with which its own plain names may begin."""

    def prefix(self, server: str) -> str:
        """With what the plain names of a server begin."""
        return self._prefixes[server]

    def public(self, server: str, original: str) -> str:
        if original in self._own.get(server, ()):
            return original
        exact = f"{server}_{original}"
        plain = _FORBIDDEN.sub("_", exact)
        if plain == exact and len(plain) <= LONGEST_NAME and not self._ambiguous(server, plain):
            return plain
        return hashed(plain, server, original)

    def _ambiguous(self, server: str, plain: str) -> bool:
        return plain in self._taken or plain.startswith(self._rivals.get(server, ()))


def hashed(plain: str, server: str, original: str, longest: int = LONGEST_NAME) -> str:
    """A name for a tool that may not have the plain one; the same at every start."""
    digest = hashlib.sha256(f"{len(server)}:{server}{original}".encode()).hexdigest()
    return f"{plain[: longest - _HASH_CHARACTERS - 1]}_{digest[:_HASH_CHARACTERS]}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """All views: `everything` for `/mcp`, by name for the others. A profile hides a server of its name."""

    everything: View = View()
    by_name: Mapping[str, View] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        servers: Sequence[str],
        listings: Mapping[str, Listing],
        profiles: Mapping[str, ProfileSettings],
        own: Collection[str] = (),
        discovery: DiscoverySettings = LIST_ALL,
    ) -> Catalog:
        """`servers` are all configured ones, in the settings' order, with the hub's `own` among them;
        `listings` of those that are up. `discovery` is for `everything`."""
        listed = {name: listings[name].tools for name in own if name in listings}
        names = Names(
            servers, {name: [str(tool["name"]) for tool in tools] for name, tools in listed.items()}
        )
        everything = _shared_view(servers, listings, names)
        views = {name: _own_view(name, listings.get(name, Listing()), names) for name in servers}
        views |= {
            name: _profile_view(profile, servers, everything, own) for name, profile in profiles.items()
        }
        return cls(_arranged(everything, discovery), MappingProxyType(views))


def _own_view(server: str, listing: Listing, names: Names) -> View:
    def item(definition: Definition) -> Item:
        name = str(definition.get("name"))
        return Item(name, server, name, definition, names.public(server, name))

    def items(definitions: Sequence[Definition]) -> tuple[Item, ...]:
        return tuple(item(definition) for definition in _first_of_each(definitions))

    return _view(
        items(listing.tools),
        items(listing.prompts),
        listing.resources,
        listing.templates,
        {server: UriTable.own(server)},
        listing.instructions,
    )


def _shared_view(servers: Sequence[str], listings: Mapping[str, Listing], names: Names) -> View:
    uris = {server: UriTable.shared(server) for server in servers}
    tools: list[Item] = []
    prompts: list[Item] = []
    resources: list[Definition] = []
    templates: list[Definition] = []
    for server in servers:
        listing = listings.get(server, Listing())
        table = uris[server]
        tools += [_renamed(names, server, d, table) for d in _first_of_each(listing.tools)]
        prompts += [_renamed(names, server, d, table) for d in _first_of_each(listing.prompts)]
        resources += [_moved(d, "uri", table) for d in listing.resources]
        templates += [_moved(d, "uriTemplate", table) for d in listing.templates]
    told = [(server, listings[server].instructions) for server in servers if server in listings]
    instructions = "\n\n".join(f"# {server}\n{text}" for server, text in told if text) or None
    return _view(tuple(tools), tuple(prompts), tuple(resources), tuple(templates), uris, instructions)


def _profile_view(
    profile: ProfileSettings, servers: Sequence[str], everything: View, own: Collection[str]
) -> View:
    """A profile that names groups sees the hub's own tools; one that names servers alone does not."""
    shown = set(servers) if profile.servers is None else set(servers) & set(profile.servers)
    if profile.groups is not None:
        shown = shown | set(own) if profile.groups else shown - set(own)
    tables = {server: table for server, table in everything.uris.items() if server in shown}
    groups = frozenset(profile.groups) if profile.groups is not None else None

    told: list[Item] = []
    hidden: list[Hidden] = []
    for item in everything.tools:
        reason = "servers" if item.server not in tables else None
        reason = reason or ("groups" if not _is_of(item, groups) else _why_hidden(profile.tools, item))
        if reason is None:
            told.append(_as_told(profile.tools, item))
        else:
            hidden.append(Hidden(item, reason))
    part = _part(everything, tables, tuple(told), None, groups)
    return _arranged(replace(part, hidden=tuple(hidden)), profile)


def _why_hidden(tools: ProfileTools, item: Item) -> str | None:
    """The key of a profile's `tools` that hides a tool."""
    name, given = item.shared, item.definition.get("annotations")
    hints = given if isinstance(given, dict) else {}
    read_only = hints.get("readOnlyHint") is True
    destructive = not read_only and hints.get("destructiveHint") is not False
    checks = (
        ("include", _matcher(tools.include)(name)),
        ("exclude", not _matcher(tools.exclude)(name)),
        ("read_only", tools.read_only in (None, read_only)),
        ("destructive", tools.destructive in (None, destructive)),
    )
    return next((f"tools.{key}" for key, passed in checks if not passed), None)


def _as_told(tools: ProfileTools, item: Item) -> Item:
    """A tool with a profile's name and description for it.

    Who is called like another one's new name gives way, whether that one is up or not: names are stable.
    """
    name = item.shared
    if name in tools.rename:
        public = tools.rename[name]
    else:
        public = name
        if len(name) > tools.longest_name or name in tools.rename.values():
            public = hashed(name, item.server, item.original, tools.longest_name)
    text = next((text for glob, text in tools.describe.items() if fnmatchcase(name, glob)), None)
    if public == name and text is None:
        return item
    changed = {**item.definition, "name": public}
    if text is not None:
        changed["description"] = text.replace("{description}", str(changed.get("description") or "")).strip()
    return replace(item, public=public, definition=changed)


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

    named = _matcher(("*",) if tools is None else tuple(tools))

    def visible(item: Item) -> bool:
        return bool(named(item.shared)) and _is_of(item, both)

    shown = {name for name in view.uris if servers is None or name in servers}
    if tools is not None:
        shown &= {item.server for item in view.tools if visible(item)}
    tables = {name: table for name, table in view.uris.items() if name in shown}
    kept = tuple(item for item in view.tools if item.server in tables and visible(item))
    names = {item.public for item in kept}
    hidden = (*view.hidden, *(Hidden(item, "the key") for item in view.tools if item.public not in names))
    instructions = view.instructions if len(tables) == len(view.uris) else None
    return _arranged(replace(_part(view, tables, kept, instructions, both), hidden=hidden), view.discovery)


def _arranged(view: View, rule: DiscoverySettings) -> View:
    """`view` with what `tools/list` answers by `rule`."""
    everything = tuple(item.definition for item in view.tools)
    searched = rule.discovery == "search" or (
        rule.discovery == "auto" and _size(everything) > rule.discovery_threshold
    )
    if not searched:
        return replace(view, listed=everything, searched=False, discovery=rule)
    is_pinned = _matcher(rule.pinned)
    pinned = (item.definition for item in view.tools if is_pinned(item.shared))
    listed = (*discovery_tools(Counter(item.server for item in view.tools)), *pinned)
    return replace(view, listed=listed, searched=True, discovery=rule)


@lru_cache(maxsize=256)
def _matcher(globs: tuple[str, ...]) -> Callable[[str], object]:
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


def _is_of(item: Item, groups: frozenset[str] | None) -> bool:
    """Whether a tool is about one of `groups`, or about no group."""
    group = None if groups is None else (item.definition.get("_meta") or {}).get(GROUP_META)
    return group is None or groups is None or group in groups


def _part(
    view: View,
    tables: Mapping[str, UriTable],
    tools: tuple[Item, ...],
    instructions: str | None,
    groups: frozenset[str] | None,
) -> View:
    """`view` with the servers of `tables` alone, and with these `tools`."""

    def owned(definition: Definition, key: str) -> bool:
        return any(table.original(str(definition.get(key))) is not None for table in tables.values())

    return _view(
        tools,
        tuple(item for item in view.prompts if item.server in tables),
        tuple(d for d in view.resources if owned(d, "uri")),
        tuple(d for d in view.templates if owned(d, "uriTemplate")),
        tables,
        instructions,
        groups,
    )


def _view(
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


def _first_of_each(definitions: Sequence[Definition]) -> list[Definition]:
    """A name that a server lists twice can only be called once."""
    seen: dict[str, Definition] = {}
    for definition in definitions:
        seen.setdefault(str(definition.get("name")), definition)
    return list(seen.values())


def _renamed(names: Names, server: str, definition: Definition, table: UriTable) -> Item:
    original = str(definition.get("name"))
    public = names.public(server, original)
    return Item(public, server, original, _with_ui_pointer({**definition, "name": public}, table), public)


def _moved(definition: Definition, key: str, table: UriTable) -> Definition:
    return {**definition, key: table.public(str(definition.get(key)))}


def _with_ui_pointer(definition: Definition, table: UriTable) -> Definition:
    meta = definition.get("_meta")
    if not isinstance(meta, dict):
        return definition
    for path in _UI_POINTERS:
        parent, key = (meta.get(path[0]), path[1]) if len(path) == 2 else (meta, path[0])
        if isinstance(parent, dict) and isinstance(uri := parent.get(key), str):
            changed = {**parent, key: table.public(uri)}
            meta = {**meta, path[0]: changed} if len(path) == 2 else changed
    return {**definition, "_meta": meta}
