"""The catalogue: which public name or URI means what on which server, per endpoint.

Built anew, as immutable views, whenever a server's listing or the settings change. Names and URIs
are looked up in tables; a name is never split, because `a` + `b_c` and `a_b` + `c` look alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from hub.downstream.listing import Definition, Listing
from hub.profile_view import profile_view
from hub.public_names import LONGEST_NAME, Names
from hub.settings.mcp import DiscoverySettings, ProfileSettings
from hub.views import GROUP_META, LIST_ALL, Hidden, Item, UriTable, View, arranged, make_view, narrow

__all__ = [
    "GROUP_META",
    "LIST_ALL",
    "LONGEST_NAME",
    "Catalog",
    "Hidden",
    "Item",
    "Names",
    "UriTable",
    "View",
    "narrow",
]

_UI_POINTERS = (("ui", "resourceUri"), ("ui/resourceUri",))
"""Where a tool's `_meta` names a resource of its own server (MCP Apps, current and older form)."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All views: `everything` for `/mcp`, by name for the others. A profile hides a server of its name."""

    everything: View = field(default_factory=View)
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
        views |= {name: profile_view(profile, servers, everything, own) for name, profile in profiles.items()}
        return cls(arranged(everything, discovery), MappingProxyType(views))


def _own_view(server: str, listing: Listing, names: Names) -> View:
    def item(definition: Definition) -> Item:
        name = str(definition.get("name"))
        return Item(name, server, name, definition, names.public(server, name))

    def items(definitions: Sequence[Definition]) -> tuple[Item, ...]:
        return tuple(item(definition) for definition in _first_of_each(definitions))

    return make_view(
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
    return make_view(tuple(tools), tuple(prompts), tuple(resources), tuple(templates), uris, instructions)


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
