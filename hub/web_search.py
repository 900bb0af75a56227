"""Web searches by a tool of an MCP server, for models whose provider runs none (`emulate.web_search`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from adapters.search_results import read_found
from hub.downstream.errors import DownstreamError
from hub.mcp_hub import McpHub
from routing.search_tools import Lookup

log = logging.getLogger("hub.search")

_SECONDS = 60.0
_QUERY_NAMES = ("query", "q", "search_query", "search", "searchTerm", "keywords", "text", "prompt", "input")


class WebSearch:
    """`routing.search_tools.RunSearch` on the hub's servers."""

    def __init__(self, servers: McpHub) -> None:
        self._servers = servers

    async def __call__(self, tool: str, query: str) -> Lookup:
        """Whatever goes wrong is told to the model, and to the log."""
        try:
            async with asyncio.timeout(_SECONDS):
                result = await self._servers.call_tool(tool, self._arguments(tool, query))
        except TimeoutError:
            return _failed(tool, f"it did not answer within {_SECONDS:.0f} s")
        except (MCPError, DownstreamError) as error:
            return _failed(tool, str(error))
        text = _text(result)
        if result.is_error:
            return _failed(tool, text)
        return Lookup(text or "nothing was found", read_found(text, result.structured_content))

    def _arguments(self, tool: str, query: str) -> dict[str, Any]:
        """The tool's own name for what is searched for, by its schema."""
        found = next((one for one in self._servers.list_tools() if one.name == tool), None)
        schema: Mapping[str, Any] = found.definition.input_schema if found is not None else {}
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            return {_QUERY_NAMES[0]: query}
        required = [name for name in schema.get("required") or () if name in properties]
        texts = [
            name
            for name in (*required, *properties)
            if isinstance(properties[name], dict) and properties[name].get("type") == "string"
        ]
        name = next((name for name in _QUERY_NAMES if name in properties), None) or next(
            iter(texts), _QUERY_NAMES[0]
        )
        wanted = properties.get(name)
        is_list = isinstance(wanted, dict) and wanted.get("type") == "array"
        return {name: [query] if is_list else query}


def _text(result: CallToolResult) -> str:
    return "\n\n".join(part.text for part in result.content if isinstance(part, TextContent))


def _failed(tool: str, why: str) -> Lookup:
    log.warning("a web search by %s failed: %s", tool, why)
    return Lookup(f"the search failed: {why}", error=True)
