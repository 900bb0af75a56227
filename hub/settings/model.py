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

ProtocolName = Literal["openai", "openai-responses", "anthropic", "gemini", "ollama"]
LogLevel = Literal["debug", "info", "warning", "error"]


def _one_or_more(value: object) -> object:
    """Accept a single value where a list is meant: `stop: END`, `include: "*"`."""
    return [value] if isinstance(value, str) else value


Strings = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class ServerSettings(Model):
    """Where the hub listens and how it protects itself."""

    host: str = "127.0.0.1"
    port: int = Field(default=11434, ge=0, le=65535)
    log_level: LogLevel = "info"
    allowed_hosts: Strings = ()
    """Host names (without port) accepted in `Host` beside loopback and the bound address."""
    allowed_origins: Strings = ()
    """Browser origins (`https://app.example.com`) that may call; none by default."""
    allow_no_keys: bool = False
    """The second word for listening beyond loopback without `keys`."""
    max_body_bytes: int = Field(default=64 * 1024 * 1024, gt=0)
    """Largest request body that is accepted; larger ones get 413."""


class TimeoutSettings(Model):
    """Seconds. `first_byte` counts from the request's end, `idle` between two chunks."""

    connect: float = Field(default=10, gt=0)
    first_byte: float = Field(default=300, gt=0)
    idle: float = Field(default=300, gt=0)
    total: float | None = Field(default=None, gt=0)


class EmbeddedSettings(Model):
    """A llama.cpp server that the hub starts and stops itself."""

    model: str = "smollm2"
    """`smollm2` (SmolLM2-135M-Instruct) or the path of a GGUF file."""
    context_size: int = Field(default=8192, ge=256)
    threads: int | None = Field(default=None, ge=1)


class ProviderSettings(Model):
    """Anything with a chat API. A name of the built-in table needs no further keys."""

    protocol: ProtocolName | None = None
    base_url: str | None = None
    """What that protocol's own SDK takes as its base URL."""
    api_key: SecretStr | None = None
    api_keys: tuple[SecretStr, ...] = ()
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    timeouts: TimeoutSettings = TimeoutSettings()
    embedded: EmbeddedSettings | None = None


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
    model: str = Field(min_length=1)
    weight: int = Field(default=1, ge=0)


class GroupSettings(Parameters):
    """A name that chat clients use for one or more targets.

    The short form (`model`, `provider`) is a list of one target. Parameters beside them are
    defaults that the client's own value overrides; those under `override` win.
    """

    model: str | None = Field(default=None, min_length=1)
    provider: str | None = Field(default=None, min_length=1)
    targets: tuple[TargetSettings, ...] = ()
    models: Mapping[str, TargetSettings] = Field(default_factory=dict)
    """Glob over the client's model name -> target; the first match wins, in the file's order."""
    override: Parameters | None = None
    description: str | None = None

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
    command: str | None = Field(default=None, min_length=1)
    args: tuple[str, ...] = ()
    env: Mapping[str, SecretStr] = Field(default_factory=dict)
    cwd: Path | None = None
    url: str | None = None
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    disabled: bool = False
    timeout: float = Field(default=60, gt=0)
    """Seconds that one call may take without a sign of life."""
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
    exclude: Strings = ()


class ProfileSettings(Model):
    """What one IDE may see under `/mcp/{profile}`. `None` means all of them."""

    servers: Strings | None = None
    groups: Strings | None = None
    tools: ToolFilter = ToolFilter()


class KeySettings(Model):
    """A key that clients present to the hub."""

    key: SecretStr = Field(min_length=1)
    groups: Strings | None = None
    profiles: Strings | None = None


class Settings(Model):
    """The whole file."""

    server: ServerSettings = ServerSettings()
    providers: Mapping[str, ProviderSettings] = Field(default_factory=dict)
    groups: Mapping[str, GroupSettings] = Field(default_factory=dict)
    mcp_servers: Mapping[str, McpServerSettings] = Field(default_factory=dict, alias="mcpServers")
    profiles: Mapping[str, ProfileSettings] = Field(default_factory=dict)
    keys: Mapping[str, KeySettings] = Field(default_factory=dict)
    default_group: str | None = None
