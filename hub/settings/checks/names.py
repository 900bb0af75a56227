"""Names of groups, profiles, providers and servers, and what refers to them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hub.settings.checks.words import PATH_NAME, TOOL_PREFIX, repaired
from hub.settings.document import Document
from hub.settings.problems import KeyPath
from hub.settings.words import nearest_hint

RESERVED_GROUP_NAMES = frozenset(
    ("v1", "v1beta", "v1alpha", "api", "mcp", "hub", "switch", "compat", "healthz", "readyz", "metrics")
)
"""First path segments that are routes of their own."""


def names(document: Document, environ: Mapping[str, str]) -> None:
    for section, pattern in (("groups", PATH_NAME), ("profiles", PATH_NAME), ("providers", PATH_NAME)):
        for name in document.section(section):
            if not pattern.fullmatch(name):
                document.refuse(
                    (section, name),
                    f"`{name}` cannot stand in a URL",
                    f"use letters, digits, `.`, `_` and `-`, such as `{repaired(name, '.')}`",
                )
    for name in document.section("mcpServers"):
        if not TOOL_PREFIX.fullmatch(name):
            document.refuse(
                ("mcpServers", name),
                f"`{name}` cannot begin a tool's name",
                f"use at most 48 letters, digits, `_` and `-`, such as `{repaired(name)}`",
            )


def reserved(document: Document, environ: Mapping[str, str]) -> None:
    for name in document.section("groups"):
        if name.casefold() in RESERVED_GROUP_NAMES:
            document.refuse(
                ("groups", name), f"`/{name}` is a route of the hub itself", "choose another name"
            )


def collisions(document: Document, environ: Mapping[str, str]) -> None:
    servers = document.section("mcpServers")
    for name in document.section("profiles"):
        if name in servers:
            line = document.place(("mcpServers", name)).line
            document.refuse(
                ("profiles", name),
                f"the MCP server{f' on line {line}' if line else ''} has the name `{name}` too",
                f"both would be /mcp/{name}, rename one of them",
            )


def references(document: Document, environ: Mapping[str, str]) -> None:
    for section, key, target in (
        ("profiles", "servers", "mcpServers"),
        ("profiles", "groups", "groups"),
        ("keys", "groups", "groups"),
        ("keys", "profiles", "profiles"),
        ("keys", "servers", "mcpServers"),
    ):
        known = document.section(target)
        for name, entry in document.section(section).items():
            listed = entry.get(key) if isinstance(entry, dict) else None
            for step, value in enumerate(listed if isinstance(listed, list) else [listed]):
                if isinstance(value, str) and value not in known:
                    path = (section, name, key, step) if isinstance(listed, list) else (section, name, key)
                    what = f"unknown {'MCP server' if key == 'servers' else key.removesuffix('s')} `{value}`"
                    document.refuse(path, what, nearest_hint(value, known) or f"there are no `{target}`")


def sampling_groups(document: Document, environ: Mapping[str, str]) -> None:
    groups = document.section("groups")
    for name, entry in document.section("mcpServers").items():
        policy = entry.get("sampling") if isinstance(entry, dict) else None
        group = policy.removeprefix("group:") if isinstance(policy, str) else None
        if group is not None and group != policy and group not in groups:
            hint = nearest_hint(group, groups) or "there are no `groups`"
            document.refuse(("mcpServers", name, "sampling"), f"unknown group `{group}`", hint)


def emulated_tools(document: Document, environ: Mapping[str, str]) -> None:
    """That a tool's server exists: which tools it has, only it knows."""
    servers = document.section("mcpServers")
    entries: list[tuple[KeyPath, object]] = [(("emulate",), document.section("emulate"))]
    for name, group in document.section("groups").items():
        entries.append(
            (("groups", name, "emulate"), group.get("emulate") if isinstance(group, dict) else None)
        )
    for path, entry in entries:
        for kind, tool in entry.items() if isinstance(entry, dict) else ():
            if isinstance(tool, str) and not any(tool.startswith(f"{server}_") for server in servers):
                hint = "write it as `hub tools` shows it: SERVER_TOOL"
                document.refuse((*path, kind), f"no MCP server has the tool `{tool}`", hint)


def shown_tools(document: Document, environ: Mapping[str, str]) -> None:
    """A note on what names the tools of no server. Which tools a server has, only it knows."""
    beginnings = [f"{server}_" for server in document.section("mcpServers")]
    beginnings += ["ask_", "compare_models", "list_models", "switch_model", "explain_route"]
    places: list[tuple[str, object]] = [("pinned", document.data.get("pinned"))]
    for name, profile in document.section("profiles").items():
        if isinstance(profile, dict):
            tools = profile.get("tools")
            own = tools if isinstance(tools, dict) else {}
            places.append((f"profiles.{name}.pinned", profile.get("pinned")))
            places += [(f"profiles.{name}.tools.{key}", own.get(key)) for key in ("rename", "describe")]
    for place, globs in places:
        for glob in [globs] if isinstance(globs, str) else globs if isinstance(globs, (list, dict)) else ():
            plain = re.split(r"[*?\[]", str(glob))[0]
            if not any(plain.startswith(one) or one.startswith(plain) for one in beginnings):
                document.notes.append(
                    f"{place}: `{glob}` is the name of no tool: they begin with their server's name and `_`"
                )


def default_group(document: Document, environ: Mapping[str, str]) -> None:
    name, groups = document.data.get("default_group"), document.section("groups")
    if isinstance(name, str) and name not in groups:
        document.refuse(
            ("default_group",),
            f"unknown group `{name}`",
            nearest_hint(name, groups) or "there are no `groups`",
        )
