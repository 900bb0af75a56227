"""The MCP hub: many downstream servers behind `/mcp`, `/mcp/{profile}` and `/mcp/{server}`.

Settings come in through `apply`; requests through `app`. Nothing here waits for a downstream
server: the hub serves what is up, and tells its clients when more comes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from fastmcp.server.http import HostOriginGuardMiddleware
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, Implementation, Tool
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.catalog import LIST_ALL, Catalog, Item, Names, View
from hub.downstream import Caller, DownstreamServer, Listing, NoCaller, ServerStatus, Watchdog
from hub.downstream.errors import DownstreamError, Unavailable
from hub.downstream.status import in_words
from hub.endpoints import Endpoint
from hub.endpoints.tasks import Owners
from hub.endpoints.watch import NOBODY, Watch
from hub.settings.mcp import DiscoverySettings, McpServerSettings, ProfileSettings
from hub.trust import pages
from hub.trust.audit import Audit
from hub.trust.guard import Guard, may_be_cut
from hub.trust.scan import visible
from hub.trust.warden import INSTRUCTIONS, Warden
from hub.usage.records import ToolSink

_GRACE_SECONDS = 1.5
"""How long a settings change waits for its new servers, so that clients are told once.
They must be told within 2 s of the save."""
_MOST_NAMED = 3
"""Tools that are named in one line of a status."""
_RETIRE_SECONDS = 30.0
"""For calls in flight on a removed server."""


@dataclass(frozen=True, slots=True)
class PublicTool:
    """A tool as `hub tools` shows it: `name` is what `/mcp` calls it."""

    name: str
    server: str
    original: str
    definition: Tool


class VirtualServer(Protocol):
    """A server that the hub plays itself. Its tools are listed and called like any other's."""

    @property
    def listing(self) -> Listing: ...

    async def request(self, method: str, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]: ...


class Sampler(Protocol):
    """Answers servers that ask for a model in place of the client, where their settings say so."""

    def caller(self, server: str, settings: McpServerSettings, caller: Caller) -> Caller: ...


class McpHub:
    """An async context manager; `app` serves while it is entered.

    `app` checks Host and Origin against DNS rebinding itself (loopback, the bound address,
    `allowed_hosts`, `allowed_origins`), unless `guard=False` says that something in front of it does.
    `sink` hears of every tool call.
    """

    def __init__(
        self,
        *,
        version: str,
        log: logging.Logger | None = None,
        allowed_hosts: Sequence[str] = (),
        allowed_origins: Sequence[str] = (),
        guard: bool = True,
        sink: ToolSink | None = None,
        watch: Watch | None = None,
        trust_folder: Path | None = None,
    ) -> None:
        """`trust_folder` is where it remembers what servers said of their tools; None: only while it runs."""
        self.warden = Warden(trust_folder)
        self._guard = Guard(self.warden)
        self.audit = Audit(trust_folder)
        self.watch: Watch = watch or NOBODY
        """Who looks on while requests are answered and passed on."""
        self.task_owners = Owners()
        self.sampling: Sampler | None = None
        """Who answers for servers that ask for a model and whose settings say that the hub does."""
        self._sink = sink
        self._version = version
        self._log = log or logging.getLogger("hub.mcp")
        self._identity = Implementation(name="hub", version=version)
        self._watchdog = Watchdog(self._log)
        self._servers: dict[str, DownstreamServer] = {}
        self._virtual: dict[str, VirtualServer] = {}
        self._profiles: dict[str, ProfileSettings] = {}
        self._discovery = LIST_ALL
        self._catalog = Catalog()
        self._endpoints: dict[str, Endpoint] = {}
        self._applying = asyncio.Lock()
        self._retiring: dict[DownstreamServer, asyncio.Task[None]] = {}
        self._entered = False
        self.app: ASGIApp = self._serve
        if guard:
            self.app = HostOriginGuardMiddleware(
                self._serve, tuple(allowed_hosts) or None, tuple(allowed_origins) or None
            )

    async def __aenter__(self) -> McpHub:
        self._entered = True
        await self._open_endpoints(("",))
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._applying:
            self._entered = False
            retiring = dict(self._retiring)
            await asyncio.gather(
                *(server.stop() for server in (*self._servers.values(), *retiring)),
                *(endpoint.stop() for endpoint in self._endpoints.values()),
                return_exceptions=True,
            )
            await asyncio.gather(*retiring.values(), return_exceptions=True)
            self._endpoints.clear()
            self._watchdog.close()

    async def apply(
        self,
        servers: Mapping[str, McpServerSettings],
        profiles: Mapping[str, ProfileSettings],
        discovery: DiscoverySettings = LIST_ALL,
    ) -> None:
        """Make these the served settings; `discovery` is for `/mcp`.

        Servers with equal settings keep their session and process. New ones start in the
        background; a change of running settings waits up to 1.5 s for them, so that one swap
        and one notification of each kind cover it. Removed ones end after their calls in flight.
        """
        async with self._applying:
            first = not self._servers
            kept = {
                name: server
                for name, server in self._servers.items()
                if name in servers and server.settings.has_same_session(servers[name])
            }
            new = {name: self._make(name, spec) for name, spec in servers.items() if name not in kept}
            try:
                for server in new.values():
                    server.start()
                if new and not first:
                    await self._settle(list(new.values()), _GRACE_SECONDS)
            except BaseException:
                await asyncio.gather(*(server.stop() for server in new.values()))
                raise
            old = [server for name, server in self._servers.items() if name not in kept]
            for server in old:
                if server.name in new:
                    new[server.name].subscriptions.take_over(server.subscriptions)
            for name, server in kept.items():
                server.settings = servers[name]
            self._servers = {name: kept.get(name) or new[name] for name in servers}
            self._profiles = dict(profiles)
            self._discovery = discovery
            await self._open_endpoints(("", *self._own(servers), *servers, *profiles))
            self._rebuild()
            await self._close_endpoints({"", *self._own(servers), *servers, *profiles})
            for server in old:
                self._retire(server)

    def add_virtual_server(self, name: str, server: VirtualServer) -> None:
        """Serve the hub's own tools beside the downstream ones, from the next `apply` on."""
        self._virtual[name] = server

    def drain(self) -> None:
        """End the streams on which clients only listen; calls under way go on."""
        for endpoint in self._endpoints.values():
            endpoint.drain()

    def try_logins(self) -> None:
        """Somebody has logged in or out: servers that wait for it try at once."""
        for server in self._servers.values():
            server.try_again()

    def refresh(self) -> None:
        """Look at the hub's own servers again: what they offer has changed."""
        self._rebuild()

    def _own(self, configured: Collection[str]) -> tuple[str, ...]:
        """The hub's own servers; one of the settings with the same name stands in the place of it."""
        return tuple(name for name in self._virtual if name not in configured)

    def status(self) -> list[ServerStatus]:
        """One row for each configured server, in the settings' order."""
        return [self._with_held(server.status()) for server in self._servers.values()]

    def _with_held(self, status: ServerStatus) -> ServerStatus:
        if not (held := self.warden.held(status.name)):
            return status
        names = ", ".join(visible(each.tool) for each in held[:_MOST_NAMED])
        more = f" and {len(held) - _MOST_NAMED} more" if len(held) > _MOST_NAMED else ""
        note = f"held back: {names}{more} ({held[0].reason}): hub trust {status.name}"
        return replace(
            status,
            tools=status.tools - sum(each.tool != INSTRUCTIONS for each in held),
            notes=(note, *status.notes),
        )

    def trust(self, server: str, digests: Mapping[str, str]) -> tuple[str, ...]:
        """Show tools that were held back, by name and the digest of what was looked at; those that were."""
        trusted = self.warden.approve(server, digests)
        if trusted:
            self._rebuild()
        return trusted

    async def wait_settled(self, timeout: float) -> None:
        """Until every server is ready, failed or disabled, or `timeout` seconds have passed."""
        await self._settle(list(self._servers.values()), timeout)

    def list_tools(self, *, server: str | None = None, profile: str | None = None) -> list[PublicTool]:
        """The tools of `/mcp`, of one server, or of one profile. Raises `KeyError` for an unknown name."""
        view = self._catalog.everything if profile is None else self._catalog.by_name[profile]
        if server is not None and server not in self._servers and server not in self._virtual:
            raise KeyError(server)
        return [
            PublicTool(item.public, item.server, item.original, Tool.model_validate(item.definition))
            for item in view.tools
            if server is None or item.server == server
        ]

    async def call_tool(
        self, name: str, arguments: Mapping[str, Any], *, caller: Caller | None = None
    ) -> CallToolResult:
        """Call a tool by its public name.

        Raises `MCPError` (an unknown name, or the server's own error) and `DownstreamError`.
        """
        item: Item | None = self._catalog.everything.tool_by_name.get(name)
        if item is None:
            why = self.why_unknown(name)
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {name}" + (f" ({why})" if why else ""))
        params = {"name": item.original, "arguments": dict(arguments)}
        result = await self.request(item.server, "tools/call", params, caller or NoCaller())
        return CallToolResult.model_validate(result)

    async def request(
        self, server: str, method: str, params: Mapping[str, Any], caller: Caller
    ) -> dict[str, Any]:
        """Pass a request on to a server, in that server's own names."""
        if server in self._own(self._servers):
            return await self._virtual[server].request(method, params, caller)
        downstream = self._servers.get(server)
        if downstream is None:
            raise Unavailable(f"server {server!r} is not in the settings any more")
        if self.sampling is not None:
            caller = self.sampling.caller(server, downstream.settings, caller)

        async def send(timeout: float | None = None) -> dict[str, Any]:
            with self.watch.asked(server, method, params, downstream.settings.transport):
                return await downstream.request(method, params, caller, timeout=timeout)

        if method == "tools/call":
            return await self._guard.call(downstream, params, caller, send)
        return await send()

    def reading_tools(self, servers: Collection[str]) -> tuple[dict[str, Any], ...]:
        """The tool that reads the rest of cut results, for who sees a server whose results may be cut."""
        known = (self._servers[name] for name in servers if name in self._servers)
        return (pages.DEFINITION,) if any(may_be_cut(each.settings) for each in known) else ()

    @property
    def rests(self) -> pages.Pages:
        """What was left of results that were too large."""
        return self._guard.pages

    def subscribe(self, server: str, uri: str, caller: Caller | None = None) -> None:
        if (downstream := self._servers.get(server)) is not None:
            if caller is not None and self.sampling is not None:
                caller = self.sampling.caller(server, downstream.settings, caller)
            downstream.subscriptions_of(caller).add(uri)

    def unsubscribe(self, server: str, uri: str, client: object = None) -> None:
        if (downstream := self._servers.get(server)) is not None:
            downstream.release(uri, client)

    def client_gone(self, client: object) -> None:
        for server in (*self._servers.values(), *self._retiring):
            server.client_gone(client)

    async def roots_changed(self, client: object) -> None:
        await asyncio.gather(*(server.roots_changed(client) for server in self._servers.values()))

    async def set_log_level(self, servers: tuple[str, ...], level: str, client: object = None) -> None:
        """Pass a client's `logging/setLevel` on to the servers that it sees."""
        reached = [self._servers[name] for name in servers if name in self._servers]
        await asyncio.gather(*(server.set_log_level(level, client) for server in reached))

    def capabilities(self, server: str) -> Mapping[str, Any]:
        """What a server that is up can do, in wire form; empty for others."""
        downstream = self._servers.get(server)
        return downstream.listing.capabilities if downstream is not None and not downstream.down else {}

    def why_unknown(self, name: str) -> str | None:
        """Which server that is not up, or tool that is held back, a public name points to, and why."""
        names = Names((*self._servers, *self._own(self._servers)))
        for server in self._servers.values():
            for held in self.warden.held(server.name):
                if name in (names.public(server.name, held.tool), held.tool):
                    return self._guard.refusal(server.name, held.tool)
            status = server.status()
            if status.state != "ready" and name.startswith(Names((server.name,)).prefix(server.name)):
                return f"server {server.name!r} {in_words(status.state)}" + (
                    f": {status.reason}" if status.reason else ""
                )
        return None

    def not_up(self) -> list[tuple[str, str]]:
        """The servers that are not up, with their states."""
        return [(each.name, each.state) for each in self.status() if each.state != "ready"]

    def _make(self, name: str, settings: McpServerSettings) -> DownstreamServer:
        return DownstreamServer(
            name,
            settings,
            identity=self._identity,
            watchdog=self._watchdog,
            on_change=self._rebuild,
            on_resource_updated=self._resource_updated,
        )

    async def _settle(self, servers: Sequence[DownstreamServer], timeout: float) -> None:
        waits = [asyncio.create_task(server.settled.wait()) for server in servers]
        if waits:
            try:
                await asyncio.wait(waits, timeout=timeout)
            finally:
                for wait in waits:
                    wait.cancel()

    def _rebuild(self) -> None:
        """Build the catalogue from what is up now and show each endpoint its view."""
        own = self._own(self._servers)
        listings = {name: self._virtual[name].listing for name in own}
        listings |= {
            name: self.warden.admit(name, server.settings, server.listing).listing
            for name, server in self._servers.items()
            if not server.down
        }
        self._catalog = Catalog.build((*self._servers, *own), listings, self._profiles, own, self._discovery)
        for name, endpoint in self._endpoints.items():
            endpoint.show(self._catalog.by_name.get(name, View()) if name else self._catalog.everything)

    def _resource_updated(self, server: str, uri: str, client: object) -> None:
        for endpoint in self._endpoints.values():
            endpoint.resource_updated(server, uri, client)

    def _retire(self, server: DownstreamServer) -> None:
        task = asyncio.create_task(server.stop(patience=_RETIRE_SECONDS if self._entered else 0))
        self._retiring[server] = task
        task.add_done_callback(lambda _: self._retiring.pop(server, None))

    async def _open_endpoints(self, names: Sequence[str]) -> None:
        if not self._entered:
            return
        for name in dict.fromkeys(names):
            if name not in self._endpoints:
                title = f"hub/{name}" if name else "hub"
                endpoint = Endpoint(title, self._version, self, profile=name, sink=self._sink)
                await endpoint.start()
                self._endpoints[name] = endpoint

    async def _close_endpoints(self, wanted: set[str]) -> None:
        gone = [self._endpoints.pop(name) for name in list(self._endpoints) if name not in wanted]
        await asyncio.gather(*(endpoint.stop() for endpoint in gone))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        name = _endpoint_name(scope)
        endpoint = self._endpoints.get(name)
        if endpoint is not None:
            await endpoint(scope, receive, send)
            return
        known = ["/mcp", *(f"/mcp/{known}" for known in sorted(self._endpoints) if known)]
        message = f"there is no MCP endpoint {name!r}; known: {', '.join(known)}"
        await _send_json(send, 404, {"error": {"message": message, "known": known}})


def _endpoint_name(scope: Scope) -> str:
    """What follows `/mcp` in the path; mounted or not, with or without a slash at the end."""
    path = str(scope["path"])
    _, _, name = path.partition("/mcp")
    return name.strip("/")


async def _send_json(send: Send, status: int, body: Mapping[str, Any]) -> None:
    content = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


__all__ = ["DownstreamError", "McpHub", "PublicTool", "VirtualServer"]
