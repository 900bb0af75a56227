"""The tools with which a client looks for tools, as it sees them in `tools/list`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.downstream.listing import Definition
from hub.settings.mcp import CALL, DESCRIBE, FIND

MOST_FOUND = 50
USUALLY_FOUND = 10
_MOST_SERVERS_NAMED = 2000
"""Characters; of hundreds of servers the rest is a number."""
_READS = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}

_NAME: Mapping[str, Any] = {"type": "string", "description": f"A name from {FIND}."}


def definitions(servers: Mapping[str, int]) -> tuple[Definition, ...]:
    """`servers` has the number of tools of each."""
    return (
        _tool(
            FIND,
            "Find tools",
            f"Find tools for a task. There are {sum(servers.values())}, most of them not in your list; this "
            "finds them by words of their names, descriptions and arguments. Look here before you say that "
            f"something cannot be done, then use {CALL}. Servers, with their numbers of tools: "
            f"{_named(servers)}.",
            {
                "query": {
                    "type": "string",
                    "description": "What the tool should do, in a few words: create issue, read file.",
                },
                "server": {
                    "type": "string",
                    "description": "Only tools of this server; without a query, all of them.",
                },
                "limit": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MOST_FOUND,
                    "default": USUALLY_FOUND,
                    "description": "How many at most.",
                },
                "offset": {"type": "integer", "minimum": 0, "description": "How many to pass over."},
            },
            (),
            _READS,
        ),
        _tool(
            DESCRIBE,
            "Describe a tool",
            "Get the full definition of a tool: its description and the JSON Schema of its arguments.",
            {"name": _NAME},
            ("name",),
            _READS,
        ),
        _tool(
            CALL,
            "Call a tool",
            f"Call a tool that {FIND} has found. The answer is that tool's own.",
            {
                "name": _NAME,
                "arguments": {
                    "type": "object",
                    "description": f"Its arguments, as {DESCRIBE} says.",
                    "additionalProperties": True,
                },
            },
            ("name",),
            {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True},
        ),
    )


def _named(servers: Mapping[str, int]) -> str:
    names: list[str] = []
    room = _MOST_SERVERS_NAMED
    for name, count in servers.items():
        room -= len(name) + 8
        if room < 0:
            return f"{', '.join(names)} and {len(servers) - len(names)} more"
        names.append(f"{name} ({count})")
    return ", ".join(names) or "none just now"


def _tool(
    name: str,
    title: str,
    description: str,
    properties: Mapping[str, Any],
    required: tuple[str, ...],
    hints: Mapping[str, bool],
) -> Definition:
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": dict(properties),
            **({"required": list(required)} if required else {}),
            "additionalProperties": False,
        },
        "annotations": {"title": title, **hints},
    }
