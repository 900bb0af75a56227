"""The settings model: what a settings file may say, as the public contract has it.

Everything here is frozen and compares by value, so that a reload can tell what changed.
Reading files and expanding variables is `hub.settings.load`; turning settings into what the
gateway and the MCP hub serve is `hub.snapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

ProtocolName = Annotated[str, Field(min_length=1)]
"""A built-in protocol's, or one that an installed distribution adds; `hub.settings.checks` looks it up."""
LogLevel = Literal["debug", "info", "warning", "error"]


def _one_or_more(value: object) -> object:
    """Accept a single value where a list is meant: `stop: END`, `include: "*"`."""
    return [value] if isinstance(value, str) else value


Strings = Annotated[
    tuple[str, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | tuple[str, ...])
]


class Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


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


class TimeoutSettings(Model):
    """Seconds. `first_byte` counts from the request's end, `idle` between two chunks."""

    connect: float = Field(default=10, gt=0)
    """Until the connection stands."""
    first_byte: float = Field(default=300, gt=0)
    """From the end of the request to the beginning of the answer; models that reason take their time."""
    idle: float = Field(default=300, gt=0)
    """Between two pieces of a streamed answer."""
    total: float | None = Field(default=None, gt=0)
    """For the whole answer; none by default."""


class EmbeddedSettings(Model):
    """A llama.cpp server that the hub starts and stops itself."""

    model: str = "smollm2"
    """`smollm2` (SmolLM2-135M-Instruct) or the path of a GGUF file."""
    context_size: int = Field(default=8192, ge=256)
    """Tokens of prompt and answer together."""
    threads: int | None = Field(default=None, ge=1)
    """Threads for the computation; by default as many as there are cores."""


class ProviderSettings(Model):
    """Anything with a chat API. A name of the built-in table needs no further keys."""

    protocol: ProtocolName | None = None
    """The API that it speaks: openai, openai-responses, anthropic, gemini, ollama, or an installed one."""
    base_url: str | None = None
    """What that protocol's own SDK takes as its base URL: with `/v1` for OpenAI, without for Anthropic."""
    api_key: SecretStr | None = None
    """Its key, best as `${VARIABLE}`. A built-in provider without `base_url` has a variable for it."""
    api_keys: tuple[SecretStr, ...] = ()
    """Several keys, used in turn when one is refused or at its limit."""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Sent with every request."""
    timeouts: TimeoutSettings = TimeoutSettings()
    embedded: EmbeddedSettings | None = None
    """Makes this provider a llama.cpp server that the hub itself runs."""


class Parameters(Model):
    """Request parameters, in the words of OpenAI Chat Completions, for every protocol."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: Strings | None = None
    seed: int | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    parallel_tool_calls: bool | None = None
    extra_body: Mapping[str, Any] | None = None
    """Further fields for the upstream's body, in the target's own protocol."""


class TargetSettings(Model):
    """A model at a provider."""

    provider: str = Field(min_length=1)
    """A name of `providers`, or a built-in one."""
    model: str = Field(min_length=1)
    """The model's name there."""
    weight: int = Field(default=1, ge=0)
    """Share of the requests that begin here; 0 is a spare for when the others fail."""


class GroupSettings(Parameters):
    """A name that chat clients use for one or more targets.

    The short form (`model`, `provider`) is a list of one target. Parameters beside them are
    defaults that the client's own value overrides; those under `override` win.
    """

    model: str | None = Field(default=None, min_length=1)
    """The model's name at `provider`."""
    provider: str | None = Field(default=None, min_length=1)
    """A name of `providers`, or a built-in one."""
    targets: tuple[TargetSettings, ...] = ()
    """The long form: several targets, for sharing the load and for failover."""
    models: Mapping[str, TargetSettings] = Field(default_factory=dict)
    """Glob over the client's model name -> target; the first match wins, in the file's order."""
    override: Parameters | None = None
    """Parameters that win over the client's own."""
    losses: Literal["allow", "warn", "refuse"] = "allow"
    """What the target's protocol cannot express is always told in `x-hub-losses`. `warn` puts it into the
    log as well; `refuse` answers such a request with an error and sends nothing."""
    description: str | None = None
    """Shown by `hub groups`."""
    tool_repair: bool = False
    """Make calls of tools that the model writes as text into calls."""

    @model_validator(mode="after")
    def _one_form(self) -> GroupSettings:
        short = self.model is not None or self.provider is not None
        if short and self.targets:
            raise ValueError("give either `model` and `provider`, or `targets`, not both")
        if not short and not self.targets:
            raise ValueError("needs `model` and `provider`, or `targets`")
        if short and (self.model is None or self.provider is None):
            missing = "model" if self.model is None else "provider"
            raise ValueError(
                f"`{missing}` is missing beside `{'provider' if missing == 'model' else 'model'}`"
            )
        if self.targets and not any(target.weight for target in self.targets):
            raise ValueError("every target has `weight: 0`, so none could ever answer")
        return self

    def all_targets(self) -> tuple[TargetSettings, ...]:
        """The targets of either form."""
        if self.model is not None and self.provider is not None:
            return (TargetSettings(provider=self.provider, model=self.model),)
        return self.targets


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


class KeySettings(Model):
    """A key that clients present to the hub."""

    key: SecretStr = Field(min_length=1)
    """What the client sends, best as `${VARIABLE}`."""
    groups: Strings | None = None
    """The groups that it may use; absent: all."""
    profiles: Strings | None = None
    """The profiles that it may use; with any here, `/mcp` and `/mcp/{server}` are closed to it."""


class Settings(Model):
    """The whole file."""

    server: ServerSettings = ServerSettings()
    providers: Mapping[str, ProviderSettings] = Field(default_factory=dict)
    """Anything with a chat API. Built-in providers need an entry only to change something."""
    groups: Mapping[str, GroupSettings] = Field(default_factory=dict)
    """The names that chat clients use, `/{group}/v1/…` or as the model's name."""
    mcp_servers: Mapping[str, McpServerSettings] = Field(default_factory=dict, alias="mcpServers")
    """Downstream MCP servers; blocks of Claude Code, Cursor, VS Code and others can be pasted."""
    profiles: Mapping[str, ProfileSettings] = Field(default_factory=dict)
    """One MCP endpoint per IDE, `/mcp/{profile}`."""
    keys: Mapping[str, KeySettings] = Field(default_factory=dict)
    """The hub's own keys, by a name for each. With any here, every endpoint but `/healthz` asks for one.
    A text is short for `key` alone, and a list names them `key-1`, `key-2` and so on."""
    default_group: str | None = None
    """The group of requests that name none; absent: the first one."""
