"""`/hub/v1/trust`: what is held back, and the way to let it pass. For keys without limits, like `/hub`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.mcp_hub import McpHub


def trust_routes(servers: McpHub) -> list[Route]:
    async def held(request: Request) -> Response:
        """`{"servers": {NAME: [{tool, why, findings, digest, before, now, reason}]}}`; or one `?server=`."""
        names = [row.name for row in servers.status()]
        wanted = request.query_params.get("server")
        if wanted is not None and wanted not in names:
            return _error(404, f"no MCP server `{wanted}`; there are: {', '.join(names) or 'none'}")
        return JSONResponse(
            {"servers": {name: _plain(servers, name) for name in names if wanted in (None, name)}}
        )

    async def approve(request: Request) -> Response:
        """`{"server": NAME, "digests": {TOOL: DIGEST}}`: trust these as they were shown."""
        try:
            body = json.loads(await request.body())
            server, digests = str(body["server"]), {str(k): str(v) for k, v in body["digests"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return _error(400, 'send a JSON object: {"server": "NAME", "digests": {"TOOL": "DIGEST"}}')
        return JSONResponse({"trusted": list(servers.trust(server, digests))})

    return [
        Route("/hub/v1/trust", held, methods=["GET"]),
        Route("/hub/v1/trust", approve, methods=["POST"]),
    ]


def _plain(servers: McpHub, name: str) -> list[dict[str, Any]]:
    return [{**asdict(each), "reason": each.reason} for each in servers.warden.held(name)]


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message}}, status_code=status)
