"""One live MCP session to a downstream server, in whichever era the server speaks.

The SDK negotiates (`server/discover`, else `initialize`) and does the JSON-RPC. Requests and
results pass through here as raw dictionaries, so that nothing that the SDK's models do not know
gets lost. Both eras: https://modelcontextprotocol.io/specification/2026-07-28 and /2025-11-25.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
from mcp.client._probe import negotiate_auto
from mcp.client.session import ClientSession
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.dispatcher import (
    CallOptions,
    DispatchContext,
    OnNotify,
    OnNotifyIntercept,
    OnRequest,
    coerce_request_id,
)
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
    find_invalid_x_mcp_header,
    mcp_param_headers,
    x_mcp_header_map,
)
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.message import MessageMetadata, SessionMessage
from mcp.shared.transport_context import TransportContext
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    LOG_LEVEL_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
    ErrorData,
    Implementation,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    RequestId,
    SamplingCapability,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from hub.downstream.calls import CURRENT_CALL, Call, Caller
from hub.downstream.errors import UNDELIVERED_MARK, ConnectionLost, NotDelivered
from hub.downstream.listing import Definition, Kind
from hub.downstream.troubles import Pace, Troubles

Streams = tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]

_ENVELOPE_KEYS = frozenset(
    {
        "progressToken",
        PROTOCOL_VERSION_META_KEY,
        CLIENT_INFO_META_KEY,
        CLIENT_CAPABILITIES_META_KEY,
        LOG_LEVEL_META_KEY,
        SERVER_INFO_META_KEY,
    }
)
"""`_meta` keys that belong to one hop and are written anew for the next one."""

ABANDONED_SECONDS = 60.0
"""How long a client of 2026-07-28 may owe an answer before it gives way to another client's question.
Whether it will ever come back cannot be told: its request has ended with the question."""

_NAMED = {**NAME_BEARING_METHODS, **dict.fromkeys(("tasks/get", "tasks/update", "tasks/cancel"), "taskId")}
"""Method to the parameter that travels as `Mcp-Name`, too; those of the extension for tasks included.
https://github.com/modelcontextprotocol/ext-tasks, specification/2026-07-28/tasks.md"""

_EVERYTHING: dict[str, Any] = {"sampling": {"context": {}, "tools": {}}, "elicitation": {}, "roots": {}}
"""Capabilities in wire form."""

_LIST_CHANGED: dict[str, Kind] = {
    "notifications/tools/list_changed": "tools",
    "notifications/resources/list_changed": "resources",
    "notifications/prompts/list_changed": "prompts",
}


class Session:
    """Use `open_session`. `closed` is set when the connection has ended."""

    def __init__(
        self,
        name: str,
        wire: _Wire,
        client: ClientSession,
        identity: Implementation,
        on_list_changed: Callable[[Kind], None],
        on_resource_updated: Callable[[str], None],
        troubles: Troubles,
        owner: Caller | None = None,
    ) -> None:
        self.name = name
        self.troubles = troubles
        self._standing = Call(owner) if owner is not None else None
        self.closed = asyncio.Event()
        self.protocol_version = ""
        self.capabilities: dict[str, Any] = {}
        self.instructions: str | None = None
        self.calls: set[Call] = set()
        self._wire = wire
        self._client = client
        self._identity = identity.model_dump(by_alias=True, mode="json", exclude_none=True)
        self._header_maps: dict[str, dict[tuple[str, ...], str]] = {}
        self._on_list_changed = on_list_changed
        self._on_resource_updated = on_resource_updated
        self._log = logging.getLogger(f"hub.server.{name}")

    @property
    def modern(self) -> bool:
        """Whether the server speaks the stateless protocol (2026-07-28)."""
        return self.protocol_version in MODERN_PROTOCOL_VERSIONS

    async def negotiate(self) -> None:
        """Find the era, independently of what any client of the hub speaks."""
        await negotiate_auto(self._client)
        self.protocol_version = self._client.protocol_version or ""
        capabilities = self._client.server_capabilities
        if capabilities is not None:
            self.capabilities = capabilities.model_dump(by_alias=True, mode="json", exclude_none=True)
        self.instructions = self._client.instructions

    def learn_tools(self, tools: tuple[Definition, ...]) -> tuple[Definition, ...]:
        """Remember which arguments travel as `Mcp-Param-*` headers; drop tools that declare them wrongly.

        2026-07-28, Streamable HTTP, "Custom headers": clients MUST do both.
        """
        if not self.modern:
            return tools
        kept = []
        self._header_maps = {}
        for tool in tools:
            schema = tool.get("inputSchema")
            if (reason := find_invalid_x_mcp_header(schema)) is not None:
                self._log.warning("tool %r is left out: invalid x-mcp-header (%s)", tool.get("name"), reason)
                continue
            self._header_maps[str(tool.get("name"))] = x_mcp_header_map(schema)
            kept.append(tool)
        return tuple(kept)

    async def request(
        self,
        method: str,
        params: Mapping[str, Any],
        call: Call | None = None,
        *,
        request_id: str | None = None,
    ) -> dict[str, Any]:
        """Send a request; the raw result.

        Raises `MCPError` (the server's own), `NotDelivered`, `ConnectionLost`.
        """
        if self._wire.ended:
            raise NotDelivered(f"the session to {self.name!r} had ended")
        stamped, options = self._stamp(method, params, call)
        if request_id is not None:
            options["request_id"] = request_id
        token = CURRENT_CALL.set(call)
        if call is not None:
            self.calls.add(call)
        try:
            return await self._wire.send_raw_request(method, stamped, options)
        except MCPError as error:
            if error.error.data == UNDELIVERED_MARK:
                raise NotDelivered(error.error.message) from None
            if error.code == CONNECTION_CLOSED and self._wire.ended:
                raise ConnectionLost(f"the connection to {self.name!r} ended while it worked") from None
            raise
        finally:
            CURRENT_CALL.reset(token)
            if call is not None:
                self.calls.discard(call)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        headers = {MCP_PROTOCOL_VERSION_HEADER: self.protocol_version}
        await self._wire.notify(method, params, {"headers": headers})

    def _stamp(
        self, method: str, params: Mapping[str, Any], call: Call | None
    ) -> tuple[dict[str, Any], CallOptions]:
        stamped = dict(params)
        meta = {k: v for k, v in (stamped.pop("_meta", None) or {}).items() if k not in _ENVELOPE_KEYS}
        headers = {MCP_PROTOCOL_VERSION_HEADER: self.protocol_version}
        caller = call.caller if call is not None else None
        if call is not None:
            meta["progressToken"] = call.token
        if self.modern:
            meta[PROTOCOL_VERSION_META_KEY] = self.protocol_version
            meta[CLIENT_INFO_META_KEY] = self._identity
            # Exactly what this client can do: the server decides by it what it may ask.
            meta[CLIENT_CAPABILITIES_META_KEY] = dict(caller.capabilities) if caller is not None else {}
            if caller is not None and caller.log_level is not None:
                meta[LOG_LEVEL_META_KEY] = caller.log_level
            headers[MCP_METHOD_HEADER] = method
            named = stamped.get(_NAMED.get(method, ""))
            if isinstance(named, str):
                headers[MCP_NAME_HEADER] = encode_header_value(named)
                if method == "tools/call":
                    arguments = stamped.get("arguments")
                    headers |= mcp_param_headers(
                        self._header_maps.get(named, {}), arguments if isinstance(arguments, Mapping) else {}
                    )
        if meta:
            stamped["_meta"] = meta
        return stamped, {"headers": headers}

    async def on_request(
        self, context: DispatchContext[TransportContext], method: str, params: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Hand a question of the server to the one client that it concerns."""
        del context
        if method == "ping":
            return {}
        call = self._call_for(CURRENT_CALL.get())
        if call is None:
            raise MCPError(INTERNAL_ERROR, self._ambiguous(method))
        refusal = call.caller.refusal(self.name, method)
        if refusal is not None:
            raise refusal
        call.hold()
        call.asked_at = asyncio.get_running_loop().time()
        try:
            return await call.caller.ask(method, params)
        finally:
            call.asked_at = None
            call.sign_of_life()

    def _ambiguous(self, method: str) -> str:
        """Why nobody is asked. Who has owed an answer for long gives way, so that the next question passes.

        Not this one: it may be that one's own.
        """
        now = asyncio.get_running_loop().time()
        old = [
            call
            for call in self.calls
            if call.caller.one_request
            and call.asked_at is not None
            and now - call.asked_at > ABANDONED_SECONDS
        ]
        for call in old:
            call.give_way()
        clients = len({id(call.caller.key) for call in self.calls})
        what = f"the hub cannot tell which client {method} is meant for: {clients} clients share this session"
        if old:
            return f"{what}; one that had not answered its question is given up now, so try again"
        return f"{what} right now (`session: per-client` in its settings gives each its own)"

    def on_notification(self, method: str, params: Mapping[str, Any] | None, bound: Call | None) -> bool:
        """Sort a notification of the server, in the order of arrival. Never waits."""
        params = params or {}
        match method:
            case "notifications/progress":
                token = params.get("progressToken")
                for call in self.calls:
                    if call.token == token:
                        self._push(call, method, params)
            case "notifications/message" | "notifications/elicitation/complete":
                if (target := self._call_for(bound)) is not None:
                    self._push(target, method, params)
                else:
                    self._log.info("%s: %.500s", params.get("level", "message"), params.get("data"))
            case "notifications/resources/updated":
                if isinstance(uri := params.get("uri"), str):
                    self._on_resource_updated(uri)
            case _ if method in _LIST_CHANGED:
                self._on_list_changed(_LIST_CHANGED[method])
            case "notifications/cancelled" | "notifications/subscriptions/acknowledged":
                pass
            case _:
                self._log.debug("notification %s is not relayed", method)
        return True

    def _call_for(self, bound: Call | None) -> Call | None:
        """The call that a message belongs to: by its own stream, else if only one client is served now."""
        if bound is not None and bound in self.calls:
            return bound
        if len({id(call.caller.key) for call in self.calls}) == 1:
            return next(iter(self.calls))
        return self._standing

    def _push(self, call: Call, method: str, params: Mapping[str, Any]) -> None:
        if not call.push(method, params):
            self.troubles.note("slow client", method)


class _Wire(JSONRPCDispatcher[TransportContext]):
    """The SDK's dispatcher with the session in place of the SDK's typed client callbacks."""

    def __init__(self, streams: Streams) -> None:
        read, write = streams
        super().__init__(read, write)
        self._incoming = read
        self._pace = Pace()
        self.session: Session | None = None

    @property
    def ended(self) -> bool:
        """True before anybody who waits for an answer is told."""
        return self._closed

    async def _write(self, message: JSONRPCMessage, metadata: MessageMetadata = None) -> None:
        try:
            await super()._write(message, metadata)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            if isinstance(message, JSONRPCRequest):
                raise NotDelivered("the connection had ended") from None
            raise

    async def _dispatch(
        self,
        item: SessionMessage | Exception,
        on_request: OnRequest,
        on_notify: OnNotify,
        sender_ctx: contextvars.Context | None,
    ) -> None:
        """Nothing more is read while it waits here, so a server that floods is held up and not the hub."""
        message = item.message if isinstance(item, SessionMessage) else None
        if isinstance(message, JSONRPCNotification) and (wait := self._pace.step()) > 0:
            if self.session is not None:
                self.session.troubles.note("flood", message.method)
            await asyncio.sleep(wait)
        await super()._dispatch(item, on_request, on_notify, sender_ctx)

    def _resolve_pending(self, request_id: RequestId | None, outcome: dict[str, Any] | ErrorData) -> None:
        known = request_id is not None and coerce_request_id(request_id) in self._pending
        if not known and isinstance(outcome, dict) and self.session is not None:
            self.session.troubles.note("late", f"request {request_id}")
        super()._resolve_pending(request_id, outcome)

    async def run(
        self,
        on_request: OnRequest,
        on_notify: OnNotify,
        on_notify_intercept: OnNotifyIntercept | None = None,
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        session = self.session
        if session is None:
            raise RuntimeError("the wire has no session")

        def intercept(method: str, params: Mapping[str, Any] | None) -> bool:
            context = getattr(self._incoming, "last_context", None)
            bound = context.get(CURRENT_CALL) if context is not None else None
            return session.on_notification(method, params, bound)

        try:
            await super().run(session.on_request, on_notify, intercept, task_status=task_status)
        finally:
            session.closed.set()


async def _unused(*_: object, **__: object) -> Any:
    raise AssertionError("questions are answered by Session.on_request")


@asynccontextmanager
async def open_session(
    name: str,
    streams: Streams,
    *,
    identity: Implementation,
    on_list_changed: Callable[[Kind], None],
    on_resource_updated: Callable[[str], None],
    troubles: Troubles,
    owner: Caller | None = None,
) -> AsyncIterator[Session]:
    """A running, not yet negotiated session over a transport's stream pair.

    A server of the handshake era asks for the client's capabilities once, before any client of the
    hub is there. It gets all that the hub can relay; a question to a client that cannot answer it
    is refused then (`Caller.refusal`). A server of 2026-07-28 gets each client's own, per request.
    With an `owner` the session is that client's alone: it declares what that client does.
    """
    offers = owner.capabilities if owner is not None else _EVERYTHING
    wire = _Wire(streams)
    client = ClientSession(
        dispatcher=wire,
        client_info=identity,
        sampling_callback=_unused if "sampling" in offers else None,
        elicitation_callback=_unused if "elicitation" in offers else None,
        list_roots_callback=_unused if "roots" in offers else None,
        sampling_capabilities=SamplingCapability.model_validate(offers.get("sampling") or {}),
    )
    session = Session(name, wire, client, identity, on_list_changed, on_resource_updated, troubles, owner)
    wire.session = session
    async with client:
        yield session
