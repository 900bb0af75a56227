"""The chat endpoints as raw ASGI: a path to a call, a call's answer to the wire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any

from adapters import registry
from adapters.canonical import ChatError, ErrorKind
from adapters.codec import Codec
from adapters.jsontext import dump_bytes
from routing.answers import Answer, StreamBroken, error_answer, json_answer
from routing.body import Gone, Unreadable, read_body
from routing.call import Call, call_at
from routing.gate import FixedLimits, Full, Gate
from routing.gateway import Gateway
from routing.resolve import SWITCH
from routing.routes import COMPAT, Endpoint, Endpoints, Found, RouteTable, pick

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("hub.routing")

MAX_BODY_BYTES = 50 * 2**20
_NO_STATE: dict[str, Any] = {}
_WATCH_AFTER = 0.05
"""Seconds until a request is listened to for its client going away: most are done before."""


def chat_app(
    gateway: Gateway, *, max_body_bytes: Callable[[], int] = lambda: MAX_BODY_BYTES, gate: Gate | None = None
) -> ASGIApp:
    """The ASGI app of all chat endpoints; it answers 404 to whatever is no path of theirs."""
    return _ChatApp(gateway, max_body_bytes, gate or Gate(FixedLimits))


def error_body(path: str, status: int, kind: ErrorKind, message: str) -> tuple[str, bytes]:
    """Content type and body of an error in the shape of the protocol that `path` belongs to."""
    _, document = _default_routes().nearest(path).encode_error(ChatError(kind, message, status))
    return "application/json", dump_bytes(document)


_defaults: list[RouteTable] = []


def _default_routes() -> RouteTable:
    if not _defaults:
        _defaults.append(RouteTable(registry.codecs()))
    return _defaults[0]


class _ChatApp:
    def __init__(self, gateway: Gateway, max_body_bytes: Callable[[], int], gate: Gate) -> None:
        self._gateway = gateway
        self._gate = gate
        self._max_body_bytes = max_body_bytes
        self._routes = RouteTable(gateway.codecs)
        self._codecs = {codec.name: codec for codec in gateway.codecs}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await _refuse_websocket(scope, receive, send)
            case "lifespan":
                await _live(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if root := scope.get("root_path"):
            path = path.removeprefix(root)
        found = self._routes.find(path)
        if found is None:
            await _send(send, self._no_route(path, method))
            return
        endpoints = found.endpoints.get("GET" if method == "HEAD" else method)
        headers = dict(scope["headers"])
        if headers.get(b"upgrade", b"").lower() == b"websocket":  # a server without WebSockets
            await _send(send, _no_websockets())
            return
        if endpoints is None:
            await _send(send, self._wrong_method(path, method, found.endpoints))
            return
        endpoint = endpoints[0] if method == "POST" else pick(endpoints, headers, self._codecs)
        if endpoint.route.method == "GET":
            await self._answer(self._call(found, endpoint, scope, headers, b""), receive, send)
            return
        try:
            if not self._gate.enter():
                await self._gate.wait()
        except Full as full:
            error = ChatError("overloaded", str(full), 529, retry_after=full.retry_after)
            await _send(send, self._error(endpoint.codec, error))
            return
        try:
            await self._admitted(found, endpoint, scope, headers, receive, send)
        finally:
            self._gate.leave()

    async def _admitted(
        self,
        found: Found,
        endpoint: Endpoint,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
    ) -> None:
        try:
            body = await read_body(headers, receive, self._max_body_bytes(), self._gate)
        except Gone:
            return
        except Unreadable as unreadable:
            answer = self._error(endpoint.codec, unreadable.error)
            if unreadable.error.kind == "timeout":  # what else is too much is read to its end, unkept
                answer.headers.append((b"connection", b"close"))
            await _send(send, answer)
            return
        try:
            await self._answer(self._call(found, endpoint, scope, headers, body), receive, send)
        finally:
            self._gate.release(len(body))

    def _call(
        self, found: Found, endpoint: Endpoint, scope: Scope, headers: dict[bytes, bytes], body: bytes
    ) -> Call:
        services = self._gateway.services
        caller = scope.get("state", _NO_STATE).get("caller")
        return call_at(
            found,
            endpoint,
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            body=body,
            id=scope.get("state", {}).get("request_id") or services.new_id(),
            started=services.clock(),
            caller=caller.name if caller is not None else "",
        )

    # ------------------------------------------------------------ answering

    async def _answer(self, call: Call, receive: Receive, send: Send) -> None:
        watch = _Watch(receive)
        try:
            with self._gateway.lease() as table:
                answer = await self._gateway.answer(table, call)
                await _send(send, answer, watch)
        except asyncio.CancelledError:
            if not watch.client_gone:
                raise
            _uncancel()
        except StreamBroken:
            # Returning without the last message makes the server break the connection.
            log.warning("request %s: the upstream's stream was cut", call.id)
        except Exception:
            log.exception("request %s failed", call.id)
            if watch.began:
                raise
            await _send(send, self._gateway.error(call, ChatError("internal", "the hub failed", 500)))
        finally:
            watch.stop()

    def _no_route(self, path: str, method: str) -> Answer:
        if method in ("GET", "HEAD") and self._is_door(path):
            return json_answer(200, [], b'{"status":"ok"}')
        codec = self._routes.nearest(path)
        paths = ", ".join(dict.fromkeys(route.path for route in codec.routes))
        message = (
            f"there is nothing at {path[:200]}. {codec.title} has {paths}; "
            f"each also below /{{group}} and /{SWITCH}"
        )
        return self._error(codec, ChatError("not_found", message, 404))

    def _is_door(self, path: str) -> bool:
        """What clients ask to see whether somebody is there: a base URL as they know it, or below it
        `/api/hello` (Claude Code)."""
        prefix = path.removesuffix("/api/hello").strip("/").removesuffix(COMPAT).strip("/")
        if prefix in ("", SWITCH):
            return True
        with self._gateway.lease() as table:
            return prefix in table.groups

    def _wrong_method(self, path: str, method: str, endpoints: Endpoints) -> Answer:
        allowed = ", ".join(sorted(endpoints))
        message = f"{path[:200]} takes {allowed}, not {method[:20]}"
        codec = next(iter(endpoints.values()))[0].codec
        answer = self._error(codec, ChatError("invalid_request", message, 405))
        answer.headers.append((b"allow", allowed.encode()))
        return answer

    def _error(self, codec: Codec, error: ChatError) -> Answer:
        return error_answer(codec, error, [(b"x-request-id", self._gateway.services.new_id().encode())])


class _Watch:
    """Cancels the request's task when its client goes away."""

    __slots__ = ("_listener", "_receive", "_task", "_timer", "began", "client_gone")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._listener: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER, self._start)
        self.client_gone = False
        self.began = False

    def _start(self) -> None:
        self._listener = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_gone = True
        if self._task is not None:
            self._task.cancel()

    def stop(self) -> None:
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()


def _uncancel() -> None:
    if (task := asyncio.current_task()) is not None:
        task.uncancel()


async def _send(send: Send, answer: Answer, watch: _Watch | None = None) -> None:
    if watch is not None:
        watch.began = True
    if answer.stream is None:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if watch is not None:
            watch.stop()
        await send({"type": "http.response.body", "body": answer.body})
        return
    async with aclosing(answer.stream) as stream:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        async for data in stream:
            await send({"type": "http.response.body", "body": data, "more_body": True})
        if watch is not None:
            watch.stop()
        await send({"type": "http.response.body", "body": b""})


_NO_WEBSOCKETS = (
    b'{"error":{"message":"use HTTP: there are no WebSockets here","type":"invalid_request_error"}}'
)
"""426 makes a Responses client that tries a WebSocket first fall back to HTTP at once; 404 costs seconds."""


def _no_websockets() -> Answer:
    """426 for a Responses client that tries a WebSocket first: it falls back to HTTP at once."""
    body = b'{"error":{"message":"use HTTP: there are no WebSockets here","type":"invalid_request_error"}}'
    return json_answer(426, [(b"upgrade", b"http/1.1")], body)


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    answer = _no_websockets()
    kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": answer.status, "headers": answer.headers})
    await send({"type": f"{kind}.body", "body": answer.body})


async def _live(receive: Receive, send: Send) -> None:
    """Start and stop belong to whoever made the gateway."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
