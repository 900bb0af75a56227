"""`hub call`: one tool, once."""

from __future__ import annotations

import asyncio
import json as json_module
import sys
from collections.abc import Mapping
from typing import Annotated, Any

from hub.cli.errors import CommandError, UsageError
from hub.cli.options import Json, Reach, Text, refuse_option
from hub.cli.output import clean, note, on_terminal, print_json
from hub.cli.tool_source import UnknownTool, open_tools, suggest


def call(
    tool: str,
    arguments: Annotated[str, Text] = "{}",
    /,
    *,
    reach: Reach = Reach(),  # noqa: B008 - frozen
    json: Json = False,
) -> int:
    """Call a tool and print what it answers.

    Uses the running hub; without one, the tool's server is started for the occasion. Exit status 1
    if the tool reports an error.

    Parameters
    ----------
    tool
        Its name, as `hub tools` lists it.
    arguments
        A JSON object, or `-` to read it from standard input.
    """
    result = asyncio.run(_call(tool, _object(arguments), reach))
    if json:
        print_json(result)
        return 1 if result.get("isError") else 0
    if result.get("resultType") == "input_required":
        raise CommandError(f"{tool} asks for input, which only an MCP client can give: hub connect")
    if result.get("isError"):
        raise CommandError(f"{tool} failed: {_text(result) or 'it does not say why'}")
    text = _text(result)
    print(clean(text) if on_terminal() else text)
    return 0


async def _call(tool: str, arguments: Mapping[str, Any], reach: Reach) -> dict[str, Any]:
    async with open_tools(reach, needed_for=tool) as source:
        try:
            return await source.call_tool(tool, arguments)
        except UnknownTool as error:
            for name, reason in source.failures():
                note(f"server {name} is {reason}")
            raise CommandError(f'unknown tool "{tool}"{await suggest(source, tool)}') from error


def _object(text: str) -> dict[str, Any]:
    refuse_option(text)
    if text == "-":
        text = sys.stdin.read()
    try:
        value = json_module.loads(text)
    except ValueError as error:
        raise UsageError(
            f"call: the arguments are not JSON: {error}; write them like '{{\"a\": 1}}'"
        ) from error
    if not isinstance(value, dict):
        raise UsageError("call: the arguments have to be a JSON object, like '{\"a\": 1}'")
    return value


def _text(result: Mapping[str, Any]) -> str:
    """What a person can read of a result."""
    parts = [_part(block) for block in result.get("content") or ()]
    if not parts and result.get("structuredContent") is not None:
        return json_module.dumps(result["structuredContent"], indent=2, ensure_ascii=False)
    return "\n".join(parts)


def _part(block: Mapping[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "resource", "resource": {"text": str(text)}}:
            return text
        case {"type": "resource_link", "uri": str(uri)}:
            return f"[{block.get('title') or block.get('name') or 'resource'}: {uri}]"
        case {"type": str(kind), "data": str(data)}:
            return (
                f"[{kind}, {block.get('mimeType', 'unknown type')}, {len(data) * 3 // 4} bytes; see --json]"
            )
        case _:
            return f"[{block.get('type', 'unknown')}; see --json]"
