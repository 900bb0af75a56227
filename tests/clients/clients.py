"""How each client runs without a terminal, in an environment and a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients import recipes
from tests.clients.install import Installed
from tests.clients.recipes import Recipe
from tests.clients.script import Json

Read = Callable[[Path], tuple[str, Json]]

# What is not for loopback goes to a closed port.
CLOSED = "http://127.0.0.1:9"
QUIET = {
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "CI": "1",
    "DO_NOT_TRACK": "1",
    **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), CLOSED),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1"),
}


@dataclass(frozen=True, slots=True)
class Client:
    """`reads` gives the call of the client's own tool that shows a file; `fails` one that fails."""

    name: str
    package: str
    program: str
    models: Recipe
    tools: Recipe
    arguments: tuple[str, ...]  # `{prompt}` stands for the prompt
    reads: Read
    fails: tuple[str, Json] | None = None
    uses: Callable[[str, Json], tuple[str, Json]] = lambda name, arguments: (name, arguments)
    query: str = "select:mcp__hub__{name}"
    environ: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Json] = field(default_factory=dict)  # merged into the files of the recipes


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int | None  # None: it did not end in time
    output: str
    errors: str
    seconds: float

    def says(self, word: str) -> bool:
        """Whether the client shows this word, however it cuts it into pieces."""
        if word in self.output:
            return True
        pieces = []
        for line in self.output.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and isinstance(event.get("content"), str):
                pieces.append(event["content"])
        return word in "".join(pieces)


def _path(key: str) -> Callable[[str], Read]:
    return lambda tool: lambda path: (tool, {key: str(path)})


def _shell(path: Path) -> tuple[str, Json]:
    return "exec_command", {"cmd": f"cat {path}"}


def _code(script: str) -> tuple[str, Json]:
    return "exec", {"input": script}


_PATCH = "*** Begin Patch\n*** Update File: no-such-file\n@@\n-a\n+b\n*** End Patch\n"
_CODEX = (
    "exec", "--json", "--skip-git-repo-check",
    "-c", "approval_policy=never", "-c", "sandbox_mode=danger-full-access",
    "-c", "check_for_update_on_startup=false", "-c", "features.plugins=false",
    "-c", "analytics.enabled=false", "-c", "feedback.enabled=false", "-c", "otel.exporter=none",
)  # fmt: skip
_QUIET_GEMINI: Json = {
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "security": {"folderTrust": {"enabled": False}},
}


def _codex(name: str, model: str, **more: object) -> Client:
    given: dict[str, object] = {"reads": _shell, "query": "hub {name}", **more}
    return Client(
        name, "@openai/codex", "codex", recipes.CODEX_MODELS, recipes.CODEX_TOOLS,
        (*_CODEX, "-m", model, "{prompt}"), environ={"CODEX_HOME": "{home}/.codex"}, **given,  # type: ignore[arg-type]
    )  # fmt: skip


def _opencode(api: str, models: Recipe) -> Client:
    off = (
        "AUTOUPDATE", "MODELS_FETCH", "SHARE", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "EXTERNAL_SKILLS",
    )  # fmt: skip
    return Client(
        f"opencode-{api}", "opencode-ai", "opencode", models, recipes.OPENCODE_TOOLS,
        ("run", "--format", "json", "{prompt}"), _path("filePath")("read"),
        environ={f"OPENCODE_DISABLE_{one}": "1" for one in off},
        settings={".config/opencode/opencode.json": {"autoupdate": False, "share": "disabled"}},
    )  # fmt: skip


def _qwen(api: str, models: Recipe, auth: str) -> Client:
    arguments = ("-p", "{prompt}", "--yolo", "--auth-type", auth, "--output-format", "stream-json")
    quiet = {**_QUIET_GEMINI, "security": {"auth": {"selectedType": auth}, "folderTrust": {"enabled": False}}}
    return Client(
        f"qwen-{api}", "@qwen-code/qwen-code", "qwen", models, recipes.QWEN_TOOLS, arguments,
        _path("file_path")("read_file"), settings={".qwen/settings.json": quiet},
    )  # fmt: skip


def _copilot(api: str, models: Recipe) -> Client:
    return Client(
        f"copilot-{api}", "@github/copilot", "copilot", models, recipes.COPILOT_TOOLS,
        ("-p", "{prompt}", "--allow-all-tools", "--output-format", "json", "--disable-builtin-mcps"),
        _path("path")("view"),
        environ={
            "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false", "COPILOT_HOME": "{home}/.copilot",
        },
    )  # fmt: skip


CLIENTS = (
    Client(
        "claude", "@anthropic-ai/claude-code", "claude", recipes.CLAUDE_MODELS, recipes.CLAUDE_TOOLS,
        (
            "-p", "{prompt}", "--output-format", "stream-json", "--verbose",
            "--allowedTools", "Bash,Read,mcp__hub",
        ),
        _path("file_path")("Read"),
        environ={
            "CLAUDE_CONFIG_DIR": "{home}/.claude", "ENABLE_CLAUDEAI_MCP_SERVERS": "false",
            **dict.fromkeys((
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING",
                "DISABLE_AUTOUPDATER", "DISABLE_UPDATES", "DISABLE_BUG_COMMAND",
                "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
            ), "1"),
        },
    ),
    Client(
        "gemini", "@google/gemini-cli", "gemini", recipes.GEMINI_MODELS, recipes.GEMINI_TOOLS,
        ("-p", "{prompt}", "--yolo", "-m", "gemini-2.5-pro", "--output-format", "stream-json"),
        _path("file_path")("read_file"),
        environ={"GEMINI_CLI_TRUST_WORKSPACE": "true", "GEMINI_TELEMETRY_ENABLED": "false"},
        settings={".gemini/settings.json": _QUIET_GEMINI},
    ),
    _codex("codex", "gpt-5.1-codex"),
    _codex("codex-gpt-5.5", "gpt-5.5", fails=("apply_patch", {"input": _PATCH})),
    _codex(
        "codex-gpt-6", "gpt-6-sol",
        reads=lambda path: _code(f'text(await tools.exec_command({{cmd: "cat {path}"}}))'),
        uses=lambda name, arguments: _code(f"text(await tools.mcp__hub__{name}({json.dumps(arguments)}))"),
    ),
    _opencode("chat", recipes.OPENCODE_CHAT),
    _opencode("responses", recipes.OPENCODE_RESPONSES),
    _opencode("anthropic", recipes.OPENCODE_ANTHROPIC),
    _opencode("gemini", recipes.OPENCODE_GEMINI),
    _qwen("chat", recipes.QWEN_CHAT, "openai"),
    _qwen("anthropic", recipes.QWEN_ANTHROPIC, "anthropic"),
    _qwen("gemini", recipes.QWEN_GEMINI, "gemini"),
    _copilot("chat", recipes.COPILOT_CHAT),
    _copilot("responses", recipes.COPILOT_RESPONSES),
    _copilot("anthropic", recipes.COPILOT_ANTHROPIC),
)  # fmt: skip


def merge(into: Json, more: Mapping[str, object]) -> Json:
    merged = dict(into)
    for key, value in more.items():
        here = merged.get(key)
        merged[key] = merge(here, value) if isinstance(here, dict) and isinstance(value, dict) else value
    return merged


def _files(client: Client, hub: str, group: str) -> dict[str, str]:
    """The files that the recipes ask for, by their path below the home."""
    texts: dict[str, list[str]] = {}
    for recipe in (client.models, client.tools):
        if recipe.file:
            texts.setdefault(recipe.file, []).append(recipe.at(hub, group))
    files = {}
    for name in {*texts, *client.settings}:
        parts = texts.get(name, [])
        if name.endswith(".json"):
            document: Json = {}
            for part in (*map(json.loads, parts), client.settings.get(name, {})):
                document = merge(document, part)
            files[name] = json.dumps(document)
        else:
            files[name] = "\n".join(parts)
    return files


def run(
    client: Client, installed: Installed, home: Path, hub: str, group: str, prompt: str, limit: float
) -> Outcome:
    """One prompt, to its end or until `limit` seconds have passed."""
    work = home / "work"
    for name, text in _files(client, hub, group).items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    environ = {
        "PATH": os.pathsep.join([*installed.path, "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        **{f"XDG_{one}_HOME": str(home / ".xdg" / one.lower()) for one in ("DATA", "STATE", "CACHE")},
        "XDG_CONFIG_HOME": str(home / ".config"),
        **QUIET,
        **{name: value.format(home=home) for name, value in client.environ.items()},
    }
    for folder in (work, home / "tmp", work / ".git"):
        folder.mkdir(parents=True, exist_ok=True)
    for recipe in (client.models, client.tools):
        if not recipe.file:
            environ.update(recipe.variables(hub, group))
            for command in recipe.commands(hub, group):
                began = start([*installed.command(command[0]), *command[1:]], environ, work, 60)
                assert began.status == 0, f"{command}: {began.output}{began.errors}"
    arguments = [prompt if one == "{prompt}" else one for one in client.arguments]
    return start([*installed.command(client.program), *arguments], environ, work, limit)


def start(command: list[str], environ: Mapping[str, str], folder: Path, limit: float) -> Outcome:
    begun = time.monotonic()
    out, err = folder.parent / "out", folder.parent / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=stderr, start_new_session=True,
        )  # fmt: skip
        try:
            status: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it leaves behind
            process.wait()
    return Outcome(
        status, out.read_text(errors="replace"), err.read_text(errors="replace"), time.monotonic() - begun
    )
