"""The chat clients that `hub run` starts: what each needs to use the hub for one run.

Nothing of theirs is changed: what they need goes into their environment, their arguments, and files of
a folder that lasts as long as the run. Each is told in the place that outranks its user's own settings.
Sources: the clients' own pages and `--help` (Claude Code 2.1, Gemini CLI 0.61, Codex 0.169,
opencode 1.18, Qwen Code 0.24, Copilot CLI 1.0), November 2026.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.ide import jsonc
from hub.ide.programs import KEY_VARIABLE, NAME

NO_KEY = "none"
"""For a hub without keys: the clients insist on having one."""
_CHAT, _RESPONSES, _ANTHROPIC, _GEMINI = "openai", "openai-responses", "anthropic", "gemini"


@dataclass(frozen=True, slots=True)
class Place:
    """The hub, as one run of a client shall reach it."""

    url: str
    """Of the hub."""
    prefix: str
    """The path of the group: `/kimi`, or `/switch` for the active one."""
    tools: str
    """The path of the MCP endpoint."""
    model: str
    """The name of the model that the client shows and sends; the group decides anyway."""
    folder: Path
    """For files of this run."""
    protocol: str = _CHAT
    """For clients of several."""
    key: str | None = field(default=None, repr=False)

    @property
    def models(self) -> str:
        return self.url + self.prefix

    @property
    def secret(self) -> str:
        return self.key or NO_KEY

    @property
    def headers(self) -> dict[str, Any]:
        """For the entry of an MCP server."""
        return {"headers": {"Authorization": f"Bearer {self.key}"}} if self.key else {}


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a client: `arguments` before the user's own; `files` by their names in the folder."""

    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    """Variables that would lead it elsewhere."""
    files: Mapping[str, Any] = field(default_factory=dict)
    """JSON documents."""
    links: Mapping[str, Path] = field(default_factory=dict)
    """What of the user's own stands in the folder, too."""


@dataclass(frozen=True, slots=True)
class ClientProgram:
    """`protocols`: those it can speak, the usual one first."""

    title: str
    program: str
    package: str
    """At npm."""
    start: Callable[[Place, Sequence[str]], Start]
    """Also takes the user's own arguments: what they say stands."""
    protocols: tuple[str, ...]


def _given(arguments: Sequence[str], *names: str) -> bool:
    return any(one.partition("=")[0] in names for one in arguments)


def _claude(place: Place, arguments: Sequence[str]) -> Start:
    environ = {"ANTHROPIC_BASE_URL": place.models, "ANTHROPIC_AUTH_TOKEN": place.secret}
    servers = {NAME: {"type": "http", "url": place.url + place.tools, **place.headers}}
    files: dict[str, Any] = {"mcp.json": {"mcpServers": servers}}
    ours: list[str] = ["--mcp-config", str(place.folder / "mcp.json")]
    if not _given(arguments, "--settings"):  # outranks `env` in the user's settings
        files["settings.json"] = {"env": environ}
        ours += ["--settings", str(place.folder / "settings.json")]
    elsewhere = ("ANTHROPIC_API_KEY", *(f"CLAUDE_CODE_USE_{one}" for one in ("BEDROCK", "VERTEX", "FOUNDRY")))
    return Start(tuple(ours), environ, elsewhere, files)


def _codex(place: Place, arguments: Sequence[str]) -> Start:
    provider: dict[str, Any] = {
        "name": NAME, "base_url": f"{place.models}/v1", "wire_api": "responses",
    }  # fmt: skip
    server = {"url": place.url + place.tools}
    if place.key:
        provider["env_key"] = server["bearer_token_env_var"] = KEY_VARIABLE
    given = {
        "model_provider": json.dumps(NAME),
        f"model_providers.{NAME}": _inline(provider),
        f"mcp_servers.{NAME}": _inline(server),
        "features.mcp_tool_list_changed": "true",
    }
    named = _given(arguments, "-m", "--model") or any(one.startswith("model=") for one in arguments)
    if not named:  # the name decides which tools it sends: these are ones that every model can use
        given["model"] = '"gpt-5.1-codex"'
    ours = (word for name, value in given.items() for word in ("-c", f"{name}={value}"))
    return Start(tuple(ours), {KEY_VARIABLE: place.key} if place.key else {})


def _inline(table: Mapping[str, str]) -> str:
    """A TOML table on one line; strings are written as in JSON."""
    return f"{{{', '.join(f'{name} = {json.dumps(value)}' for name, value in table.items())}}}"


def _gemini(place: Place, arguments: Sequence[str]) -> Start:
    """A home of its own with what is in the user's: Gemini CLI reads system settings of root alone."""
    home = Path(os.environ.get("GEMINI_CLI_HOME") or Path.home()) / ".gemini"
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "mcpServers": {NAME: {"httpUrl": place.url + place.tools, **place.headers}},
    }
    environ = {
        "GOOGLE_GEMINI_BASE_URL": place.models,
        "GEMINI_API_KEY": place.secret,
        "GEMINI_CLI_HOME": str(place.folder),
    }
    own = {f".gemini/{path.name}": path for path in home.glob("*") if path.name != "settings.json"}
    files = {".gemini/settings.json": _merged(_document(home / "settings.json"), settings)}
    without = ("GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA")
    return Start((), environ, without, files, own)


_QWEN = {
    _CHAT: ("openai", "OPENAI", "OPENAI_BASE_URL", "/v1"),
    _ANTHROPIC: ("anthropic", "ANTHROPIC", "ANTHROPIC_BASE_URL", ""),
    _GEMINI: ("gemini", "GEMINI", "GOOGLE_GEMINI_BASE_URL", ""),
}


def _qwen(place: Place, arguments: Sequence[str]) -> Start:
    auth, name, base, path = _QWEN[place.protocol]
    variable = "QWEN_CODE_SYSTEM_SETTINGS_PATH"
    settings = {
        "security": {"auth": {"selectedType": auth}},
        "model": {"name": place.model},
        "mcpServers": {NAME: {"httpUrl": place.url + place.tools, **place.headers}},
    }
    environ = {
        base: place.models + path,
        f"{name}_API_KEY": place.secret,
        f"{name}_MODEL": place.model,
        variable: str(place.folder / "settings.json"),
    }
    files = {"settings.json": _merged(_document(_system_settings(variable)), settings)}
    return Start((), environ, ("GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"), files)


def _system_settings(variable: str) -> Path:
    """What this computer's administrator has set: the run's own settings stand in the same place."""
    folders = {"darwin": "/Library/Application Support/QwenCode", "win32": "C:\\ProgramData\\qwen-code"}
    return Path(os.environ.get(variable) or f"{folders.get(sys.platform, '/etc/qwen-code')}/settings.json")


def _document(path: Path) -> dict[str, Any]:
    """The settings in a file, which may have comments; {} where there is none to be read."""
    try:
        found = jsonc.load(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _merged(into: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for key, value in more.items():
        here = merged.get(key)
        merged[key] = _merged(here, value) if isinstance(here, dict) and isinstance(value, dict) else value
    return merged


_OPENCODE = {
    _CHAT: ("@ai-sdk/openai-compatible", "/v1"),
    _RESPONSES: ("@ai-sdk/openai", "/v1"),
    _ANTHROPIC: ("@ai-sdk/anthropic", "/v1"),
    _GEMINI: ("@ai-sdk/google", "/v1beta"),
}


def _opencode(place: Place, arguments: Sequence[str]) -> Start:
    package, path = _OPENCODE[place.protocol]
    model = f"{NAME}/{place.model}"
    provider = {
        "npm": package,
        "name": "Hub",
        "options": {"baseURL": place.models + path, "apiKey": place.secret},
        "models": {place.model: {"name": place.model, "tool_call": True}},
    }
    server = {
        "type": "remote", "url": place.url + place.tools, "enabled": True, "oauth": False, **place.headers,
    }  # fmt: skip
    settings = {
        "model": model,
        "small_model": model,
        "provider": {NAME: provider},
        "mcp": {NAME: server},
    }
    return Start((), {"OPENCODE_CONFIG_CONTENT": json.dumps(settings)})


_COPILOT = {
    _CHAT: ("openai", "completions", "/v1"),
    _RESPONSES: ("openai", "responses", "/v1"),
    _ANTHROPIC: ("anthropic", None, ""),
}


def _copilot(place: Place, arguments: Sequence[str]) -> Start:
    kind, wire, path = _COPILOT[place.protocol]
    server = {"type": "http", "url": place.url + place.tools, "tools": ["*"], **place.headers}
    environ = {
        "COPILOT_PROVIDER_TYPE": kind,
        "COPILOT_PROVIDER_BASE_URL": place.models + path,
        "COPILOT_PROVIDER_API_KEY": place.secret,
        "COPILOT_MODEL": place.model,
        **({"COPILOT_PROVIDER_WIRE_API": wire} if wire else {}),
        "COPILOT_OFFLINE": os.environ.get("COPILOT_OFFLINE", "true"),  # else it wants a login at GitHub
    }
    ours = ("--additional-mcp-config", f"@{place.folder / 'mcp.json'}")
    without = ("COPILOT_PROVIDER_BEARER_TOKEN", "COPILOT_PROVIDER_WIRE_API")
    return Start(ours, environ, without, {"mcp.json": {"mcpServers": {NAME: server}}})


CLIENT_PROGRAMS: Mapping[str, ClientProgram] = {
    "claude": ClientProgram("Claude Code", "claude", "@anthropic-ai/claude-code", _claude, (_ANTHROPIC,)),
    "gemini": ClientProgram("Gemini CLI", "gemini", "@google/gemini-cli", _gemini, (_GEMINI,)),
    "codex": ClientProgram("Codex", "codex", "@openai/codex", _codex, (_RESPONSES,)),
    "opencode": ClientProgram("opencode", "opencode", "opencode-ai", _opencode, tuple(_OPENCODE)),
    "qwen": ClientProgram("Qwen Code", "qwen", "@qwen-code/qwen-code", _qwen, tuple(_QWEN)),
    "copilot": ClientProgram("Copilot CLI", "copilot", "@github/copilot", _copilot, tuple(_COPILOT)),
}
