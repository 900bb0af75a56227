"""Settings of the hub itself: where it listens, and who may call."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from hub.settings.base import Model, Strings
from hub.settings.keys import default_keys_file
from hub.settings.oauth import TokenSettings

LogLevel = Literal["debug", "info", "warning", "error"]


class OverloadSettings(Model):
    """How much the hub takes on at once. What is above a limit is told to come back later."""

    concurrent_requests: int = Field(default=5000, ge=1)
    """Chat requests at once, streams included."""
    queue: int = Field(default=1000, ge=0)
    """Further ones that wait for a place."""
    queue_timeout: float = Field(default=10, gt=0)
    """Seconds that one waits."""
    body_memory: int = Field(default=1024 * 1024 * 1024, gt=0)
    """Bytes of all request bodies that are held at once."""
    body_timeout: float = Field(default=60, gt=0)
    """Seconds without a further piece of a request's body, after which it is given up."""
    client_timeout: float = Field(default=300, gt=0)
    """Seconds for which a client may leave its answer unread. Linux only; a change needs a restart."""


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
    keys_file: Path | None = None
    """Where `hub keys` stores keys, from the settings file's folder; absent: in your state folder."""
    oauth: TokenSettings | None = None
    """Access tokens of an authorization server that open the hub, beside its keys."""
    max_body_bytes: int = Field(default=50 * 1024 * 1024, gt=0)
    """Largest request body that is accepted; larger ones get 413."""
    limits: OverloadSettings = OverloadSettings()
    drain_timeout: float = Field(default=30, ge=0)
    """Seconds that answers under way get to finish when the hub is told to stop."""
    upstream_client: Literal["auto", "aiohttp"] = "auto"
    """What asks providers: the hub's own HTTP client where it can, or aiohttp's for everything."""

    @property
    def stored_keys(self) -> Path:
        """The file that holds the keys of `hub keys`."""
        return self.keys_file or default_keys_file()
