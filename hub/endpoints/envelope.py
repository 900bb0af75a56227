"""The outer shape of a result in the client's era; what is inside stays as the server gave it.

2026-07-28 wants `resultType` on every result, `ttlMs` and `cacheScope` on lists and reads, and the
answering server's name in `_meta`. The handshake era knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_types import SERVER_INFO_META_KEY
from mcp_types.methods import CACHEABLE_METHODS
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

_MODERN_ONLY = ("resultType", "ttlMs", "cacheScope")


def dress(
    result: Mapping[str, Any], method: str, protocol_version: str, server_info: Mapping[str, Any]
) -> dict[str, Any]:
    """`result` for a client that speaks `protocol_version`. The argument is not changed."""
    meta = {k: v for k, v in (result.get("_meta") or {}).items() if k != SERVER_INFO_META_KEY}
    if protocol_version in MODERN_PROTOCOL_VERSIONS:
        dressed = {"resultType": "complete", **result}
        if method in CACHEABLE_METHODS and dressed["resultType"] == "complete":
            # Lists change whenever a server comes or goes: stale at once, and never for others.
            dressed.setdefault("ttlMs", 0)
            dressed.setdefault("cacheScope", "private")
        dressed["_meta"] = {**meta, SERVER_INFO_META_KEY: dict(server_info)}
        return dressed
    dressed = {k: v for k, v in result.items() if k not in _MODERN_ONLY and k != "_meta"}
    if meta:
        dressed["_meta"] = meta
    return dressed
