"""From a server's settings to a negotiated session, whatever the transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from hub.downstream.http import http_streams, sse_streams
from hub.downstream.session import Streams
from hub.downstream.stdio import Child, stdio_streams
from hub.downstream.watchdog import Watchdog
from hub.settings.mcp import McpServerSettings


class Link:
    """What a transport tells about itself besides messages."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.reason: str | None = None
        self.child: Child | None = None

    def on_lost(self, reason: str) -> None:
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    def on_child(self, child: Child) -> None:
        self.child = child

    @property
    def usable(self) -> bool:
        return not self.lost.is_set() and (self.child is None or self.child.alive)

    def why(self) -> str:
        """Why the connection ended, as far as the transport knows."""
        exited = self.child.exit_reason if self.child is not None else None
        return self.reason or exited or "it closed the connection"


def open_transport(
    name: str, settings: McpServerSettings, watchdog: Watchdog, link: Link
) -> AbstractAsyncContextManager[Streams]:
    transports: dict[str, Callable[[], AbstractAsyncContextManager[Streams]]] = {
        "stdio": lambda: stdio_streams(name, settings, watchdog, link.on_child),
        "http": lambda: http_streams(name, settings, link.on_lost),
        "sse": lambda: sse_streams(name, settings, link.on_lost),
    }
    return transports[settings.transport]()
