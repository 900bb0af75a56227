"""`hub trust`: what is held back of an MCP server's tools, and the way to let it pass."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from hub.cli.client import HubClient, error_message, find
from hub.cli.errors import CommandError
from hub.cli.options import Json, Reach
from hub.cli.output import note, on_terminal, print_json, print_table
from hub.trust.scan import visible

Held = dict[str, Any]


def trust(
    server: str | None = None,
    *tools: str,
    yes: Annotated[bool, Parameter(negative="", help="Trust what is shown, without a question.")] = False,
    reach: Reach = Reach(),  # noqa: B008 - frozen
    json: Json = False,
) -> int:
    """Show what the running hub holds back of its MCP servers' tools, and trust it.

    A tool is held back when its definition changed since it was first seen, or when it has hidden
    instructions in it. Without a server, all that is held back is listed; in a pipe each line is: server,
    tool, reason.

    Parameters
    ----------
    server
        Show what changed of this one, and ask whether to trust it.
    tools
        Only these, by the server's own names; none: all that are held back.
    """
    with HubClient(find(reach)) as hub:
        held = _held(hub, server)
        if server is None:
            return _list(held, json)
        found = _chosen(server, held.get(server, []), tools)
        if json:
            print_json(found)
        if not found:
            note(f"nothing of {server} is held back")
            return 0
        if not json:
            for each in found:
                print(_shown(each))
        if not (yes or _agrees(server, len(found))):
            note(f"nothing is trusted that was not before; to trust this: hub trust {server} --yes")
            return 1
        trusted = _approve(hub, server, {each["tool"]: each["digest"] for each in found})
    note(f"trusted: {', '.join(map(visible, trusted)) or 'nothing'}")
    changed = [each["tool"] for each in found if each["tool"] not in trusted]
    if changed:
        raise CommandError(
            f"changed again while you looked: {', '.join(map(visible, changed))}; look once more"
        )
    return 0


def _held(hub: HubClient, server: str | None) -> dict[str, list[Held]]:
    hub.status()
    response = hub.http.get("/hub/v1/trust", params={"server": server} if server is not None else {})
    if response.status_code != 200:
        raise CommandError(error_message(response))
    found: dict[str, list[Held]] = response.json()["servers"]
    return found


def _approve(hub: HubClient, server: str, digests: dict[str, str]) -> list[str]:
    response = hub.http.post("/hub/v1/trust", json={"server": server, "digests": digests})
    if response.status_code != 200:
        raise CommandError(error_message(response))
    trusted: list[str] = response.json()["trusted"]
    return trusted


def _list(held: dict[str, list[Held]], as_json: bool) -> int:
    if as_json:
        print_json(held)
        return 0
    rows = [
        (server, visible(each["tool"]), each["reason"]) for server, all_of in held.items() for each in all_of
    ]
    if not rows:
        note("nothing is held back")
        return 0
    print_table(("MCP server", "tool", "held back because") if on_terminal() else (), rows)
    return 0


def _chosen(server: str, held: list[Held], tools: tuple[str, ...]) -> list[Held]:
    names = [each["tool"] for each in held]
    for tool in tools:
        if tool not in names:
            raise CommandError(
                f"{tool} of {server} is not held back; these are: {', '.join(names) or 'none'}"
            )
    return [each for each in held if not tools or each["tool"] in tools]


def _shown(held: Held) -> str:
    """The reason, and the definition as a diff from what is trusted. Hidden characters are spelled out."""
    lines = [f"{visible(held['tool'])}: {held['reason']}"]
    before, now = (list(_lines(held[side])) for side in ("before", "now"))
    diff = difflib.unified_diff(before, now, "trusted", "now", n=2, lineterm="")
    return "\n".join([*lines, *(f"  {line}" for line in diff), ""])


def _lines(definition: dict[str, Any] | None) -> Iterator[str]:
    """One line for each value, so that a long description shows where it differs."""
    if definition is None:
        return
    for part, value in definition.items():
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        for line in text.split("\n"):
            yield f"{part}: {visible(line)}"


def _agrees(server: str, count: int) -> bool:
    if not on_terminal():
        return False
    try:
        answer = input(f"Trust {'this' if count == 1 else f'these {count}'} of {server}? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")
