"""The settings model: what a settings file may say, as the public contract has it.

Everything here is frozen and compares by value, so that a reload can tell what changed.
Reading files and expanding variables is `hub.settings.load`; turning settings into what the
gateway and the MCP hub serve is `hub.snapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from hub.settings.groups import EmulateSettings, GroupSettings
from hub.settings.keys import KeySettings
from hub.settings.mcp import DiscoverySettings, McpServerSettings, ProfileSettings
from hub.settings.observability import LogSettings, RecorderSettings, TelemetrySettings
from hub.settings.providers import ProviderSettings
from hub.settings.server import ServerSettings
from hub.settings.usage import AuditSettings, PriceSettings, TargetGlob, UsageSettings


class Settings(DiscoverySettings):
    """The whole file. `discovery` and the two keys beside it are for `/mcp`; profiles have their own."""

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
    model_tools: bool = True
    """Offer the groups as MCP tools too, on `/mcp` and in profiles: `ask_{group}`, `compare_models`, …."""
    emulate: EmulateSettings = EmulateSettings()
    """MCP tools that stand for tools of a provider, such as web search, on targets that have none."""
    default_group: str | None = None
    """The group of requests that name none; absent: the first one."""
    log: LogSettings = LogSettings()
    """What is logged, and where."""
    telemetry: TelemetrySettings | None = None
    """OpenTelemetry traces; `true` is short for the usual `OTEL_…` variables alone."""
    recorder: RecorderSettings | None = None
    """Keeps full exchanges for `hub replay`; `true` is short for all defaults."""
    usage: UsageSettings = UsageSettings()
    """What is written down of each call, and for how long."""
    audit: AuditSettings = AuditSettings()
    """What is written down of tool calls beyond that."""
    prices: Mapping[TargetGlob, PriceSettings] = Field(default_factory=dict)
    """What models cost: `provider/model`, a glob, to its price. The first match wins; what none matches has
    the price that comes with the hub, or none."""
