"""Settings of the hub itself: where it listens, and who may call."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from hub.settings.base import Model, Strings

LogLevel = Literal["debug", "info", "warning", "error"]


class ServerSettings(Model):
    """Where the hub listens and how it protects itself."""

    host: str = "127.0.0.1"
    """The address to listen on. Beyond loopback it needs `keys`."""
    port: int = Field(default=11434, ge=0, le=65535)
    """11434 is Ollama's port too, so that its clients find the hub; 0 takes a free one."""
    log_level: LogLevel = "info"
    """How much goes to the log."""
    allowed_hosts: Strings = ()
    """Names (without port) accepted in the header `Host` beside loopback and `host`; `*` for any."""
    allowed_origins: Strings = ()
    """Browser origins (`https://app.example.com`) that may call beside the hub's own; `*` for any."""
    allow_no_keys: bool = False
    """The second word for listening beyond loopback without `keys`."""
    max_body_bytes: int = Field(default=64 * 1024 * 1024, gt=0)
    """Largest request body that is accepted; larger ones get 413."""


class KeySettings(Model):
    """A key that clients present to the hub."""

    key: SecretStr = Field(min_length=1)
    """What the client sends, best as `${VARIABLE}`."""
    groups: Strings | None = None
    """The groups that it may use; absent: all."""
    profiles: Strings | None = None
    """The profiles that it may use; with any here, `/mcp` and `/mcp/{server}` are closed to it."""
