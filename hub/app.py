"""The whole hub as one ASGI app: tools below /mcp, chat everywhere else, one set of live settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.active_group import ActiveGroup, state_file
from hub.auth import CALLER, AuthMiddleware
from hub.calls import Calls
from hub.control import Control
from hub.embedded import EmbeddedServers
from hub.inside import Inside
from hub.keys.meters import Meters
from hub.keys.store import NO_KEYS_LEFT, KeyFile, Stored
from hub.logs.pipeline import LogPipeline
from hub.mcp_hub import McpHub
from hub.metrics import CONTENT_TYPE, Metrics
from hub.model_tools import SERVER_NAME as MODEL_TOOLS
from hub.model_tools import ModelTools
from hub.model_tools.gateway import GatewayModels
from hub.model_tools.sampling import Sampling
from hub.oauth.following import follow_logins
from hub.requests import RequestMiddleware
from hub.requests import take as note_record
from hub.scrub import scrubber_of
from hub.settings import LoadedSettings, Settings
from hub.settings.checks import is_loopback
from hub.settings.mcp import DiscoverySettings
from hub.snapshot import Snapshot, embedded_providers, limit_table
from hub.state_folder import state_folder
from hub.sync import LiveSettings
from hub.trust.endpoint import trust_routes
from hub.trust.store import TRUST, scope_of
from hub.usage.endpoint import usage_route
from hub.usage.writer import UsageWriter, database_url
from hub.web_search import WebSearch
from routing.app import chat_app, error_body
from routing.gate import Gate
from routing.gateway import Gateway
from routing.lean_upstream import LeanUpstream
from routing.table import Table
from routing.upstream import AiohttpUpstream, Upstream, UpstreamAnswer, UpstreamRequest

log = logging.getLogger("hub")

_EMBEDDED_PATIENCE = 120.0
"""Seconds that a chat waits for an embedded model that is still being fetched or loaded."""


def hub_version() -> str:
    try:
        return version("ccproxy-hub")
    except PackageNotFoundError:
        return "0"


class Hub:
    """An async context manager; `app` serves while it is entered.

    `load` reads the settings, now and at every change; see `hub.settings.load.load_settings`.
    `pipeline` is the log's, where there is one: it hears of each request. Entering raises what the first
    loading raises.
    """

    def __init__(self, load: Callable[[], LoadedSettings], pipeline: LogPipeline | None = None) -> None:
        self.inside = Inside(hub_version(), pipeline)
        self.embedded = EmbeddedServers()
        self.live = LiveSettings(load, embedded=self._start_embedded)
        self.calls = Calls()
        """Who hears of each chat request and tool call that has ended."""
        self.usage = UsageWriter()
        self.mcp = McpHub(
            version=hub_version(),
            sink=self.calls.take_tool,
            guard=False,  # AuthMiddleware checks Host and Origin
            watch=self.inside,
            trust_folder=state_folder() / TRUST,
        )
        self.model_tools = ModelTools()
        self.mcp.add_virtual_server(MODEL_TOOLS, self.model_tools)
        self.mcp.sampling = self.sampling = Sampling()
        self.gate = Gate(lambda: self.live.current.settings.server.limits)
        self.metrics = Metrics(self.usage.status, self.gate)
        self.meters = Meters()
        self.calls.tell(note_record)
        self.calls.tell(self.metrics.take, self.metrics.take_tool)
        self.calls.tell(self.meters.take)
        self.calls.tell(self.usage.take, self.usage.take)
        if pipeline is not None:
            self.calls.tell(pipeline.take, pipeline.take)
        self._key_file = KeyFile()
        self._key_place: _KeyPlace | None = None
        self._stack = AsyncExitStack()
        self._active_group: ActiveGroup | None = None
        self._ready = self._draining = False
        self.app: ASGIApp = self._not_yet

    async def __aenter__(self) -> Hub:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.inside.close)
            stack.push_async_callback(self.usage.close)
            stack.push_async_callback(self.embedded.aclose)
            await stack.enter_async_context(self.mcp)
            self.live.before_swap(self.inside.prepare)
            self.live.before_swap(self._apply_tools)
            self.live.after_swap(self.inside.follow)
            self.live.after_swap(self._follow_groups)
            self.live.after_swap(self._follow_usage)
            snapshot = await self.live.start()
            self.usage.start()
            self.meters.use_store(self.usage.spent)
            upstream = self.inside.upstream(_Patient(self._upstream_client(), self.embedded))
            stack.push_async_callback(upstream.close)
            guarded = AuthMiddleware(
                self._rooms(upstream),
                lambda: self.live.current.settings,
                error_body,
                stored=self._stored_keys,
                meters=self.meters,
            )
            self.app = RequestMiddleware(guarded, observe=self.inside.observe, done=self.inside.done)
            watching = asyncio.create_task(self.live.watch(), name="watch settings")
            stack.push_async_callback(_end, watching)
            logins = asyncio.create_task(follow_logins(self.mcp.try_logins), name="watch logins")
            stack.push_async_callback(_end, logins)
            log.debug("settings of revision %d are serving", snapshot.revision)
            self._ready = True
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ready = False
        await self._stack.aclose()

    def drain(self) -> None:
        """Say that the hub is stopping: to who asks whether it is ready, and to MCP clients that listen."""
        self._ready, self._draining = False, True
        self.mcp.drain()

    # ------------------------------------------------------------ following the settings

    async def _start_embedded(self, settings: Settings) -> Mapping[str, str]:
        wanted = {
            name: provider.embedded
            for name, provider in embedded_providers(settings).items()
            if provider.embedded is not None
        }
        return await self.embedded.apply(wanted)

    async def _apply_tools(self, new: Snapshot, old: Snapshot | None) -> None:
        settings = new.settings
        self.mcp.audit.follow(settings.audit, scrubber_of(new.loaded).text)
        self.mcp.warden.follow(scope_of(new.loaded.path))
        offered = self.model_tools.offer(new.table.groups.values() if settings.model_tools else ())
        if (
            old is None
            or _mcp_part(settings) != _mcp_part(old.settings)
            or list(settings.mcp_servers) != list(old.settings.mcp_servers)
        ):
            await self.mcp.apply(settings.mcp_servers, settings.profiles, settings)
        elif offered:
            self.mcp.refresh()

    async def _follow_groups(self, new: Snapshot, old: Snapshot | None) -> None:
        if self._active_group is None:
            self._active_group = ActiveGroup(new.loaded.path, state_file())
        self._active_group.follow(tuple(new.table.groups), new.table.default_group)

    async def _follow_usage(self, new: Snapshot, old: Snapshot | None) -> None:
        self.usage.apply(new.settings.usage)

    # ------------------------------------------------------------ upstream

    def _upstream_client(self) -> Upstream:
        """The lean one goes to aiohttp's with what it leaves to it, and with all if the settings say so."""
        return LeanUpstream(
            AiohttpUpstream(), lambda: self.live.current.settings.server.upstream_client == "auto"
        )

    # ------------------------------------------------------------ keys

    def _stored_keys(self, settings: Settings) -> Stored:
        """The keys of `hub keys`. Where the network can reach the hub, a file that is gone lets nobody in."""
        known = self._key_place
        if known is None or known.settings is not settings:
            known = self._key_place = _KeyPlace.of(settings)
        stored = self._key_file.current(known.path)
        if stored.exists or known.may_be_gone:
            return stored
        return NO_KEYS_LEFT

    def _visible(self, table: Table) -> Table:
        """`table` with the groups that the caller may name."""
        groups, snapshot = CALLER.get().groups, self.live.current
        if groups is None:
            return table
        return snapshot.table_for(groups) if snapshot.table is table else limit_table(table, groups)

    # ------------------------------------------------------------ the rooms of the app

    def _rooms(self, upstream: Upstream) -> ASGIApp:
        assert self._active_group is not None
        active_group = self._active_group
        gateway = Gateway(
            lease=lambda: nullcontext(self.live.current.table),
            visible=self._visible,
            upstream=upstream,
            active_group=lambda: active_group.name,
            sink=self.calls.take,
            search=WebSearch(self.mcp),
        )
        models = GatewayModels(gateway, lambda: self.live.current, active_group)
        self.model_tools.models = self.sampling.models = models
        control = Control(
            version=hub_version(),
            current=lambda: self.live.current,
            active_group=active_group,
            settings_state=self._settings_state,
            servers=self.mcp,
            embedded=self.embedded,
            usage=self.usage,
            health=gateway.services.health,
        )
        own = Starlette(
            routes=[
                Route("/healthz", _alive),
                Route("/readyz", self._readiness),
                Route("/metrics", self._metrics),
                *control.routes,
                *trust_routes(self.mcp),
                usage_route(lambda: database_url(self.live.current.settings.usage)),
            ]
        )
        rooms: dict[str, ASGIApp] = {
            "mcp": self.mcp.app,
            **dict.fromkeys(("healthz", "readyz", "metrics", "hub"), own),
        }
        chat = chat_app(
            gateway,
            max_body_bytes=lambda: self.live.current.settings.server.max_body_bytes,
            gate=self.gate,
        )

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            room = rooms.get(scope["path"][1:].partition("/")[0]) if scope["type"] == "http" else None
            await (room or chat)(scope, receive, send)

        return app

    async def _not_yet(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("the hub is starting", 503)(scope, receive, send)

    def _settings_state(self) -> dict[str, Any]:
        status = self.live.status
        refused = bool(status.last_problems)
        return {
            "state": "refused" if refused else "ok",
            "error": "; ".join(str(problem) for problem in status.last_problems) or None,
            "loaded_at": status.applied_at,
            "revision": self.live.current.revision,
        }

    async def _readiness(self, request: Request) -> Response:
        if self._ready:
            return JSONResponse({"status": "ready", "revision": self.live.current.revision})
        return JSONResponse({"status": "stopping" if self._draining else "starting"}, 503)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)


def _mcp_part(settings: Settings) -> tuple[object, ...]:
    """What the MCP hub is made of."""
    own = (getattr(settings, name) for name in DiscoverySettings.model_fields)
    return (settings.mcp_servers, settings.profiles, *own)


async def _alive(request: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class _KeyPlace(NamedTuple):
    """What settings say of the keys of `hub keys`, made out once and not for each request."""

    settings: Settings
    path: Path
    may_be_gone: bool
    """Whether everybody may come in where there is no such file."""

    @classmethod
    def of(cls, settings: Settings) -> _KeyPlace:
        server = settings.server
        open_to_all = server.allow_no_keys or bool(settings.keys) or is_loopback(server.host)
        return cls(settings, server.stored_keys, open_to_all)


class _Patient:
    """An upstream that waits for embedded models which are on their way."""

    def __init__(self, upstream: Upstream, embedded: EmbeddedServers) -> None:
        self._upstream = upstream
        self._embedded = embedded

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        for status in self._embedded.status():
            if status.state != "ready" and request.url.startswith(status.base_url):
                await self._embedded.wait_ready(status.name, _EMBEDDED_PATIENCE)
        return await self._upstream.send(request)

    async def close(self) -> None:
        await self._upstream.close()
