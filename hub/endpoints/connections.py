"""Clients of the handshake era: their sessions, and what is still to be told to them.

A notification needs the client's GET stream. One that is not open yet (right after `initialize`)
or not any more must not swallow it: what was not told is kept, each thing once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from mcp.server.connection import Connection

_log = logging.getLogger(__name__)
_SEND_SECONDS = 30
_MOST_UNTOLD = 1000
_Message = tuple[str, str | None]
"""`(method, uri or None)`: the same one twice is one."""


class LegacyClient:
    """One session."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.log_level: str | None = None
        self.subscribed: set[str] = set()
        """Public URIs."""
        # Without a session id there is no GET stream to wait for (stdio, in memory).
        self.open = connection.session_id is None
        self._untold: dict[_Message, None] = {}
        self._teller: asyncio.Task[None] | None = None

    def tell(self, method: str, uri: str | None = None) -> None:
        """Send a notification as soon as the client can hear it. Does not wait."""
        self._untold[method, uri] = None
        if len(self._untold) > _MOST_UNTOLD:
            _log.warning("a client does not read its notifications; the oldest ones are left out")
            del self._untold[next(iter(self._untold))]
        self.flush()

    def flush(self) -> None:
        if self.open and self._untold and self._teller is None:
            self._teller = asyncio.create_task(self._tell_all())

    def close(self) -> None:
        if self._teller is not None:
            self._teller.cancel()

    async def _tell_all(self) -> None:
        try:
            while self.open and self._untold:
                method, uri = message = next(iter(self._untold))
                del self._untold[message]
                params: Mapping[str, Any] | None = {"uri": uri} if uri is not None else None
                async with asyncio.timeout(_SEND_SECONDS):
                    await self.connection.outbound.notify(method, params)
        except TimeoutError:
            _log.debug("a client does not read its notifications")
        finally:
            self._teller = None


class LegacyClients:
    """All sessions of one endpoint."""

    def __init__(self, on_gone: Callable[[LegacyClient], None]) -> None:
        self._by_connection: dict[int, LegacyClient] = {}
        self._on_gone = on_gone

    def __iter__(self) -> Any:
        return iter(list(self._by_connection.values()))

    def of(self, connection: Connection) -> LegacyClient:
        """The client behind a connection, registered until the connection ends."""
        client = self._by_connection.get(id(connection))
        if client is None:
            client = self._by_connection[id(connection)] = LegacyClient(connection)
            connection.exit_stack.callback(self._forget, client)
        return client

    def stream_opened(self, session_id: str) -> None:
        for client in self:
            if client.connection.session_id == session_id:
                client.open = True
                client.flush()

    def stream_closed(self, session_id: str) -> None:
        for client in self:
            if client.connection.session_id == session_id:
                client.open = False

    def _forget(self, client: LegacyClient) -> None:
        self._by_connection.pop(id(client.connection), None)
        client.close()
        self._on_gone(client)
