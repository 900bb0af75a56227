"""The programs that use MCP servers: where each keeps them, and how the hub's entry is spelled there.

Sources: the programs' own pages on MCP (Cursor, VS Code, Claude Code, Claude Desktop, Gemini CLI,
Codex, opencode, Windsurf, Zed, Cline, Copilot CLI, Qwen Code), read in November 2026.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

Format = Literal["jsonc", "toml"]
NAME = "hub"
"""The entry's name in every program."""
KEY_VARIABLE = "HUB_KEY"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The hub as one program shall reach it. `path` is `/mcp` or `/mcp/NAME`."""

    url: str
    path: str
    asks_for_key: bool = False
    key: str | None = None
    """Only for programs that cannot read it from the environment."""


@dataclass(frozen=True, slots=True)
class Program:
    """`user_files` and `project_files`: the first that exists is meant, else the first."""

    title: str
    section: tuple[str, ...]
    """Where its MCP servers stand in the file."""
    user_files: Callable[[], tuple[Path, ...]]
    entry: Callable[[Endpoint], dict[str, Any]]
    project_files: tuple[str, ...] = ()
    """Relative to the project's folder; empty: it has none."""
    format: Format = "jsonc"
    key_in_file: bool = False
    """Whether it cannot read a header's value from the environment."""

    def file(self, project: Path | None) -> Path:
        """Its settings file, whether it is there or not. Raises LookupError: it has none for projects."""
        if project is not None and not self.project_files:
            raise LookupError(self.title)
        files = self.user_files() if project is None else tuple(project / name for name in self.project_files)
        return next((file for file in files if file.exists()), files[0])


def _home(*parts: str) -> Callable[[], tuple[Path, ...]]:
    return lambda: (Path.home().joinpath(*parts),)


def _application(mac: str, linux: str, *names: str) -> Callable[[], tuple[Path, ...]]:
    """In the folder for applications' files, which is not the same on macOS and Linux."""

    def files() -> tuple[Path, ...]:
        if sys.platform == "darwin":
            folder = Path.home() / "Library" / "Application Support" / mac
        else:
            folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / linux
        return tuple(folder / name for name in names)

    return files


def _config(*parts: str) -> Callable[[], tuple[Path, ...]]:
    """In the folder for settings that also macOS programs use which come from Linux."""

    def files() -> tuple[Path, ...]:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / parts[0]
        return tuple(folder / name for name in parts[1:])

    return files


def _below(variable: str, *default: str) -> Callable[[str], Callable[[], tuple[Path, ...]]]:
    """In the folder that the environment names, else in the usual one of the home folder."""

    def named(name: str) -> Callable[[], tuple[Path, ...]]:
        def files() -> tuple[Path, ...]:
            own = os.environ.get(variable)
            return ((Path(own) if own else Path.home().joinpath(*default)) / name,)

        return files

    return named


def _remote(
    url_key: str = "url", variable: str = "${env:%s}", **fixed: Any
) -> Callable[[Endpoint], dict[str, Any]]:
    """`variable` is how the program writes a variable of the environment; "": not at all."""

    def entry(endpoint: Endpoint) -> dict[str, Any]:
        written = {**fixed, url_key: endpoint.url + endpoint.path}
        if endpoint.asks_for_key:
            key = variable % KEY_VARIABLE if variable else endpoint.key or ""
            written["headers"] = {"Authorization": f"Bearer {key}"}
        return written

    return entry


def _stdio(endpoint: Endpoint) -> dict[str, Any]:
    name = unquote(endpoint.path.removeprefix("/mcp").strip("/"))
    written: dict[str, Any] = {
        "command": "hub",
        "args": ["connect", *([name] if name else []), "--url", endpoint.url],
    }
    return {**written, "env": {KEY_VARIABLE: endpoint.key or ""}} if endpoint.asks_for_key else written


def _codex(endpoint: Endpoint) -> dict[str, Any]:
    written = {"url": endpoint.url + endpoint.path}
    return {**written, "bearer_token_env_var": KEY_VARIABLE} if endpoint.asks_for_key else written


_MCP_SERVERS = ("mcpServers",)

PROGRAMS: Mapping[str, Program] = {
    "cursor": Program("Cursor", _MCP_SERVERS, _home(".cursor", "mcp.json"), _remote(), (".cursor/mcp.json",)),
    "vscode": Program(
        "VS Code",
        ("servers",),
        _application("Code/User", "Code/User", "mcp.json"),
        _remote(type="http"),
        (".vscode/mcp.json",),
    ),
    "claude-code": Program(
        "Claude Code",
        _MCP_SERVERS,
        _below("CLAUDE_CONFIG_DIR")(".claude.json"),
        _remote(variable="${%s}", type="http"),
        (".mcp.json",),
    ),
    "claude-desktop": Program(
        "Claude Desktop",
        _MCP_SERVERS,
        _application("Claude", "Claude", "claude_desktop_config.json"),
        _stdio,
        key_in_file=True,
    ),
    "gemini-cli": Program(
        "Gemini CLI",
        _MCP_SERVERS,
        _home(".gemini", "settings.json"),
        _remote("httpUrl", "${%s}"),
        (".gemini/settings.json",),
    ),
    "codex": Program(
        "Codex CLI", ("mcp_servers",), _below("CODEX_HOME", ".codex")("config.toml"), _codex, format="toml"
    ),
    "opencode": Program(
        "opencode",
        ("mcp",),
        _config("opencode", "opencode.json", "opencode.jsonc"),
        _remote(variable="{env:%s}", type="remote", enabled=True),
        ("opencode.json", "opencode.jsonc"),
    ),
    "windsurf": Program(
        "Windsurf",
        _MCP_SERVERS,
        _home(".codeium", "windsurf", "mcp_config.json"),
        _remote("serverUrl"),
    ),
    "zed": Program(
        "Zed",
        ("context_servers",),
        _config("zed", "settings.json"),
        _remote(variable=""),
        (".zed/settings.json",),
        key_in_file=True,
    ),
    "cline": Program(
        "Cline",
        _MCP_SERVERS,
        _application(
            "Code/User",
            "Code/User",
            "globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        ),
        _remote(variable="", type="streamableHttp"),
        key_in_file=True,
    ),
    "copilot-cli": Program(
        "Copilot CLI",
        _MCP_SERVERS,
        _below("COPILOT_HOME", ".copilot")("mcp-config.json"),
        _remote(variable="${%s}", type="http", tools=["*"]),
    ),
    "qwen-code": Program(
        "Qwen Code",
        _MCP_SERVERS,
        _home(".qwen", "settings.json"),
        _remote("httpUrl", "${%s}"),
        (".qwen/settings.json",),
    ),
}
