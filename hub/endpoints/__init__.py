"""The MCP endpoints that clients of the hub connect to, in both protocol eras."""

from __future__ import annotations

from hub.endpoints.endpoint import Endpoint
from hub.endpoints.handlers import Servers

__all__ = ["Endpoint", "Servers"]
