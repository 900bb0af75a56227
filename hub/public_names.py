"""Public names for what servers call their tools and prompts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hub.settings.mcp import RESERVED_TOOL_NAMES

LONGEST_NAME = 64
"""Clients refuse longer names, or other characters than these (MCP clients: 60-64, `[a-zA-Z0-9_-]`)."""
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
_HASH_CHARACTERS = 8


class Names:
    """Public names for what servers call their tools and prompts: `{server}_{name}`.

    A plain name that could be read as another configured server's, is too long, or has characters
    that clients refuse gets a hash of server and name instead of its end. This depends on the
    configured servers alone, not on which of them are up, so names are stable over restarts.
    The hub's own tools keep their names, and no other gets one of these.
    """

    def __init__(
        self, servers: Iterable[str], own: Mapping[str, Iterable[str]] = MappingProxyType({})
    ) -> None:
        """`own` has the tools of those servers that the hub plays itself."""
        self._own = {server: frozenset(tools) for server, tools in own.items()}
        self._taken = RESERVED_TOOL_NAMES.union(*self._own.values())
        self._prefixes = {server: _FORBIDDEN.sub("_", server) + "_" for server in servers}
        self._rivals = {
            server: tuple(
                other for name, other in self._prefixes.items() if name != server and other.startswith(prefix)
            )
            for server, prefix in self._prefixes.items()
        }
        """Of each server, the prefixes of others with which its own plain names may begin."""

    def prefix(self, server: str) -> str:
        """With what the plain names of a server begin."""
        return self._prefixes[server]

    def public(self, server: str, original: str) -> str:
        if original in self._own.get(server, ()):
            return original
        exact = f"{server}_{original}"
        plain = _FORBIDDEN.sub("_", exact)
        if plain == exact and len(plain) <= LONGEST_NAME and not self._ambiguous(server, plain):
            return plain
        return hashed(plain, server, original)

    def _ambiguous(self, server: str, plain: str) -> bool:
        return plain in self._taken or plain.startswith(self._rivals.get(server, ()))


def hashed(plain: str, server: str, original: str, longest: int = LONGEST_NAME) -> str:
    """A name for a tool that may not have the plain one; the same at every start."""
    digest = hashlib.sha256(f"{len(server)}:{server}{original}".encode()).hexdigest()
    return f"{plain[: longest - _HASH_CHARACTERS - 1]}_{digest[:_HASH_CHARACTERS]}"
