"""The part of all tools that a profile shows, with the names and descriptions that it gives them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from hub.public_names import hashed
from hub.settings.mcp import ProfileSettings, ProfileTools
from hub.views import Hidden, Item, View, arranged, is_of, matcher, part_of


def profile_view(
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
    why_hidden, as_told = _hiding(profile.tools), _telling(profile.tools)
    for item in everything.tools:
        if item.server not in tables:
            reason: str | None = "servers"
        elif not is_of(item, groups):
            reason = "groups"
        else:
            reason = why_hidden(item)
        if reason is None:
            told.append(as_told(item))
        else:
            hidden.append(Hidden(item, reason))
    part = part_of(everything, tables, tuple(told), None, groups)
    return arranged(replace(part, hidden=tuple(hidden)), profile)


def _hiding(tools: ProfileTools) -> Callable[[Item], str | None]:
    """Which key of a profile's `tools` hides a tool, if one does."""
    included, excluded = matcher(tools.include), matcher(tools.exclude)
    by_hints = tools.read_only is not None or tools.destructive is not None

    def reason(item: Item) -> str | None:
        if not included(item.shared):
            return "tools.include"
        if excluded(item.shared):
            return "tools.exclude"
        if not by_hints:
            return None
        given = item.definition.get("annotations")
        hints = given if isinstance(given, dict) else {}
        read_only = hints.get("readOnlyHint") is True
        if tools.read_only not in (None, read_only):
            return "tools.read_only"
        destructive = not read_only and hints.get("destructiveHint") is not False
        return None if tools.destructive in (None, destructive) else "tools.destructive"

    return reason


def _telling(tools: ProfileTools) -> Callable[[Item], Item]:
    """A tool with a profile's name and description for it.

    Who is called like another one's new name gives way, whether that one is up or not: names are stable.
    """
    taken = frozenset(tools.rename.values())
    texts = [(matcher((glob,)), text) for glob, text in tools.describe.items()]

    def told(item: Item) -> Item:
        public = tools.rename.get(item.shared)
        if public is None:
            public = item.shared
            if len(public) > tools.longest_name or public in taken:
                public = hashed(public, item.server, item.original, tools.longest_name)
        text = next((text for matches, text in texts if matches(item.shared)), None)
        if public == item.shared and text is None:
            return item
        changed = {**item.definition, "name": public}
        if text is not None:
            own = str(changed.get("description") or "")
            changed["description"] = text.replace("{description}", own).strip()
        return replace(item, public=public, definition=changed)

    return told
