"""The lines that make each client use the hub: the pages show them, and the suite runs the clients by them.

They name a hub at its default address with a group `kimi`; the suite puts its own address and group in.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

HUB = "http://127.0.0.1:11434"
GROUP = "kimi"
PAGES = Path(__file__).parents[2] / "docs" / "clients"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Lines for a shell if there is no `file`; else the text of that file below the home."""

    page: str
    text: str
    file: str | None = None

    def at(self, hub: str, group: str) -> str:
        """The text for another hub and group."""
        text = self.text.replace(f"{HUB}/{GROUP}", f"{hub}/{group}")
        return text.replace(HUB, hub)

    def variables(self, hub: str, group: str) -> dict[str, str]:
        lines = [shlex.split(line) for line in self.at(hub, group).splitlines()]
        return dict(words[1].split("=", 1) for words in lines if words[0] == "export")

    def commands(self, hub: str, group: str) -> list[list[str]]:
        lines = [shlex.split(line) for line in self.at(hub, group).splitlines()]
        return [words for words in lines if words[0] != "export"]


def opencode(package: str, path: str) -> Recipe:
    text = f"""\
{{
  "$schema": "https://opencode.ai/config.json",
  "model": "hub/kimi",
  "small_model": "hub/kimi",
  "provider": {{
    "hub": {{
      "npm": "{package}",
      "name": "Hub",
      "options": {{"baseURL": "http://127.0.0.1:11434/kimi{path}", "apiKey": "none"}},
      "models": {{"kimi": {{"name": "kimi", "tool_call": true}}}}
    }}
  }}
}}
"""
    return Recipe("opencode", text, ".config/opencode/opencode.json")


CLAUDE_MODELS = Recipe(
    "claude-code",
    """\
export ANTHROPIC_BASE_URL=http://127.0.0.1:11434/kimi
export ANTHROPIC_AUTH_TOKEN=none
""",
)
CLAUDE_TOOLS = Recipe("claude-code", "claude mcp add --transport http hub http://127.0.0.1:11434/mcp\n")
GEMINI_MODELS = Recipe(
    "gemini-cli",
    """\
export GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:11434/kimi
export GEMINI_API_KEY=none
""",
)
GEMINI_TOOLS = Recipe(
    "gemini-cli",
    """\
{
  "security": {"auth": {"selectedType": "gemini-api-key"}},
  "mcpServers": {"hub": {"httpUrl": "http://127.0.0.1:11434/mcp"}}
}
""",
    ".gemini/settings.json",
)
CODEX_MODELS = Recipe(
    "codex",
    """\
model_provider = "hub"

[model_providers.hub]
name = "hub"
base_url = "http://127.0.0.1:11434/kimi/v1"
wire_api = "responses"
""",
    ".codex/config.toml",
)
CODEX_TOOLS = Recipe(
    "codex",
    """\
[mcp_servers.hub]
url = "http://127.0.0.1:11434/mcp"

[features]
mcp_tool_list_changed = true
""",
    ".codex/config.toml",
)
OPENCODE_CHAT = opencode("@ai-sdk/openai-compatible", "/v1")
OPENCODE_RESPONSES = opencode("@ai-sdk/openai", "/v1")
OPENCODE_ANTHROPIC = opencode("@ai-sdk/anthropic", "/v1")
OPENCODE_GEMINI = opencode("@ai-sdk/google", "/v1beta")
OPENCODE_TOOLS = Recipe(
    "opencode",
    """\
{
  "mcp": {"hub": {"type": "remote", "url": "http://127.0.0.1:11434/mcp", "enabled": true, "oauth": false}}
}
""",
    ".config/opencode/opencode.json",
)
QWEN_CHAT = Recipe(
    "qwen-code",
    """\
export OPENAI_BASE_URL=http://127.0.0.1:11434/kimi/v1
export OPENAI_API_KEY=none
export OPENAI_MODEL=kimi
""",
)
QWEN_ANTHROPIC = Recipe(
    "qwen-code",
    """\
export ANTHROPIC_BASE_URL=http://127.0.0.1:11434/kimi
export ANTHROPIC_API_KEY=none
export ANTHROPIC_MODEL=kimi
""",
)
QWEN_GEMINI = Recipe(
    "qwen-code",
    """\
export GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:11434/kimi
export GEMINI_API_KEY=none
export GEMINI_MODEL=kimi
""",
)
QWEN_TOOLS = Recipe(
    "qwen-code",
    """\
{
  "mcpServers": {"hub": {"httpUrl": "http://127.0.0.1:11434/mcp"}}
}
""",
    ".qwen/settings.json",
)
COPILOT_CHAT = Recipe(
    "copilot-cli",
    """\
export COPILOT_PROVIDER_TYPE=openai
export COPILOT_PROVIDER_WIRE_API=completions
export COPILOT_PROVIDER_BASE_URL=http://127.0.0.1:11434/kimi/v1
export COPILOT_PROVIDER_API_KEY=none
export COPILOT_MODEL=kimi
""",
)
COPILOT_RESPONSES = Recipe("copilot-cli", COPILOT_CHAT.text.replace("completions", "responses"))
COPILOT_ANTHROPIC = Recipe(
    "copilot-cli",
    """\
export COPILOT_PROVIDER_TYPE=anthropic
export COPILOT_PROVIDER_BASE_URL=http://127.0.0.1:11434/kimi
export COPILOT_PROVIDER_API_KEY=none
export COPILOT_MODEL=kimi
""",
)
COPILOT_TOOLS = Recipe(
    "copilot-cli",
    """\
{
  "mcpServers": {"hub": {"type": "http", "url": "http://127.0.0.1:11434/mcp", "tools": ["*"]}}
}
""",
    ".copilot/mcp-config.json",
)
RECIPES = tuple(value for value in list(globals().values()) if isinstance(value, Recipe))
