"""The spellings of `mcpServers` in Claude Code, Cursor, VS Code, Windsurf, Gemini CLI, Cline and opencode.

A block of any of them can be pasted. What has another name here gets that name; what is of use to
the editor alone is left out with a note; what would change which tools are visible is refused with
the way to say it here, since leaving it out would show more tools than its author wanted.

`timeout` is in seconds here and in Cline. Gemini CLI, opencode and Claude Code write milliseconds, so a
value above 3600 is taken as milliseconds: at worst a call may wait longer than meant, never less.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.settings.document import Document
from hub.settings.environment import read_env_file
from hub.settings.problems import KeyPath

TOP_LEVEL = {
    "servers": "mcpServers",
    "mcp": "mcpServers",
    "context_servers": "mcpServers",
    "mcp_servers": "mcpServers",
}
"""VS Code's `mcp.json`, opencode, Zed, and the name in Python."""

RENAMED = {"serverUrl": "url", "httpUrl": "url", "uri": "url", "environment": "env", "transport": "type"}

TRANSPORTS = {
    "stdio": "stdio",
    "local": "stdio",
    "http": "http",
    "remote": "http",
    "streamable-http": "http",
    "streamableHttp": "http",
    "streamable_http": "http",
    "sse": "sse",
}

INERT = frozenset(
    {
        *("alwaysAllow", "autoApprove", "trust", "authProviderType"),
        *("targetAudience", "targetServiceAccount", "gallery", "registryUrl", "version", "dev", "isActive"),
        *("name", "title", "id", "description", "instructions", "note", "notes", "tags"),
        *("icon", "icons", "iconPath", "logoUrl", "provider", "providerUrl", "$schema"),
    }
)
"""Approval, sign-in and display, which are the editor's."""

LOGIN = {
    "CLIENT_ID": "client_id",
    "clientId": "client_id",
    "CLIENT_SECRET": "client_secret",
    "clientSecret": "client_secret",
    "scope": "scopes",
    "callbackPort": "redirect_port",
}
"""What Cursor, Claude Code, Gemini CLI and opencode write into `auth` or `oauth` of a server."""
LOGIN_DETAILS = frozenset({"client_id", "client_secret", "client_metadata_url", "scopes", "redirect_port"})

TOOL_CHOICES = ("includeTools", "excludeTools", "disabledTools", "enabledTools", "allowedTools", "tools")

MILLISECONDS_ABOVE = 3600


def rename_top_level(document: Document) -> None:
    """Accept another editor's name for the whole block, and drop `inputs`, `$schema` and `x-…` keys."""
    for other, own in TOP_LEVEL.items():
        if other not in document.data:
            continue
        if own in document.data:
            document.refuse(
                (other,), f"`{other}` is another name of `{own}`, which is there too", "move its entries"
            )
            del document.data[other]
            continue
        document.data = {own if key == other else key: value for key, value in document.data.items()}
        document.places = {
            (own, *path[1:]) if path[0] == other else path: place for path, place in document.places.items()
        }
        document.notes.append(f"`{other}` was read as `{own}`")
    if "inputs" in document.data:
        del document.data["inputs"]
        document.notes.append(
            "`inputs` was left out: the hub asks nothing, write ${VAR} and set VAR in `.env`"
        )
    for key in [key for key in document.data if key == "$schema" or key.startswith("x-")]:
        del document.data[key]


def normalise_servers(document: Document, folder: Path) -> list[Path]:
    """Bring every entry of `mcpServers` into the model's own form. Returns the `envFile`s that were read."""
    env_files: list[Path] = []
    for name, entry in document.section("mcpServers").items():
        if isinstance(entry, dict):
            path = ("mcpServers", name)
            _rename(document, path, entry)
            _leave_out(document, path, entry)
            _login(document, path, entry)
            _command_list(entry)
            _transport(document, path, entry)
            _enabled(document, path, entry)
            _timeout(document, path, entry)
            _working_directory(entry, folder)
            env_files += _env_file(document, path, entry, folder)
    return env_files


def _rename(document: Document, path: KeyPath, entry: dict[str, Any]) -> None:
    for other, own in RENAMED.items():
        if other not in entry:
            continue
        value = entry.pop(other)
        if own in entry and entry[own] != value:
            document.refuse(
                (*path, other), f"`{other}` is another name of `{own}`, which is there too", "keep one"
            )
            continue
        entry[own] = value
        document.places.setdefault((*path, own), document.place((*path, other)))


def _leave_out(document: Document, path: KeyPath, entry: dict[str, Any]) -> None:
    inert = [key for key in entry if key in INERT and not _is_own_trust(key, entry[key])]
    for key in inert:
        del entry[key]
    if inert:
        document.notes.append(f"mcpServers.{path[1]}: {', '.join(inert)} left out, they are the editor's own")
    for key in TOOL_CHOICES:
        if key == "tools" and isinstance(entry.get(key), dict):
            continue  # the hub's own, by glob
        if key in entry and entry.pop(key) not in ([], ["*"], None):
            document.refuse(
                (*path, key),
                f"`{key}` does not belong to a server here",
                f'write it into a profile, as `tools: {{exclude: ["{path[1]}_…"]}}`',
            )


def _is_own_trust(key: str, value: object) -> bool:
    """An editor's `trust` is a switch."""
    return key == "trust" and str(value).lower() not in ("true", "false")


def _login(document: Document, path: KeyPath, entry: dict[str, Any]) -> None:
    """`oauth: {clientId: …}` is `auth: {client_id: …}` here; of other details the hub finds out itself."""
    if "oauth" in entry:
        editor = entry.pop("oauth")
        if isinstance(editor, dict) and "auth" not in entry:
            document.places.setdefault((*path, "auth"), document.place((*path, "oauth")))
            named = {LOGIN.get(key, key): value for key, value in editor.items()}
            entry["auth"] = {key: value for key, value in named.items() if key in LOGIN_DETAILS}
            document.notes.append(f"mcpServers.{path[1]}: `oauth` was read as `auth`")
        else:
            document.notes.append(
                f"mcpServers.{path[1]}: oauth left out; hub login {path[1]} asks the server"
            )
    elif isinstance(entry.get("auth"), dict):
        entry["auth"] = {LOGIN.get(key, key): value for key, value in entry["auth"].items()}
    login = entry.get("auth")
    if isinstance(login, dict) and isinstance(login.get("scopes"), str):
        login["scopes"] = login["scopes"].split()


def _command_list(entry: dict[str, Any]) -> None:
    """opencode writes the program and its arguments as one list."""
    command = entry.get("command")
    if isinstance(command, list) and command:
        entry["command"] = command[0]
        entry["args"] = [*command[1:], *(entry.get("args") or [])]


def _transport(document: Document, path: KeyPath, entry: dict[str, Any]) -> None:
    written = entry.get("type")
    if isinstance(written, str) and written in TRANSPORTS:
        entry["type"] = TRANSPORTS[written]
    url = entry.get("url")
    if isinstance(url, str) and url.startswith(("ws://", "wss://")):
        document.refuse(
            (*path, "url"), "a WebSocket is not a transport of MCP", "give the server's http(s) URL"
        )


def _enabled(document: Document, path: KeyPath, entry: dict[str, Any]) -> None:
    if "enabled" not in entry:
        return
    enabled = str(entry.pop("enabled")).casefold()
    if enabled not in ("true", "false"):
        document.refuse((*path, "enabled"), "must be true or false")
    elif "disabled" not in entry:
        entry["disabled"] = "false" if enabled == "true" else "true"


def _timeout(document: Document, path: KeyPath, entry: dict[str, Any]) -> None:
    try:
        seconds = float(entry.get("timeout", 0))
    except (TypeError, ValueError):
        return
    if MILLISECONDS_ABOVE < seconds < float("inf"):
        entry["timeout"] = str(seconds / 1000)
        document.notes.append(f"mcpServers.{path[1]}: timeout {seconds:g} was read as milliseconds")


def _working_directory(entry: dict[str, Any], folder: Path) -> None:
    directory = entry.get("cwd")
    if isinstance(directory, str) and directory:
        entry["cwd"] = str(folder / Path(directory).expanduser())


def _env_file(document: Document, path: KeyPath, entry: dict[str, Any], folder: Path) -> list[Path]:
    written = entry.pop("envFile", None)
    if written is None:
        return []
    if not isinstance(written, str) or (*path, "envFile") in document.problems:
        document.refuse((*path, "envFile"), "must be the path of a file with `NAME=value` lines")
        return []
    file = folder / Path(written).expanduser()
    try:
        if not file.is_file():
            raise FileNotFoundError
        values = read_env_file(file)
    except FileNotFoundError:
        document.refuse((*path, "envFile"), "there is no such file", f"it is looked for at {file}")
        return [file]
    except (OSError, ValueError) as error:
        document.refuse((*path, "envFile"), f"cannot be read: {type(error).__name__}")
        return [file]
    own = entry.get("env")
    if own is None or isinstance(own, dict):
        entry["env"] = {**values, **(own or {})}
    return [file]
