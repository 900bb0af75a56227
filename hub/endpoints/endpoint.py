"""One endpoint: a FastMCP server at one path, for clients of both eras.

The lists come from a catalogue view; setting another one tells exactly those clients for whom
something changed, once for each kind, however many changes came close together.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from fastmcp import FastMCP
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http import GET_STREAM_KEY
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Message, Receive, Scope, Send

from hub.catalog import View
from hub.downstream.listing import Kind
from hub.endpoints import ready
from hub.endpoints.handlers import Handlers, Servers
from hub.keys.caller import ANYONE
from hub.usage.records import ToolSink

_DEBOUNCE_SECONDS = 0.02
_STREAM_SECONDS = 2.0
_LARGEST_BODY = 50 * 1024 * 1024
"""As the default of `server.max_body_bytes`, which is for chats: no tool call comes near."""
_EVENTS: dict[Kind, ServerEvent] = {
    "tools": ToolsListChanged(),
    "resources": ResourcesListChanged(),
    "prompts": PromptsListChanged(),
}
_log = logging.getLogger(__name__)


class Endpoint:
    """`start()`, then serve ASGI scopes by calling it; `view` may be set at any time."""

    def __init__(
        self, name: str, version: str, servers: Servers, *, profile: str = "", sink: ToolSink | None = None
    ) -> None:
        """`profile` is its name in the path, for `sink`, which hears of every tool call."""
        self._fastmcp: FastMCP[Any] = FastMCP(name, version=version, dereference_schemas=False)
        self._server = self._fastmcp._mcp_server  # noqa: SLF001 - FastMCP has no other way to the wire
        self._handlers = Handlers(servers)
        self._handlers.profile, self._handlers.sink = profile, sink
        self._handlers.install(self._server)
        self._told = View()
        self._manager = StreamableHTTPSessionManager(
            app=self._server,
            # The hub checks Host and Origin once, in front of all endpoints.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=_LARGEST_BODY,
        )
        self._teller: asyncio.Task[None] | None = None
        self._runner: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def view(self) -> View:
        return self._handlers.view

    def show(self, view: View) -> None:
        """Swap the lists; clients hear of it a moment later if they would see a difference."""
        self._handlers.view = view
        self._server.instructions = view.instructions
        if self._teller is None and view.changed_kinds(self._told):
            self._teller = asyncio.create_task(self._tell())

    async def start(self) -> None:
        started = asyncio.Event()
        self._runner = asyncio.create_task(self._run(started))
        await started.wait()

    def drain(self) -> None:
        """End the streams on which clients only listen: they come back, and learn that nobody is there."""
        self._handlers.listen.close()
        for transport in list(self._manager._server_instances.values()):  # noqa: SLF001
            transport.close_standalone_sse_stream()

    async def stop(self) -> None:
        """End every session and stream."""
        self._handlers.listen.close()
        self._handlers.parking.close()
        for task in (self._teller, *self._tasks):
            if task is not None:
                task.cancel()
        if self._runner is not None:
            for transport in list(self._manager._server_instances.values()):  # noqa: SLF001 - as FastMCP does
                with suppress(Exception):
                    await transport.terminate()
            self._runner.cancel()
            await asyncio.wait([self._runner], timeout=3)

    def resource_updated(self, server: str, uri: str, only: object = None) -> None:
        """Tell the clients that subscribed to a resource of a server that it changed; or `only` that one."""
        table = self.view.uris.get(server)
        if table is None:
            return
        public = table.public(uri)
        for client in self._handlers.clients:
            # A server may name a part of what was subscribed to.
            if only in (None, client) and any(
                public.startswith(subscribed) for subscribed in client.subscribed
            ):
                client.tell("notifications/resources/updated", public)
        if only is None:
            self._spawn(self._handlers.bus.publish(ResourceUpdated(public)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # RFC 9110, 5.5: whitespace around a field value is no part of it; httptools leaves it there.
        scope = {**scope, "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]]}
        # With it the session manager lets nobody use a session who did not begin it.
        scope["user"] = _user(scope)
        send = ready.watching(scope, send)
        session = _session_id(scope)
        if scope["method"] != "GET" or session is None:
            await self._manager.handle_request(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._spawn(self._stream_opened(session))

        try:
            await self._manager.handle_request(scope, receive, watched)
        finally:
            self._handlers.clients.stream_closed(session)

    async def _stream_opened(self, session: str) -> None:
        """The transport registers its stream just after the response's start; before, it drops messages."""
        deadline = asyncio.get_running_loop().time() + _STREAM_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            transport = self._manager._server_instances.get(session)  # noqa: SLF001
            if transport is None:
                return
            if GET_STREAM_KEY in transport._request_streams:  # noqa: SLF001
                self._handlers.clients.stream_opened(session)
                return
            await asyncio.sleep(0.002)

    async def _run(self, started: asyncio.Event) -> None:
        async with self._manager.run():
            started.set()
            await asyncio.Event().wait()

    async def _tell(self) -> None:
        await asyncio.sleep(_DEBOUNCE_SECONDS)
        self._teller = None
        kinds = self.view.changed_kinds(self._told)
        self._told = self.view
        for kind in kinds:
            for client in self._handlers.clients:
                client.tell(f"notifications/{kind}/list_changed")
            await self._handlers.bus.publish(_EVENTS[kind])

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _user(scope: Scope) -> AuthenticatedUser:
    """The holder of the hub's key, in the SDK's terms; it compares the name alone."""
    caller = scope.get("state", {}).get("caller", ANYONE)
    return AuthenticatedUser(AccessToken(token="", client_id=caller.name, scopes=[]))


def _session_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"mcp-session-id":
            return str(value.decode("latin-1"))
    return None
