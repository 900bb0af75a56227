"""The catalogue: which public name or URI means what on which server, per endpoint.

Built anew, as immutable views, whenever a server's listing or the settings change. Names and URIs
are looked up in tables; a name is never split, because `a` + `b_c` and `a_b` + `c` look alike.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from hub.downstream.listing import Definition, Kind, Listing
from hub.settings.mcp import ProfileSettings

LONGEST_NAME = 64
"""Clients refuse longer names, or other characters than these (MCP clients: 60-64, `[a-zA-Z0-9_-]`)."""
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
_HASH_CHARACTERS = 8

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

    def changed_kinds(self, before: View) -> tuple[Kind, ...]:
        """The kinds whose lists a client would find different."""
        changes: tuple[tuple[Kind, bool], ...] = (
            ("tools", self.tools != before.tools),
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
        return item.definition.get("inputSchema") if item is not None else None


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
        self._taken = frozenset().union(*self._own.values())
        self._prefixes = {server: _FORBIDDEN.sub("_", server) + "_" for server in servers}

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
        digest = hashlib.sha256(f"{len(server)}:{server}{original}".encode()).hexdigest()
        return f"{plain[: LONGEST_NAME - _HASH_CHARACTERS - 1]}_{digest[:_HASH_CHARACTERS]}"

    def _ambiguous(self, server: str, plain: str) -> bool:
        own = len(self._prefixes.get(server, ""))
        return plain in self._taken or any(
            other != server and len(prefix) >= own and plain.startswith(prefix)
            for other, prefix in self._prefixes.items()
        )


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
    ) -> Catalog:
        """`servers` are all configured ones, in the settings' order, with the hub's `own` among them;
        `listings` of those that are up."""
        listed = {name: listings[name].tools for name in own if name in listings}
        names = Names(
            servers, {name: [str(tool["name"]) for tool in tools] for name, tools in listed.items()}
        )
        everything = _shared_view(servers, listings, names)
        views = {name: _own_view(name, listings.get(name, Listing()), names) for name in servers}
        views |= {
            name: _profile_view(profile, servers, everything, own) for name, profile in profiles.items()
        }
        return cls(everything, MappingProxyType(views))


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

    def visible(item: Item) -> bool:
        name = item.public
        return (
            _is_of(item, groups)
            and any(fnmatchcase(name, glob) for glob in profile.tools.include)
            and not any(fnmatchcase(name, glob) for glob in profile.tools.exclude)
        )

    return _part(everything, tables, visible, None, groups)


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

    def visible(item: Item) -> bool:
        named = tools is None or any(fnmatchcase(item.shared, glob) for glob in tools)
        return named and _is_of(item, both)

    shown = {name for name in view.uris if servers is None or name in servers}
    if tools is not None:
        shown &= {item.server for item in view.tools if visible(item)}
    tables = {name: table for name, table in view.uris.items() if name in shown}
    return _part(view, tables, visible, view.instructions if len(tables) == len(view.uris) else None, both)


def _is_of(item: Item, groups: frozenset[str] | None) -> bool:
    """Whether a tool is about one of `groups`, or about no group."""
    group = None if groups is None else (item.definition.get("_meta") or {}).get(GROUP_META)
    return group is None or groups is None or group in groups


def _part(
    view: View,
    tables: Mapping[str, UriTable],
    visible: Callable[[Item], bool],
    instructions: str | None,
    groups: frozenset[str] | None,
) -> View:
    """`view` with the servers of `tables` alone, and of their tools those that are `visible`."""

    def owned(definition: Definition, key: str) -> bool:
        return any(table.original(str(definition.get(key))) is not None for table in tables.values())

    return _view(
        tuple(item for item in view.tools if item.server in tables and visible(item)),
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
