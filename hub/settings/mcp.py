"""Settings of downstream MCP servers, and of the profiles that show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from hub.settings.base import Model, Strings
from hub.settings.oauth import Login
from hub.settings.observability import Size, Span

SamplingPolicy = Annotated[str, Field(pattern=r"^(client|ask|deny|group:[A-Za-z0-9_][A-Za-z0-9._-]*)$")]
Transport = Literal["stdio", "http", "sse"]
Confirm = Literal["never", "destructive", "always"]
ResultSize = Annotated[Size, Field(ge=1000)]
Discovery = Literal["all", "search", "auto"]
PublicName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""What every client and provider takes as the name of a tool."""

FIND, DESCRIBE, CALL = "find_tools", "describe_tool", "call_tool"
RESERVED_TOOL_NAMES = frozenset((FIND, DESCRIBE, CALL))
"""The tools of `discovery: search`; no other tool has these names."""


class ToolLimits(Model):
    """What holds for some tools of a server. What is absent here is as the server's entry says."""

    timeout: float | None = Field(default=None, gt=0)
    """Seconds that one call may take without a sign of life."""
    rpm: int | None = Field(default=None, ge=1)
    """Calls a minute, of all clients together."""
    confirm: Confirm | None = None
    """Which calls the user has to agree to first."""
    max_result: ResultSize | None = None
    """The largest result that is passed on in one piece, such as 200KB."""


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
    auth: Login = None
    """How `hub login NAME` logs in: `oauth`, or its details. A server that asks for it needs no word here."""
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

    session: Literal["shared", "per-client"] = "shared"
    """`shared`: one session, and one process, for all clients; `per-client`: one for each, so that state,
    questions and roots of two clients never meet."""
    max_sessions: int = Field(default=64, ge=1)
    """With `per-client`: how many at once."""
    session_idle: Span = 1800.0
    """With `per-client`: how long a client's session is kept without a request, such as `30m`."""

    trust: Literal["pin", "always"] = "pin"
    """`pin`: a tool whose definition changed since it was first seen, or has hidden instructions in it, is
    held back until `hub trust NAME`; `always`: every definition is passed on as it is."""
    confirm: Confirm = "never"
    """Which calls the user has to agree to first: those of tools that may destroy something (not read-only,
    and `destructiveHint` is not false), or all. A client that cannot ask its user is refused."""
    max_result: ResultSize | None = None
    """The largest result of a tool that is passed on in one piece, such as 200KB; the rest can be read."""
    tools: Mapping[str, ToolLimits] = Field(default_factory=dict)
    """`{glob: …}` over the names that it gives its tools; the first that matches and says a thing counts."""

    @model_validator(mode="after")
    def _one_transport(self) -> McpServerSettings:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either `command` (a program to start) or `url` (a server to reach)")
        if self.command is not None and self.type not in (None, "stdio"):
            raise ValueError(f"`type: {self.type}` needs `url`, not `command`")
        if self.url is not None and self.type == "stdio":
            raise ValueError("`type: stdio` needs `command`, not `url`")
        if self.auth is not None and self.url is None:
            raise ValueError("`auth` is for servers with a `url`; a program gets secrets in `env`")
        if self.auth is not None and self.sends_authorization:
            raise ValueError("`auth` and a header `Authorization` are two answers to one question; keep one")
        return self

    @property
    def sends_authorization(self) -> bool:
        """Whether its `headers` hold a credential of the standard kind."""
        return any(name.lower() == "authorization" for name in self.headers)

    def has_same_session(self, other: McpServerSettings) -> bool:
        """Whether a session that was made with these settings is as good with `other` ones."""
        return self.model_copy(update={name: getattr(other, name) for name in _RULES}) == other

    @property
    def transport(self) -> Transport:
        return self.type or ("stdio" if self.command is not None else "http")


_RULES = ("timeout", "sampling", "sampling_budget", "trust", "confirm", "max_result", "tools")
"""What is looked at for each request, so that a change of it needs no new session."""


class ToolFilter(Model):
    """Globs over the public tool names (`server_tool`); exclude wins over include."""

    include: Strings = ("*",)
    """What may be seen."""
    exclude: Strings = ()
    """What may not."""


class ProfileTools(ToolFilter):
    """Which tools a profile shows, and how. All names and globs mean the names on `/mcp`.

    What a tool says of itself counts as the specification has it: without hints it writes and may destroy.
    https://modelcontextprotocol.io/specification/2025-11-25/schema#toolannotations
    """

    read_only: bool | None = None
    """`true`: only tools that say that they change nothing (`readOnlyHint`); `false`: none of these."""
    destructive: bool | None = None
    """`false`: no tools that may destroy something (not read-only, and `destructiveHint` is not false);
    `true`: only these."""
    rename: Mapping[str, PublicName] = Field(default_factory=dict)
    """`{server_tool: new_name}`: other names for clients of this profile."""
    describe: Mapping[str, str] = Field(default_factory=dict)
    """`{glob: text}`: other descriptions; `{description}` in the text stands for the tool's own. The first
    glob that matches counts."""
    longest_name: int = Field(default=64, ge=24, le=64)
    """Longer names are shortened; for clients that put something of their own in front."""

    @field_validator("rename")
    @classmethod
    def _each_its_own(cls, rename: Mapping[str, str]) -> Mapping[str, str]:
        twice = [name for name, count in Counter(rename.values()).items() if count > 1]
        if twice:
            raise ValueError(f"two tools cannot both be called `{twice[0]}`")
        reserved = sorted(RESERVED_TOOL_NAMES.intersection(rename.values()))
        if reserved:
            raise ValueError(f"`{reserved[0]}` is a tool of the hub itself")
        return rename

    @model_validator(mode="after")
    def _short_enough(self) -> ProfileTools:
        for name in self.rename.values():
            if len(name) > self.longest_name:
                raise ValueError(f"`{name}` is longer than {self.longest_name} characters (`longest_name`)")
        return self


class DiscoverySettings(Model):
    """Whether a client gets all definitions of tools, or looks for them."""

    discovery: Discovery = "all"
    """`all`: every tool is listed; `search`: clients get `find_tools`, `describe_tool` and `call_tool`;
    `auto`: the latter as soon as the definitions pass the threshold."""
    discovery_threshold: Size = 40_000
    """Bytes of definitions for `auto`, or a size such as 40KB."""
    pinned: Strings = ()
    """Globs over the names on `/mcp`: tools that are listed in any case."""


class ProfileSettings(DiscoverySettings):
    """What one IDE may see under `/mcp/{profile}`. `None` means all of them."""

    servers: Strings | None = None
    """Names of `mcpServers`."""
    groups: Strings | None = None
    """Names of `groups`."""
    tools: ProfileTools = ProfileTools()
