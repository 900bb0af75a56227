"""`hub switch`: another active group."""

from __future__ import annotations

from hub.cli.client import HubClient, find
from hub.cli.options import Json, Reach
from hub.cli.output import print_json


def switch(group: str, /, *, reach: Reach = Reach(), json: Json = False) -> int:  # noqa: B008 - frozen
    """Make a group the active one: it answers requests that name no group.

    Parameters
    ----------
    group
        The group's name; `hub groups` lists them.
    """
    with HubClient(find(reach)) as hub:
        active = hub.switch(group)
    if json:
        print_json({"active_group": active})
    else:
        print(f"{active} is the active group now")
    return 0
