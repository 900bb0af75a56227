"""Sessions to downstream MCP servers: starting, watching, calling and restarting them."""

from __future__ import annotations

from hub.downstream.calls import Caller, NoCaller
from hub.downstream.listing import Kind, Listing
from hub.downstream.server import DownstreamServer
from hub.downstream.status import ServerState, ServerStatus
from hub.downstream.watchdog import Watchdog

__all__ = [
    "Caller",
    "DownstreamServer",
    "Kind",
    "Listing",
    "NoCaller",
    "ServerState",
    "ServerStatus",
    "Watchdog",
]
