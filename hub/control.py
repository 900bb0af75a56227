"""The control endpoints below `/hub/v1`, which the command line uses: status, tools and switching."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub import SERVER_NAME
from hub.active_group import ActiveGroup
from hub.doctor.servers import latencies
from hub.mcp_hub import McpHub
from hub.snapshot import Snapshot
from routing.health import Health, key_subject, target_subject
from routing.table import Group, Target

_OF_KEY = ("state", "rests", "cause", "failures", "in_flight")


class Part(Protocol):
    """Something that tells its state as a dataclass, or a list of them."""

    def status(self) -> Any: ...


class Control:
    """What `/hub/v1` tells and does."""

    def __init__(
        self,
        *,
        version: str,
        current: Callable[[], Snapshot],
        active_group: ActiveGroup,
        settings_state: Callable[[], dict[str, Any]],
        servers: McpHub,
        embedded: Part,
        usage: Part,
        health: Health,
    ) -> None:
        self._version = version
        self._current = current
        self._active_group = active_group
        self._settings_state = settings_state
        self._servers = servers
        self._embedded = embedded
        self._usage = usage
        self._health = health
        self._started = time.monotonic()

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/hub/v1/status", self.status, methods=["GET"]),
            Route("/hub/v1/switch", self.switch, methods=["POST"]),
            Route("/hub/v1/tools", self.tools, methods=["GET"]),
            Route("/hub/v1/latency", self.latency, methods=["GET"]),
        ]

    async def status(self, request: Request) -> Response:
        """Everything that `hub status` and `hub groups` show; no secret is part of it."""
        snapshot = self._current()
        path = snapshot.loaded.path
        return JSONResponse(
            {
                "name": SERVER_NAME,
                "version": self._version,
                "pid": os.getpid(),
                "uptime": round(time.monotonic() - self._started, 1),
                "config": str(path.absolute()) if path is not None else None,
                "active_group": self._active_group.name,
                "default_group": snapshot.table.default_group,
                "settings": self._settings_state(),
                "servers": [_plain(status) for status in self._servers.status()],
                "embedded": [_plain(status) for status in self._embedded.status()],
                "usage": _plain(self._usage.status()),
                "groups": [self._group(group) for group in snapshot.table.groups.values()],
                "profiles": sorted(snapshot.settings.profiles),
            }
        )

    async def switch(self, request: Request) -> Response:
        """Make another group the active one: `{"group": NAME}`."""
        try:
            group = json.loads(await request.body())["group"]
        except (ValueError, KeyError, TypeError):
            return _error(400, 'send a JSON object with the group: {"group": "NAME"}')
        known = self._current().table.groups
        if group not in known:
            near = get_close_matches(str(group), known, 1)
            hint = f"; did you mean `{near[0]}`?" if near else f"; there are: {', '.join(known) or 'none'}"
            return _error(404, f"no group `{group}`{hint}")
        self._active_group.switch(group)
        return JSONResponse({"active_group": group})

    async def tools(self, request: Request) -> Response:
        """The tools of `/mcp`, or of `?profile=` and `?server=`, each with its server and definition."""
        server, profile = (request.query_params.get(name) for name in ("server", "profile"))
        try:
            found = self._servers.list_tools(server=server, profile=profile)
        except KeyError as unknown:
            return _error(404, f"no profile or server `{unknown.args[0]}`")
        return JSONResponse(
            {
                "tools": [
                    {
                        "name": tool.name,
                        "server": tool.server,
                        "definition": tool.definition.model_dump(
                            by_alias=True, mode="json", exclude_none=True
                        ),
                    }
                    for tool in found
                ]
            }
        )

    async def latency(self, request: Request) -> Response:
        """Seconds that each MCP server takes to answer now, or why it does not."""
        return JSONResponse({"servers": await latencies(self._servers)})

    def _group(self, group: Group) -> dict[str, Any]:
        return {
            "name": group.name,
            "description": group.description,
            "active": group.name == self._active_group.name,
            "strategy": group.strategy,
            "fallback": group.fallback,
            "targets": [self._target(target) for target in group.targets],
            "models": {glob: self._target(target) for glob, target in group.models},
        }

    def _target(self, target: Target) -> dict[str, Any]:
        """`keys` are in the order of the settings, and not named."""
        standing = self._health.standing
        return {
            "provider": target.provider.name,
            "model": target.model,
            "protocol": target.provider.protocol,
            "weight": target.weight,
            "priority": target.priority,
            **asdict(standing(target_subject(target))),
            "keys": [
                {
                    name: value
                    for name, value in asdict(standing(key_subject(target, key))).items()
                    if name in _OF_KEY
                }
                for key in target.provider.api_keys
            ],
        }


def _plain(status: Any) -> Any:
    return asdict(status) if is_dataclass(status) and not isinstance(status, type) else status


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message}}, status_code=status)
