"""What `hub serve` says: where everything is, or who has its port."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import httpx

from hub.cli.client import NAME
from hub.keys.store import StoreError, read
from hub.settings import LoadedSettings, Settings
from hub.settings.server import ServerSettings

_USUAL_PORT = ServerSettings().port
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


def banner(loaded: LoadedSettings, address: tuple[Any, ...], found: str | None) -> str:
    """Addresses to copy, and what to do next. `found` is the report of a start without settings."""
    from hub.cli.run import version

    settings = loaded.settings
    host, port = str(address[0]), int(address[1])
    shown = "127.0.0.1" if host in _EVERYWHERE else host
    url = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    servers = [name for name, server in settings.mcp_servers.items() if not server.disabled]
    lines = [f"hub {version()} serves {loaded.path or 'what it found'} at {url}", ""]
    lines.append(f"  tools  {url}/mcp   {_names('MCP server', servers)}")
    lines += [f"         {url}/mcp/{name}" for name in settings.profiles]
    lines.append(f"  chat   {url}/v1    {_names('group', settings.groups)}  (OpenAI clients)")
    lines.append(f"         {url}       (Anthropic, Gemini and Ollama clients)")
    if keys := _keys(settings):
        lines.append(f"  keys   clients need one of: {', '.join(keys)}")
    lines += ["", *(f"  {line}" for line in _next_steps(loaded, port, found)), "", "Ctrl-C stops it."]
    return "\n".join(lines)


def _keys(settings: Settings) -> Collection[str]:
    """The names of all keys. What is wrong with the stored ones is in the log."""
    try:
        stored = read(settings.server.stored_keys).keys
    except StoreError:
        stored = {}
    return {**settings.keys, **stored}


def _names(kind: str, names: Collection[str]) -> str:
    if not names:
        return f"no {kind} yet"
    return f"{len(names)} {kind}{'s' if len(names) > 1 else ''}: {', '.join(names)}"


def _next_steps(loaded: LoadedSettings, port: int, found: str | None) -> list[str]:
    if found is not None:
        return found.splitlines()
    at = "" if port == _USUAL_PORT else f" --port {port}"
    group = loaded.settings.default_group or next(iter(loaded.settings.groups), None)
    steps = [f'hub chat {group} "Hello"{at}'] if group is not None else []
    steps += [f"hub tools{at}"] if loaded.settings.mcp_servers else []
    return [f"try    {step}" for step in [*steps, f"hub status{at}", f"hub install cursor{at}"]]


def taken(host: str, port: int) -> str:
    """Whose the port is, and the way out."""
    other = _USUAL_PORT + 1 if port == _USUAL_PORT else port + 1
    way_out = f"hub serve --port {min(other, 65535)}"
    shown = "127.0.0.1" if host in (*_EVERYWHERE, "") else host
    url = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    match _who(url):
        case "hub":
            return f"a hub runs at {url} already: hub status shows it; for a second one: {way_out}"
        case "ollama":
            return f"port {port} is taken by Ollama; use another one: {way_out} (or stop Ollama)"
        case _:
            ollamas = " (it is also Ollama's own port)" if port == _USUAL_PORT else ""
            return f"port {port} is taken by another program{ollamas}; use another one: {way_out}"


def _who(url: str) -> str | None:
    """Ask the program at `url` what it is."""
    with httpx.Client(base_url=url, timeout=1, trust_env=False) as client:
        try:
            if NAME in client.get("/hub/v1/status").text:
                return "hub"
            if "ollama" in client.get("/").text.lower():
                return "ollama"
        except httpx.HTTPError:
            return None
    return None
