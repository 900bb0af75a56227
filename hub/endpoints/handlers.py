"""What an endpoint does for each MCP method: look the name up, pass the request on, return the answer.

Answers are raw dictionaries. FastMCP and the SDK would rebuild them from their own models, which
resolves `$defs`, drops what the models do not know and costs time; `RawResults` puts the answer
in place after they have checked the request.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.methods import INPUT_REQUIRED_METHODS
from starlette.types import Scope

from hub.catalog import Item, View, narrow
from hub.discovery_tools import finder
from hub.downstream import Caller
from hub.downstream.errors import DownstreamError
from hub.downstream.listing import Definition
from hub.endpoints import ready, rewrite, tasks
from hub.endpoints.account import ToolAccount
from hub.endpoints.caller import Context, EndpointCaller, connection_of, is_modern, key_of, name_of
from hub.endpoints.connections import LegacyClient, LegacyClients
from hub.endpoints.envelope import dress
from hub.endpoints.parking import ParkingLot
from hub.endpoints.watch import Watch
from hub.keys.words import refusal_of
from hub.trust.audit import Audit
from hub.trust.pages import ADDRESS, READ_MORE, Pages
from hub.usage.records import ToolSink

_RESOURCE_NOT_FOUND = -32002
"""The handshake era's code; 2026-07-28 uses INVALID_PARAMS."""

RATE_LIMITED = -32029
"""One of the codes that JSON-RPC leaves to servers (-32000 to -32099)."""
_OWN = "hub"
"""The server of the hub's own tools, as the account of a call has it."""
_INTRODUCTIONS = ("initialize", "server/discover")
_MOST_PARTS = 256
"""Views for keys that are kept; there are as many as keys with different limits."""
_LARGEST_PART_KEPT = 256 * 1024
"""Bytes of an encoded list of one of these."""

Answer = Coroutine[Any, Any, Mapping[str, Any]]
Params = Mapping[str, Any]
_answer: contextvars.ContextVar[list[dict[str, Any]] | None] = contextvars.ContextVar("answer", default=None)


class Servers(Protocol):
    """What an endpoint needs of the servers behind it."""

    watch: Watch
    task_owners: tasks.Owners

    def request(
        self, server: str, method: str, params: Params, caller: Caller
    ) -> Coroutine[Any, Any, dict[str, Any]]:
        """The raw result. Raises `MCPError` and `DownstreamError`."""

    def subscribe(self, server: str, uri: str, caller: Caller | None = None) -> None:
        """For `caller` alone, where it has a session of its own with the server. Raises `DownstreamError`."""

    def unsubscribe(self, server: str, uri: str, client: object = None) -> None: ...

    def client_gone(self, client: object) -> None:
        """A client's session has ended; `client` was the key of its callers."""

    async def roots_changed(self, client: object) -> None: ...

    def capabilities(self, server: str) -> Mapping[str, Any]:
        """What a server that is up can do, in wire form."""

    def why_unknown(self, name: str) -> str | None:
        """If a name looks like that of a server that is not up: which, and why."""

    def reading_tools(self, servers: Collection[str]) -> tuple[dict[str, Any], ...]:
        """What is listed beside the tools of `servers` to read the rest of results that were cut."""

    @property
    def rests(self) -> Pages: ...

    audit: Audit

    def not_up(self) -> list[tuple[str, str]]:
        """The servers that are not up, with their states."""

    async def set_log_level(self, servers: tuple[str, ...], level: str, client: object) -> None: ...


class Handlers:
    """The methods of one endpoint. `view` is replaced whole; keys with limits see a part of it."""

    def __init__(self, servers: Servers) -> None:
        self._view = View()
        self._parts: dict[object, View] = {}
        self.clients = LegacyClients(self._gone)
        self.bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self.bus)
        self.parking = ParkingLot()
        self.finder = finder.Finder()
        self._servers = servers
        self.profile = ""
        """The endpoint's name in the path."""
        self.sink: ToolSink | None = None
        """Hears of every tool call."""

    @property
    def view(self) -> View:
        return self._view

    @view.setter
    def view(self, view: View) -> None:
        self._view, self._parts = view, {}

    def view_of(self, context: Context) -> View:
        """What the request's key lets it see."""
        key = key_of(context)
        if key.sees_all_tools:
            return self._view
        limits = key.servers, key.tools, key.groups
        if limits not in self._parts:
            if len(self._parts) >= _MOST_PARTS:
                self._parts.clear()
            self._parts[limits] = narrow(self._view, *limits)
        return self._parts[limits]

    def install(self, server: Server[Any]) -> None:
        """Put the handlers in place of FastMCP's on the low-level server."""
        info = server.server_info_stamp
        table: tuple[tuple[str, type[Any], Callable[[Context, Params], Answer]], ...] = (
            ("tools/list", types.PaginatedRequestParams, self._list_tools),
            ("tools/call", types.CallToolRequestParams, self._call_tool),
            ("resources/list", types.PaginatedRequestParams, self._list_resources),
            ("resources/templates/list", types.PaginatedRequestParams, self._list_templates),
            ("resources/read", types.ReadResourceRequestParams, self._read),
            ("resources/subscribe", types.SubscribeRequestParams, self._subscribe),
            ("resources/unsubscribe", types.UnsubscribeRequestParams, self._unsubscribe),
            ("prompts/list", types.PaginatedRequestParams, self._list_prompts),
            ("prompts/get", types.GetPromptRequestParams, self._get_prompt),
            ("completion/complete", types.CompleteRequestParams, self._complete),
            ("logging/setLevel", types.SetLevelRequestParams, self._set_level),
            *((method, types.RequestParams, self._task) for method in tasks.METHODS),
        )
        for method, params_type, handler in table:
            server.add_request_handler(method, params_type, _raw(method, handler, info))
        server.add_request_handler(
            "subscriptions/listen", types.SubscriptionsListenRequestParams, self._listen
        )
        server.add_notification_handler(
            "notifications/roots/list_changed", types.NotificationParams, self._roots_changed
        )
        server.get_tool_input_schema = lambda name: self.view.input_schema(name)
        server.middleware.append(self._middleware)

    async def _middleware(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Innermost: registers sessions, and hands the raw answer past the SDK's models."""
        if ctx.request_id is not None and not is_modern(ctx):
            self.clients.of(connection_of(ctx))
        slot: list[dict[str, Any]] = []
        token = _answer.set(slot)
        try:
            with self._servers.watch.served(ctx.method, ctx.params or {}, _told(ctx), _scope(ctx)):
                result = await call_next(ctx)
            result = slot[0] if slot else result
        finally:
            _answer.reset(token)
        if ctx.method in _INTRODUCTIONS and isinstance(result, dict):
            return self._introduced(ctx, result)
        return result

    def _introduced(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        """The hub's introduction of itself, with the instructions of the servers that the client may see."""
        view = self.view_of(context)
        offered = (self._servers.capabilities(server) for server in view.uris)
        result = tasks.introduced(result, offered, modern=is_modern(context))
        told = view.instructions
        if told == self._view.instructions:
            return result
        kept = {key: value for key, value in result.items() if key != "instructions"}
        return {**kept, "instructions": told} if told else kept

    async def _list_tools(self, context: Context, params: Params) -> Mapping[str, Any]:
        _refuse_cursor(params)
        view = self.view_of(context)
        return self._ready(context, view, "tools", (*view.listed, *self._servers.reading_tools(view.uris)))

    async def _list_prompts(self, context: Context, params: Params) -> Mapping[str, Any]:
        _refuse_cursor(params)
        view = self.view_of(context)
        return self._ready(context, view, "prompts", [item.definition for item in view.prompts])

    async def _list_resources(self, context: Context, params: Params) -> Mapping[str, Any]:
        _refuse_cursor(params)
        view = self.view_of(context)
        return self._ready(context, view, "resources", view.resources)

    async def _list_templates(self, context: Context, params: Params) -> Mapping[str, Any]:
        _refuse_cursor(params)
        view = self.view_of(context)
        return self._ready(context, view, "resourceTemplates", view.templates)

    def _ready(
        self, context: Context, view: View, key: str, definitions: Sequence[Definition]
    ) -> Mapping[str, Any]:
        """A list that is encoded once for its view, and again when it has got longer or shorter."""
        count, content = view.encoded.get(key, (-1, b""))
        if count != len(definitions):
            content = ready.encoded(definitions)
            if view is self._view or len(content) <= _LARGEST_PART_KEPT:
                view.encoded[key] = len(definitions), content
        mark = ready.put(_scope(context), content)
        return {key: list(definitions) if mark is None else mark}

    async def _call_tool(self, context: Context, params: Params) -> Mapping[str, Any]:
        view = self.view_of(context)
        with ToolAccount(self.sink, self.profile, context, params, self._servers.audit) as account:
            if (found := await self._discover(view, params)) is not None:
                account.item(_OWN, str(params["name"]))
                account.result(found)
                return found
            params = finder.meant(params, view)
            account.called_with(params)
            if params["name"] == READ_MORE and READ_MORE not in view.tool_by_name:
                account.item(_OWN, READ_MORE)
                more = self._servers.rests.as_tool(params.get("arguments") or {}, name_of(context))
                account.result(more)
                return more
            item = self._item(view, view.tool_by_name, "tool", str(params["name"]))
            account.item(item.server, item.original)
            answer = await self._pass_on(context, item.server, {**params, "name": item.original})
            account.result(answer)
            self._servers.task_owners.learn(item.server, answer, name_of(context))
            return tasks.rewritten(answer, view.uris[item.server])

    async def _discover(self, view: View, params: Params) -> Mapping[str, Any] | None:
        """The answer to a call of a tool for finding tools, unless it is one of a tool that was found."""
        if not finder.is_asked(params, view):
            return None
        not_up = [(server, state) for server, state in self._servers.not_up() if server in view.uris]
        return await self.finder.answer(params, view, self._view, not_up)

    async def _get_prompt(self, context: Context, params: Params) -> Mapping[str, Any]:
        view = self.view_of(context)
        item = self._item(view, view.prompt_by_name, "prompt", str(params["name"]))
        table = view.uris[item.server]
        answer = await self._pass_on(context, item.server, {**params, "name": item.original})
        return rewrite.prompt_result(answer, table)

    async def _read(self, context: Context, params: Params) -> Mapping[str, Any]:
        if str(params["uri"]).startswith(ADDRESS):
            return self._servers.rests.as_resource(str(params["uri"]), name_of(context))
        server, uri = self._place(context, str(params["uri"]))
        table = self.view.uris[server]
        return rewrite.read_result(await self._pass_on(context, server, {**params, "uri": uri}), table)

    async def _complete(self, context: Context, params: Params) -> Mapping[str, Any]:
        reference = dict(params["ref"])
        if reference.get("type") == "ref/prompt":
            view = self.view_of(context)
            item = self._item(view, view.prompt_by_name, "prompt", str(reference.get("name")))
            server, reference["name"] = item.server, item.original
        else:
            server, reference["uri"] = self._place(context, str(reference.get("uri")))
        return await self._pass_on(context, server, {**params, "ref": reference})

    async def _task(self, context: Context, params: Params) -> Mapping[str, Any]:
        if (refusal := tasks.refusal(context)) is not None:
            raise refusal
        place = self.view_of(context).find_uri(str(params.get("taskId")))
        if place is None or not self._servers.task_owners.may_ask(*place, name_of(context)):
            raise tasks.unknown(params)
        server, own = place
        answer = await self._pass_on(context, server, {**params, "taskId": own})
        return tasks.rewritten(answer, self.view.uris[server])

    async def _subscribe(self, context: Context, params: Params) -> Mapping[str, Any]:
        uri = str(params["uri"])
        server, original = self._place(context, uri)
        client = self.clients.of(connection_of(context))
        if uri not in client.subscribed:
            try:
                self._servers.subscribe(server, original, EndpointCaller(context, client))
            except DownstreamError as error:
                raise MCPError(INTERNAL_ERROR, str(error)) from error
            client.subscribed.add(uri)
        return {}

    async def _unsubscribe(self, context: Context, params: Params) -> Mapping[str, Any]:
        uri = str(params["uri"])
        client = self.clients.of(connection_of(context))
        if uri in client.subscribed:
            client.subscribed.discard(uri)
            self._release((uri,), client)
        return {}

    async def _set_level(self, context: Context, params: Params) -> Mapping[str, Any]:
        client = self.clients.of(connection_of(context))
        client.log_level = str(params["level"])
        await self._servers.set_log_level(tuple(self.view_of(context).uris), client.log_level, client)
        return {}

    async def _roots_changed(self, context: Context, _: Any) -> None:
        if not is_modern(context):
            await self._servers.roots_changed(self.clients.of(connection_of(context)))

    async def _listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        view, wanted = self.view_of(context), params.notifications
        held = [uri for uri in wanted.resource_subscriptions or () if view.find_uri(uri)]
        if view is not self._view:
            wanted = wanted.model_copy(update={"resource_subscriptions": held})
            params = params.model_copy(update={"notifications": wanted})
        for uri in held:
            self._servers.subscribe(*self._place(context, uri))
        try:
            return await self.listen(context, params)
        finally:
            self._release(held)

    def _gone(self, client: LegacyClient) -> None:
        self._release(client.subscribed, client)
        self._servers.client_gone(client)

    def _release(self, uris: Any, client: object = None) -> None:
        for uri in uris:
            if (place := self.view.find_uri(uri)) is not None:
                self._servers.unsubscribe(*place, client)

    async def _pass_on(self, context: Context, server: str, params: Params) -> dict[str, Any]:
        """Requests to servers count to the limits of the client's key."""
        key = key_of(context)
        if key.meter is None:
            return await self._ask(context, server, params)
        if (exceeded := key.meter.enter()) is not None:
            _, kind, message, wait = refusal_of(key.name, exceeded)
            raise MCPError(RATE_LIMITED, message, {"type": kind, "retryAfter": wait})
        try:
            return await self._ask(context, server, params)
        finally:
            key.meter.leave()

    async def _ask(self, context: Context, server: str, params: Params) -> dict[str, Any]:
        client = None if is_modern(context) else self.clients.of(connection_of(context))
        caller = EndpointCaller(context, client, groups=self.view_of(context).groups)
        try:
            if caller.stateless and context.method in INPUT_REQUIRED_METHODS:
                return await self._pass_on_stateless(context, server, params, caller)
            return await self._servers.request(server, context.method, params, caller)
        except DownstreamError as error:
            raise MCPError(INTERNAL_ERROR, str(error)) from error
        except MCPError as error:
            if caller.stateless and caller.lacking:
                raise _lacking(server, caller, error) from error
            raise

    async def _pass_on_stateless(
        self, context: Context, server: str, params: Params, caller: EndpointCaller
    ) -> dict[str, Any]:
        state = params.get("requestState")
        if self.parking.is_parked(state):
            return await self.parking.resume(str(state), params.get("inputResponses") or {}, caller)
        work = self._servers.request(server, context.method, params, caller)
        if not caller.capabilities:
            return await work
        return await self.parking.start(work, caller.questions, caller)

    def _item(self, view: View, table: Mapping[str, Item], what: str, name: str) -> Item:
        item = table.get(name)
        if item is None:
            why = self._servers.why_unknown(name) if view is self._view else None
            raise MCPError(INVALID_PARAMS, f"Unknown {what}: {name}" + (f" ({why})" if why else ""))
        return item

    def _place(self, context: Context, uri: str) -> tuple[str, str]:
        place = self.view_of(context).find_uri(uri)
        if place is None:
            code = INVALID_PARAMS if is_modern(context) else _RESOURCE_NOT_FOUND
            raise MCPError(code, f"Resource not found: {uri}", {"uri": uri})
        return place


def _told(context: Context) -> dict[str, str]:
    """What a trace says of a request beside its method. Notifications have no id."""
    told = {"mcp.protocol.version": context.protocol_version}
    return told if context.request_id is None else {**told, "jsonrpc.request.id": str(context.request_id)}


def _scope(context: Context) -> Scope | None:
    """Of the HTTP request that brought it."""
    return getattr(context.request, "scope", None)


def _lacking(server: str, caller: EndpointCaller, error: MCPError) -> MCPError:
    """What 2026-07-28 has a server say that cannot do without a capability of the client.

    An older server has only heard that its question was refused, and fails in words of its own.
    https://github.com/modelcontextprotocol/modelcontextprotocol/pull/2575
    """
    what = ", ".join(caller.lacking)
    message = f"the client does not offer {what}, which server {server!r} asked for: {error.error.message}"
    return MCPError(
        MISSING_REQUIRED_CLIENT_CAPABILITY, message, {"requiredCapabilities": dict(caller.lacking)}
    )


def _raw(
    method: str, handler: Callable[[Context, Params], Answer], info: Mapping[str, Any]
) -> Callable[[Context, Any], Coroutine[Any, Any, dict[str, Any]]]:
    """A handler for the SDK: leaves the real answer aside, returns one that its models accept."""

    async def handle(context: Context, _: Any) -> dict[str, Any]:
        answer = dress(await handler(context, context.params or {}), method, context.protocol_version, info)
        slot = _answer.get()
        if slot is None:
            return answer
        slot.append(answer)
        return _PLACEHOLDERS[method]

    return handle


_STALE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
_PLACEHOLDERS: dict[str, dict[str, Any]] = {
    "tools/list": {"tools": [], **_STALE},
    "tools/call": {"resultType": "complete", "content": []},
    "resources/list": {"resources": [], **_STALE},
    "resources/templates/list": {"resourceTemplates": [], **_STALE},
    "resources/read": {"contents": [], **_STALE},
    "resources/subscribe": {},
    "resources/unsubscribe": {},
    "prompts/list": {"prompts": [], **_STALE},
    "prompts/get": {"resultType": "complete", "messages": []},
    "completion/complete": {"resultType": "complete", "completion": {"values": []}},
    "logging/setLevel": {},
    **{method: {} for method in tasks.METHODS},
}


def _refuse_cursor(params: Params) -> None:
    if params.get("cursor") is not None:
        raise MCPError(INVALID_PARAMS, "unknown cursor: the hub's lists have one page")
