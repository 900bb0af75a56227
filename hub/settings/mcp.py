"""Settings of downstream MCP servers, and of the profiles that show them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from hub.settings.base import Model, Strings

SamplingPolicy = Annotated[str, Field(pattern=r"^(client|ask|deny|group:[A-Za-z0-9_][A-Za-z0-9._-]*)$")]
Transport = Literal["stdio", "http", "sse"]


class McpServerSettings(Model):
    """One downstream MCP server, in the shape that IDEs use.

    `command` means stdio; `url` means Streamable HTTP, or SSE where `type: sse` says so.
    """

    type: Transport | None = None
    """Needed for SSE alone."""
    command: str | None = Field(default=None, min_length=1)
    """The program to start, for a stdio server."""
    args: tuple[str, ...] = ()
    env: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Its environment, beside a safe minimum; nothing else of the hub's own reaches it."""
    cwd: Path | None = None
    """The folder to start it in; a relative one counts from the settings file."""
    url: str | None = None
    """The address of an HTTP or SSE server."""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Sent to that server."""
    disabled: bool = False
    """Keeps the entry, but does not start or reach it."""
    timeout: float = Field(default=60, gt=0)
    """Seconds that one call may take without a sign of life; above 3600 it is read as milliseconds."""
    start_timeout: float = Field(default=60, gt=0)
    """Seconds for start and handshake; `npx` downloads at the first start."""

    sampling: SamplingPolicy = "client"
    """Who answers when it asks for a model: the `client`, `group:NAME`, the active group once the user agrees
    (`ask`), or nobody (`deny`)."""
    sampling_budget: int | None = Field(default=200_000, ge=1)
    """Tokens an hour that it may use of the hub's groups; null: as many as it likes."""

    @model_validator(mode="after")
    def _one_transport(self) -> McpServerSettings:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either `command` (a program to start) or `url` (a server to reach)")
        if self.command is not None and self.type not in (None, "stdio"):
            raise ValueError(f"`type: {self.type}` needs `url`, not `command`")
        if self.url is not None and self.type == "stdio":
            raise ValueError("`type: stdio` needs `command`, not `url`")
        return self

    @property
    def transport(self) -> Transport:
        return self.type or ("stdio" if self.command is not None else "http")


class ToolFilter(Model):
    """Globs over the public tool names (`server_tool`); exclude wins over include."""

    include: Strings = ("*",)
    """What may be seen."""
    exclude: Strings = ()
    """What may not."""


class ProfileSettings(Model):
    """What one IDE may see under `/mcp/{profile}`. `None` means all of them."""

    servers: Strings | None = None
    """Names of `mcpServers`."""
    groups: Strings | None = None
    """Names of `groups`."""
    tools: ToolFilter = ToolFilter()
