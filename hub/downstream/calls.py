"""One request on its way to a downstream server, and the client that it belongs to.

A downstream session is shared by many clients, so whatever the server sends back on the way
(progress, log messages, questions) must find the one request that it belongs to.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND

_log = logging.getLogger(__name__)
_tokens = itertools.count(1)
_MOST_EVENTS = 1000
"""Notifications that wait for a client which reads them slowly."""

CURRENT_CALL: contextvars.ContextVar[Call | None] = contextvars.ContextVar("hub_current_call", default=None)
"""The call in whose context a message was sent. The SDK's HTTP transport carries the context over
to what arrives on that request's own response stream, which binds questions exactly."""

CAPABILITY_FOR = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
"""Which capability of a client each question of a server needs."""


class Caller(ABC):
    """The client behind a request, as far as a downstream session needs to know it."""

    key: object
    """Equal for requests of the same client, and only then."""
    protocol_version: str | None = None
    capabilities: Mapping[str, Any] = {}
    """What the client declared, in wire form."""
    log_level: str | None = None
    """The level from which the client wants log messages; `None`: it did not say."""
    can_be_asked: bool = False
    """Whether `ask` has a way to it."""
    wants_progress: bool = False
    """Whether it hears `notifications/progress` of its request."""
    groups: frozenset[str] | None = None
    """The groups of models that it may use; None: all."""
    key_name: str = ""
    """The name of the hub's key that came with the request."""
    may_switch: bool = True
    """Whether it may choose the active group, for everybody."""
    stateless: bool = False
    """Whether it takes questions as results (2026-07-28), so those of a server of its own era just pass."""
    one_request: bool = False
    """Whether nothing tells if another request is the same client's (2026-07-28): `key` is this one's."""

    @abstractmethod
    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification that belongs to this request."""

    @abstractmethod
    async def ask(self, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Send a request of the server to the client and return the client's raw answer."""

    def outside(self) -> Caller:
        """The same client between its requests, as far as it can be reached then."""
        return self

    def refusal(self, server: str, method: str) -> MCPError | None:
        """Why the server must not ask this client, or `None`."""
        capability = CAPABILITY_FOR.get(method)
        if capability is None:
            return MCPError(METHOD_NOT_FOUND, f"the hub does not relay {method}", method)
        if self.capabilities.get(capability) is None:
            return MCPError(METHOD_NOT_FOUND, f"the client does not offer {capability}", method)
        if not self.can_be_asked:
            return MCPError(
                METHOD_NOT_FOUND,
                f"the client cannot be asked in the middle of a request (protocol "
                f"{self.protocol_version}); server {server!r} sent {method}",
                method,
            )
        return None


class NoCaller(Caller):
    """The hub itself: nobody to ask and nobody to tell."""

    def __init__(self) -> None:
        self.key = self

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        _log.debug("nobody listens to %s", method)

    async def ask(self, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        raise MCPError(METHOD_NOT_FOUND, "there is no client to ask", method)


class Call:
    """A request in flight. Its notifications reach the client in order and before the result.

    Without `scope` it stands for all that a client does on a session of its own.
    """

    __slots__ = ("_events", "_forwarder", "_scope", "_timeout", "asked_at", "caller", "gave_way", "token")

    def __init__(self, caller: Caller, scope: asyncio.Timeout | None = None, timeout: float = 0) -> None:
        self.caller = caller
        self.asked_at: float | None = None
        """Since when its client has owed the server an answer, by the loop's clock."""
        self.gave_way = False
        self.token = f"hub-{next(_tokens)}"
        self._scope = scope
        self._timeout = timeout
        self._events: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._forwarder: asyncio.Task[None] | None = None

    def sign_of_life(self) -> None:
        """Give the server its whole time again."""
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time() + self._timeout)

    def hold(self) -> None:
        """Stop the clock: the server waits for the client, not the client for the server."""
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(None)

    def give_way(self) -> None:
        """End it: its client owes an answer for too long, and others are hindered."""
        if self._scope is not None and not self._scope.expired():
            self.gave_way = True
            self._scope.reschedule(asyncio.get_running_loop().time())

    def push(self, method: str, params: Mapping[str, Any]) -> bool:
        """Queue a notification for the client; does not wait. False: the oldest one had to go for it."""
        self.sign_of_life()
        if fits := len(self._events) < _MOST_EVENTS:
            self._events.append((method, params))
        else:
            self._events.popleft()
            self._events.append((method, params))
        if self._forwarder is None:
            self._forwarder = asyncio.create_task(self._forward())
        return fits

    def end(self) -> None:
        """There is no time to measure any more; a question of the server may still be open."""
        self._scope = None

    async def finish(self) -> None:
        """Wait until everything queued has been handed over."""
        while self._forwarder is not None:
            await self._forwarder

    def abandon(self) -> None:
        if self._forwarder is not None:
            self._forwarder.cancel()

    async def _forward(self) -> None:
        try:
            while self._events:
                method, params = self._events.popleft()
                await self.caller.notify(method, params)
        except Exception:
            _log.debug("a client went away while being notified", exc_info=True)
        finally:
            self._forwarder = None
