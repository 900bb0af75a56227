"""The client behind a request on an endpoint, as a downstream session needs to know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp.server.connection import Connection, allowed_log_levels
from mcp.server.context import ServerRequestContext
from mcp.shared.dispatcher import DispatchContext
from mcp.shared.exceptions import MCPError
from mcp_types import LOG_LEVEL_META_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from hub.downstream import Caller
from hub.downstream.calls import CAPABILITY_FOR
from hub.endpoints.connections import LegacyClient
from hub.endpoints.parking import Questions
from hub.keys.caller import ANYONE
from hub.keys.caller import Caller as KeyHolder

Context = ServerRequestContext[Any, Any]
_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


def connection_of(context: Context) -> Connection:
    """The connection behind a request. The SDK's session keeps it private and offers no other way
    to tell two clients apart or to notify one outside of a request."""
    return context.session._connection  # noqa: SLF001


def channel_of(context: Context) -> DispatchContext[Any]:
    """The request's own channel, raw: the typed helpers drop whatever their models do not know."""
    return context.session._request_outbound  # noqa: SLF001


def is_modern(context: Context) -> bool:
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS


def key_of(context: Context) -> KeyHolder:
    """Whose key the request came with. A session's task was started by another request, so its own
    context variable would tell who began the session."""
    scope = getattr(context.request, "scope", None) or {}
    holder = scope.get("state", {}).get("caller")
    return holder if isinstance(holder, KeyHolder) else ANYONE


def name_of(context: Context) -> str:
    """The name of the hub's key that a request came with; "" where it needs none."""
    holder = key_of(context)
    return "" if holder is ANYONE else holder.name


class EndpointCaller(Caller):
    """One request of one client."""

    def __init__(
        self, context: Context, client: LegacyClient | None, *, groups: frozenset[str] | None = None
    ) -> None:
        self.groups = groups
        self.key_name = name_of(context)
        self.may_switch = not key_of(context).is_limited
        connection = connection_of(context)
        capabilities = connection.client_capabilities
        self._channel = channel_of(context)
        # Raw: the SDK's `context.meta` has its own spelling of some keys.
        meta = (context.params or {}).get("_meta") or {}
        self._token = meta.get("progressToken")
        self._client = client
        self.wants_progress = self._token is not None
        self.questions = Questions()
        self.lacking: dict[str, dict[str, Any]] = {}
        """What the server would have needed of the client, in the form of `requiredCapabilities`."""
        self.protocol_version = context.protocol_version
        self.capabilities = (
            capabilities.model_dump(by_alias=True, mode="json", exclude_none=True) if capabilities else {}
        )
        if client is None:
            # Stateless: two requests may be two clients. Only the request itself is certain.
            self.key: object = self
            self.can_be_asked = True
            self.stateless = self.one_request = True
            level = meta.get(LOG_LEVEL_META_KEY)
            self.log_level = level if isinstance(level, str) else None
            self._levels: frozenset[str] = allowed_log_levels(context.protocol_version, meta)
        else:
            self.key = client
            self.can_be_asked = context.session.can_send_request
            self.log_level = client.log_level or "info"
            lowest = _LEVELS.index(client.log_level) if client.log_level in _LEVELS else 0
            self._levels = frozenset(_LEVELS[lowest:])

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        match method:
            case "notifications/progress":
                if self._token is None:
                    return
                params = {**params, "progressToken": self._token}
            case "notifications/message":
                if params.get("level") not in self._levels:
                    return
        await self._channel.notify(method, params)

    def refusal(self, server: str, method: str) -> MCPError | None:
        refusal = super().refusal(server, method)
        capability = CAPABILITY_FOR.get(method)
        if refusal is not None and capability is not None and self.capabilities.get(capability) is None:
            self.lacking[capability] = {}
        return refusal

    def outside(self) -> Caller:
        return ClientCaller(self._client, self) if self._client is not None else self

    def continue_as(self, other: EndpointCaller) -> None:
        """The client has sent its request again: notifications belong to the new one now."""
        self._channel, self._token, self._levels = other._channel, other._token, other._levels

    async def ask(self, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        if self.stateless:
            return await self.questions.ask(method, params)
        return await self._channel.send_raw_request(method, params)


class ClientCaller(Caller):
    """A client of the handshake era between its requests: it hears and answers on its own stream."""

    def __init__(self, client: LegacyClient, first: EndpointCaller) -> None:
        self.key = self._client = client
        self.protocol_version, self.capabilities = first.protocol_version, first.capabilities
        self.groups, self.key_name, self.may_switch = first.groups, first.key_name, first.may_switch

    @property
    def can_be_asked(self) -> bool:  # type: ignore[override] # it comes and goes
        return self._client.open

    @property
    def log_level(self) -> str | None:  # type: ignore[override] # it may change
        return self._client.log_level

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        lowest = _LEVELS.index(self.log_level) if self.log_level in _LEVELS else 0
        if method == "notifications/message" and params.get("level") not in _LEVELS[lowest:]:
            return
        await self._client.connection.outbound.notify(method, params)

    async def ask(self, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        return await self._client.connection.outbound.send_raw_request(method, params)
