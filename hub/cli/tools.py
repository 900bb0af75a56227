"""`hub tools`: everything that can be called."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from cyclopts import Parameter

from hub.cli.options import Json, Reach
from hub.cli.output import note, on_terminal, print_json, print_table
from hub.cli.tool_source import ListedTool, open_tools


def tools(
    *,
    server: Annotated[str | None, Parameter(help="Only the tools of this MCP server.")] = None,
    profile: Annotated[str | None, Parameter(help="Only what this profile may see.")] = None,
    reach: Reach = Reach(),  # noqa: B008 - frozen
    json: Json = False,
) -> int:
    """List the tools of the MCP servers.

    Asks the running hub; without one, the servers of the settings are started for the occasion.
    A server that does not come up is named on standard error. In a pipe: name, server, arguments
    (optional ones in brackets), description.
    """
    found, failures = asyncio.run(_collect(reach, server, profile))
    for name, reason in failures:
        if server in (None, name):
            note(f"server {name} is {reason}")
    if json:
        listed = [{"name": tool.name, "server": tool.server, "definition": tool.definition} for tool in found]
        failed = [{"server": name, "reason": reason} for name, reason in failures]
        print_json({"tools": listed, "failed": failed})
    else:
        print_table(("tool", "server", "arguments", "description"), [_row(tool) for tool in found])
    if not found and not failures:
        note("there are no tools; add servers below `mcpServers:` in the settings")
    return 1 if failures and not found else 0


async def _collect(
    reach: Reach, server: str | None, profile: str | None
) -> tuple[list[ListedTool], list[tuple[str, str]]]:
    async with open_tools(reach) as source:
        return await source.list_tools(server, profile), source.failures()


def _row(tool: ListedTool) -> tuple[str, str, str, str]:
    description = str(tool.definition.get("description") or tool.definition.get("title") or "")
    if on_terminal():
        description = description.strip().split("\n", 1)[0]
    return tool.name, tool.server, _arguments(tool.definition.get("inputSchema")), description


def _arguments(schema: Any) -> str:
    """`zone, [format]`: the optional ones in brackets."""
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return ""
    required = schema.get("required") or ()
    return ", ".join(name if name in required else f"[{name}]" for name in schema["properties"])
