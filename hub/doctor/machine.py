"""What the hub needs of the machine: folders, open files, programs, the usage database, model weights.

Blocking: for a thread.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from hub.doctor.findings import Finding, note, ok, wrong
from hub.embedded.weights import PACKAGED, cache_folder
from hub.settings import Settings
from hub.settings.providers import EmbeddedSettings
from hub.snapshot import embedded_providers
from hub.state_folder import state_folder

_FEW_FILES = 1024
"""Below what a busy hub needs: two for each stream that is under way."""
_PROGRAM_SECONDS = 5.0
_OLDEST_NODE = 18
"""The oldest that the MCP SDK for TypeScript runs on."""
_NODE_PROGRAMS = frozenset(("node", "npx", "npm", "bunx", "pnpx", "pnpm", "yarn"))
_SOURCES: Mapping[str, str] = {
    "npx": "install Node.js, which brings npx: https://nodejs.org",
    "node": "install Node.js: https://nodejs.org",
    "uvx": "install uv, which brings uvx: https://docs.astral.sh/uv/",
    "uv": "install uv: https://docs.astral.sh/uv/",
    "docker": "install Docker, or start the server in another way",
}


def state_folder_finding() -> Finding:
    """Whether logs, recordings, usage and the active group can be kept."""
    folder = state_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return ok("files", "state folder", f"{folder} can be written")
    return wrong(
        "files",
        "state folder",
        f"{existing} cannot be written, so nothing is kept: logs, usage, the active group",
        f"make it yours (chown), or name another place in XDG_STATE_HOME: {folder}",
    )


def open_files_finding() -> Finding | None:
    """How many files the hub may have open; it takes what it may at start. None: there is no limit here."""
    try:
        import resource
    except ImportError:
        return None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= _FEW_FILES * 4:
        return ok("files", "open files", f"up to {'any number' if hard == resource.RLIM_INFINITY else hard}")
    return note(
        "files",
        "open files",
        f"only {hard} at once, enough for about {hard // 2} streams",
        "raise the hard limit (`ulimit -Hn`, or LimitNOFILE of the service)",
    )


def usage_finding(settings: Settings) -> Finding:
    """Whether what is used can be written down."""
    from hub.usage.database import UsageError, check_revision, open_to_read
    from hub.usage.writer import database_url, file_of

    if not settings.usage.enabled:
        return ok("usage", "database", "is switched off (`usage.enabled: false`)")
    url = database_url(settings.usage)
    file = file_of(url)
    shown = str(file) if file is not None else "the database of `usage.url`"
    try:
        engine = open_to_read(url)
        if engine is None:
            return ok("usage", "database", f"{shown} comes with the first call")
        try:
            with engine.connect() as connection:
                newest = check_revision(connection)
        finally:
            engine.dispose()
    except UsageError as error:
        return wrong("usage", "database", str(error), "see `usage.url` in the settings")
    except Exception as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
        remedy = "move the file away: a new one is made" if file is not None else "see `usage.url`"
        return wrong("usage", "database", f"{shown} cannot be read: {reason}", remedy)
    if file is not None and not os.access(file, os.W_OK):
        return wrong("usage", "database", f"{shown} cannot be written", f"chmod u+w {file}")
    return ok("usage", "database", shown if newest else f"{shown} is brought up to date at the next start")


def program_findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The programs that start the stdio servers, and Python itself."""
    yield ok("program", "python", f"{platform.python_version()} ({sys.executable})")
    wanted: dict[str, list[str]] = {}
    for name, server in settings.mcp_servers.items():
        if server.command is not None and not server.disabled:
            wanted.setdefault(server.command, []).append(name)
    for command, servers in wanted.items():
        finding = _program(command, servers, environ.get("PATH"))
        if finding is not None:
            yield finding


def _program(command: str, servers: list[str], path: str | None) -> Finding | None:
    used = f"for {', '.join(servers)}"
    found = shutil.which(command, path=path)
    label = Path(command).name
    if found is None:
        remedy = _SOURCES.get(
            label, f"install it, or write its whole path in mcpServers.{servers[0]}.command"
        )
        return wrong("program", label, f"{command} is not on PATH, needed {used}", remedy)
    if label not in _NODE_PROGRAMS:
        return ok("program", label, f"{found}, {used}")
    node = shutil.which("node", path=path)
    version = _version(node) if node is not None else ""
    major = re.match(r"v?(\d+)", version)
    if major is None:
        return wrong("program", label, f"there is no Node.js that answers, needed {used}", _SOURCES["node"])
    if int(major[1]) < _OLDEST_NODE:
        what = f"Node.js {version} is older than most servers take ({_OLDEST_NODE}), {used}"
        return note("program", label, what, _SOURCES["node"])
    return ok("program", label, f"Node.js {version}, {used}")


def _version(program: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a program of PATH that the settings name
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROGRAM_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def embedded_findings(settings: Settings) -> Iterator[Finding]:
    """The models that the hub runs itself, where no hub runs that could tell more."""
    for name, provider in embedded_providers(settings).items():
        if provider.embedded is not None:
            yield _embedded(name, provider.embedded)


def _embedded(name: str, embedded: EmbeddedSettings) -> Finding:
    if importlib.util.find_spec("xllamacpp") is None:
        remedy = "pip install 'ccproxy-hub[embedded]'"
        return wrong("embedded", name, "llama.cpp is not installed (xllamacpp)", remedy)
    packaged = PACKAGED.get(embedded.model)
    if packaged is None:
        path = Path(embedded.model).expanduser()
        if path.is_file():
            return ok("embedded", name, str(path))
        remedy = f"give the path of a GGUF file in providers.{name}.embedded.model"
        return wrong("embedded", name, f"there is no file {path}", remedy)
    spec = importlib.util.find_spec(packaged.package)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    places = [*(Path(folder) for folder in folders), cache_folder()]
    if any((place / packaged.file).is_file() for place in places):
        return ok("embedded", name, f"the weights of {embedded.model} are here")
    megabytes = packaged.size // 1_000_000
    return note("embedded", name, f"{megabytes} MB of weights are fetched at the first start")
