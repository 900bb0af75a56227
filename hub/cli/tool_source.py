"""The tools, for `tools` and `call`: those of the running hub, or of servers started for the occasion."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from hub.cli import mcp_http
from hub.cli.client import Address, HubClient, NotRunning, error_message, find, not_running
from hub.cli.errors import CommandError, did_you_mean
from hub.cli.options import Reach
from hub.cli.settings import load
from hub.settings import SettingsError
from hub.state_folder import state_folder

if TYPE_CHECKING:
    from hub.mcp_hub import McpHub
    from hub.model_tools import ModelTools
    from hub.settings import LoadedSettings

_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
"""Replaced by `_` in public tool names, as `hub.catalog` does."""
OWN_SERVER = "hub"
"""Stands for the hub's own tools."""
_LONGEST_START = 60.0
_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class ListedTool:
    """`name` is what `/mcp` calls it."""

    name: str
    server: str
    definition: Mapping[str, Any]


class ToolSource(Protocol):
    async def list_tools(self, server: str | None, profile: str | None) -> list[ListedTool]: ...

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The result as MCP has it. Raises `CommandError`, `UnknownTool`."""

    def failures(self) -> list[tuple[str, str]]:
        """Servers that are not up: name and reason."""


class UnknownTool(CommandError):
    pass


@asynccontextmanager
async def open_tools(reach: Reach, *, needed_for: str | None = None) -> AsyncIterator[ToolSource]:
    """The running hub where there is one, else servers started from the settings.

    `needed_for`: the public name of the only tool of interest, so that its server alone is started.
    """
    address = find(reach)
    try:
        with HubClient(address) as hub:
            status = await _settled(hub, needed_for)
    except NotRunning:
        if reach.explicit:
            raise
    else:
        headers = address.headers
        async with httpx.AsyncClient(
            base_url=address.url, headers=headers, timeout=mcp_http.TIMEOUT, trust_env=False
        ) as client:
            yield RunningHub(client, address, status)
        return
    async with _started(reach, needed_for) as local:
        yield local


async def _settled(hub: HubClient, needed_for: str | None) -> Mapping[str, Any]:
    """The hub's status, after a moment of patience for servers of a hub that has just been started."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        status = hub.status()
        starting = [one["name"] for one in status["servers"] if one["state"] == "starting"]
        if needed_for is not None:
            starting = [name for name in starting if needed_for.startswith(prefix(name))]
        if not starting or time.monotonic() > deadline:
            return status
        await asyncio.sleep(_PATIENCE / 20)


class RunningHub:
    """Tools by way of the hub's MCP endpoint."""

    def __init__(self, client: httpx.AsyncClient, address: Address, status: Mapping[str, Any]) -> None:
        self._client = client
        self._address = address
        self._servers: dict[str, Mapping[str, Any]] = {one["name"]: one for one in status["servers"]}
        self._profiles: list[str] = status.get("profiles", [])

    async def list_tools(self, server: str | None, profile: str | None) -> list[ListedTool]:
        check_names(server, (*self._servers, OWN_SERVER), profile, self._profiles)
        asked = {
            name: value for name, value in (("server", server), ("profile", profile)) if value is not None
        }
        try:
            response = await self._client.get("/hub/v1/tools", params=asked)
        except httpx.HTTPError as error:
            raise not_running(self._address, error) from error
        if response.status_code != 200:
            raise CommandError(error_message(response))
        return [ListedTool(**tool) for tool in response.json()["tools"]]

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await self._request("/mcp", "tools/call", {"name": name, "arguments": arguments})
        except mcp_http.McpError as error:
            if "unknown tool" in str(error).lower():
                raise UnknownTool(str(error)) from error
            raise

    async def _request(self, path: str, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await mcp_http.request(self._client, path, method, params)
        except httpx.HTTPError as error:
            raise not_running(self._address, error) from error

    def failures(self) -> list[tuple[str, str]]:
        return [
            (name, f"{one['state']}: {one['reason']}" if one.get("reason") else str(one["state"]))
            for name, one in self._servers.items()
            if one["state"] not in ("ready", "disabled")
        ]


@asynccontextmanager
async def _started(reach: Reach, needed_for: str | None) -> AsyncIterator[StartedServers]:
    """The servers of the settings, for as long as the block lasts."""
    loaded = load(reach.config)
    from hub.cli.run import version
    from hub.mcp_hub import McpHub
    from hub.trust.store import TRUST, scope_of

    logging.getLogger().addHandler(logging.NullHandler())  # what fails is told by `failures`
    servers = loaded.settings.mcp_servers
    wanted = {name: spec for name, spec in servers.items() if (needed_for or "").startswith(prefix(name))}
    servers = wanted or servers
    slowest = max((spec.start_timeout for spec in servers.values()), default=0.0)
    async with McpHub(version=version(), trust_folder=state_folder() / TRUST) as hub:
        hub.warden.follow(scope_of(loaded.path))
        if not wanted:
            hub.add_virtual_server(OWN_SERVER, _own_tools(loaded))
        await hub.apply(servers, loaded.settings.profiles)
        await hub.wait_settled(min(slowest + 1, _LONGEST_START))
        yield StartedServers(hub, loaded.settings.profiles)


def _own_tools(loaded: LoadedSettings) -> ModelTools:
    """To be listed; only a running hub can answer them."""
    from hub.model_tools import ModelTools
    from hub.snapshot import build_table, embedded_providers

    tools = ModelTools()
    if loaded.settings.model_tools:
        not_running = dict.fromkeys(embedded_providers(loaded.settings), "http://127.0.0.1")
        with contextlib.suppress(SettingsError):
            tools.offer(build_table(loaded.settings, loaded.environ, embedded=not_running).groups.values())
    return tools


class StartedServers:
    """Tools of servers that run in this process's care."""

    def __init__(self, hub: McpHub, profiles: Iterable[str]) -> None:
        self._hub = hub
        self._profiles = list(profiles)

    async def list_tools(self, server: str | None, profile: str | None) -> list[ListedTool]:
        servers = [*(one.name for one in self._hub.status()), OWN_SERVER]
        check_names(server, servers, profile, self._profiles)
        return [
            ListedTool(tool.name, tool.server, tool.definition.model_dump(by_alias=True, exclude_none=True))
            for tool in self._hub.list_tools(server=server, profile=profile)
        ]

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        from mcp.shared.exceptions import MCPError

        from hub.downstream.errors import DownstreamError

        if any(tool.name == name for tool in self._hub.list_tools() if tool.server == OWN_SERVER):
            raise CommandError(f"{name} asks the hub's models, and no hub runs; start one: hub serve")
        try:
            result = await self._hub.call_tool(name, arguments)
        except (MCPError, DownstreamError) as error:
            known = {tool.name for tool in self._hub.list_tools()}
            kind = CommandError if name in known else UnknownTool
            raise kind(str(error)) from error
        return result.model_dump(by_alias=True, exclude_none=True, mode="json")

    def failures(self) -> list[tuple[str, str]]:
        return [
            (one.name, f"{one.state}: {one.reason}" if one.reason else one.state)
            for one in self._hub.status()
            if one.state not in ("ready", "disabled")
        ]


def prefix(server: str) -> str:
    """With what the public names of a server's tools begin."""
    return _FORBIDDEN.sub("_", server) + "_"


def check_names(
    server: str | None, servers: Iterable[str], profile: str | None, profiles: Iterable[str]
) -> None:
    """Refuse unknown names, with the nearest known ones."""
    for kind, name, known in (("server", server, list(servers)), ("profile", profile, list(profiles))):
        if name is not None and name not in known:
            hint = did_you_mean(name, known) or f"; the settings have no {kind}"
            raise CommandError(f'unknown {kind} "{name}"{hint}')


async def suggest(source: ToolSource, name: str) -> str:
    """A hint for a tool name that nobody knows."""
    with contextlib.suppress(CommandError):
        names = [tool.name for tool in await source.list_tools(None, None)]
        return did_you_mean(name, names) or "; hub tools lists them"
    return ""
