"""`hub status`: what the running hub does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.cli.client import HubClient, find
from hub.cli.options import Json, Reach
from hub.cli.output import on_terminal, print_json, print_table


def status(*, reach: Reach = Reach(), json: Json = False) -> int:  # noqa: B008 - frozen
    """Show the running hub: its settings, MCP servers and embedded models, with the reason where one fails.

    Targets and keys that rest after failures are shown with the cause. In a pipe each line begins with its
    kind: `hub`, `target`, `server` or `embedded`.
    """
    address = find(reach)
    with HubClient(address) as hub:
        found = hub.status()
    if json:
        print_json(found)
        return 0
    general = _general(address.url, found)
    targets = list(dict.fromkeys(_troubled(found["groups"])))
    servers = [
        (server["name"], server["state"], server["transport"], server.get("tools"), _told(server))
        for server in found["servers"]
    ]
    embedded = [
        (model["name"], model["state"], model["base_url"], model.get("pid"), model.get("reason"))
        for model in found["embedded"]
    ]
    if on_terminal():
        print_table(("hub", ""), general)
        if targets:
            print_table(("target in trouble", "state", "rests", "failures", "cause"), targets)
        if servers:
            print_table(("MCP server", "state", "transport", "tools", "reason"), servers)
        if embedded:
            print_table(("embedded model", "state", "address", "process", "reason"), embedded)
        return 0
    for kind, rows in (("hub", general), ("target", targets), ("server", servers), ("embedded", embedded)):
        print_table((), [(kind, *row) for row in rows])
    return 0


def _general(url: str, found: dict[str, Any]) -> list[tuple[object, ...]]:
    settings = found["settings"]
    loaded = settings.get("state", "")
    if settings.get("error"):
        loaded = f"{loaded}: {settings['error']}"
    return [
        ("address", url),
        ("version", found["version"]),
        ("process", found["pid"]),
        ("up for", _duration(found["uptime"])),
        ("settings", found["config"] or "none: what was found"),
        ("settings are", loaded),
        ("usage", _usage(found.get("usage"))),
        ("active group", found["active_group"] or "none"),
        ("groups", ", ".join(group["name"] for group in found["groups"]) or "none"),
    ]


def _told(server: dict[str, Any]) -> str | None:
    """Why it is not ready, and what else there is to know of it."""
    parts = [server.get("reason"), *server.get("notes", ())]
    if server.get("sessions"):
        parts.append(f"{server['sessions']} clients have a session")
    return "; ".join(part for part in parts if part) or None


_STATES = {"open": "not asked", "half_open": "to be tried"}


def _troubled(groups: list[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    """Targets and keys whose circuit breaker is not closed."""
    for group in groups:
        for target in (*group["targets"], *group["models"].values()):
            name = f"{target['provider']}/{target['model']}"
            keys = [(f"{name} (key {at})", key) for at, key in enumerate(target.get("keys", ()), 1)]
            for label, one in ((name, target), *keys):
                if one.get("state", "closed") != "closed":
                    cause = (one["cause"] or "").replace("_", " ")
                    yield label, _STATES[one["state"]], f"{one['rests']:g} s", one["failures"], cause


def _usage(found: dict[str, Any] | None) -> str:
    """Whether calls are being written down; what is waiting and what was left out."""
    if found is None:  # a hub of an older version
        return ""
    parts = [f"{found['state']}: {found['reason']}" if found["reason"] else found["state"]]
    parts += [f"{found[name]} {name}" for name in ("queued", "dropped") if found[name]]
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(part for part in parts if part) or f"{rest} s"
