"""`hub groups`: what can answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.cli.client import HubClient, NotRunning, find
from hub.cli.options import Json, Reach
from hub.cli.output import note, print_json, print_table
from hub.cli.settings import load


def groups(*, reach: Reach = Reach(), json: Json = False) -> int:  # noqa: B008 - frozen
    """List the groups of models; the active one answers where none is named.

    Asks the running hub; without one, the settings. In a pipe: name, `*` if active, targets,
    description.
    """
    try:
        with HubClient(find(reach)) as hub:
            found = hub.status()["groups"]
    except NotRunning:
        if reach.explicit:
            raise
        found = _of_settings(reach)
    if json:
        print_json(found)
        return 0
    if not found:
        note("there are no groups; add some below `groups:` in the settings")
    rows = [
        (group["name"], "*" if group["active"] else "", _targets(group), group["description"])
        for group in found
    ]
    print_table(("group", "active", "targets", "description"), rows)
    return 0


def _of_settings(reach: Reach) -> list[dict[str, Any]]:
    from hub.snapshot import build_table, embedded_providers

    loaded = load(reach.config)
    running = dict.fromkeys(embedded_providers(loaded.settings), "http://127.0.0.1/v1")
    table = build_table(loaded.settings, loaded.environ, embedded=running)
    return [
        {
            "name": group.name,
            "description": group.description,
            "active": group.name == table.default_group,
            "targets": [
                {
                    "provider": target.provider.name,
                    "model": target.model,
                    "protocol": target.provider.protocol,
                    "weight": target.weight,
                }
                for target in group.targets
            ],
        }
        for group in table.groups.values()
    ]


def _targets(group: Mapping[str, Any]) -> str:
    targets = group["targets"]
    return ", ".join(
        f"{target['provider']}/{target['model']}"
        + (f" (weight {target['weight']})" if len(targets) > 1 else "")
        for target in targets
    )
