"""MCP servers that are registered in other programs, made ready for the hub's settings.

The same server in several programs is one server. What looks like a secret is taken out of the entry: it
becomes a variable, and its value a line for the `.env` beside the settings.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hub.ide import jsonc
from hub.ide.programs import NAME, PROGRAMS, Program
from hub.settings.checks import TOOL_PREFIX
from hub.settings.document import Document
from hub.settings.ide import normalise_servers

_SECRET_NAME = re.compile(r"key|token|secret|passw|pwd|credential|auth|cookie|session", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"\b(sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}"
    r"|AIza[\w-]{30,}|glpat-[\w-]{16,}|eyJ[\w-]{20,}\.[\w-]+\.[\w-]+)"
)
_REFERENCE = re.compile(r"\$?\{[^{}]*\}")
_NEEDED = re.compile(r"(?<!\$)\$?\{(?:env:)?([A-Za-z_]\w*)\}")
_INPUT = re.compile(r"\$\{input:([^{}]+)\}")
_BARE = re.compile(r"(?<![$\\])\$([A-Za-z_][A-Za-z0-9_]*)")
_EDITOR = frozenset(("workspaceFolder", "workspaceFolderBasename", "userHome", "pathSeparator"))
"""The hub knows these without a variable."""
_EXPANDS_BARE = frozenset(("gemini-cli", "qwen-code"))
"""They read `$VAR`, too."""


@dataclass(frozen=True, slots=True)
class Found:
    """A server of another program. `secrets` has the values of the variables that `entry` names."""

    name: str
    entry: Mapping[str, Any]
    program: str
    path: Path
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()


class Unreadable(Exception):
    """A program's file cannot be read."""


def servers_of(name: str, project: Path | None) -> list[Found]:
    """The servers in one program's file; none, where it has no file. Raises Unreadable, LookupError."""
    program = PROGRAMS[name]
    path = program.file(project)
    section = entries(program, path)
    return [
        _found(name, path, server, entry)
        for server, entry in section.items()
        if isinstance(entry, dict) and not _is_hub(server, entry)
    ]


def merge(found: Iterable[Found], existing: Mapping[str, Mapping[str, Any]]) -> tuple[list[Found], list[str]]:
    """Those that the settings do not have yet, each once and with a name of its own; and what was left out.

    `existing` are the settings' servers as they are written.
    """
    taken = {name: _identity(entry, Path.cwd()) for name, entry in existing.items()}
    merged: list[Found] = []
    left_out: list[str] = []
    for each in found:
        identity = _identity(each.entry, each.path.parent)
        same = next((name for name, other in taken.items() if other == identity), None)
        if same is not None:
            left_out.append(f"{each.name} of {PROGRAMS[each.program].title}: `{same}` is the same server")
            continue
        name, number = each.name, 2
        while name in taken:
            name, number = f"{each.name}-{number}", number + 1
        taken[name] = identity
        merged.append(replace(each, name=name))
    return merged, left_out


def with_own_variables(found: Iterable[Found], environ: Mapping[str, str]) -> list[Found]:
    """The same servers, with other names for variables that already have another value."""
    values = dict(environ)
    renamed: list[Found] = []
    for each in found:
        names = {}
        for variable, value in each.secrets.items():
            name, number = variable, 2
            while values.get(name, value) != value:
                name, number = f"{variable}_{number}", number + 1
            values[name] = value
            names[variable] = name
        text = json.dumps(each.entry)
        for variable, name in names.items():
            text = text.replace("${" + variable + "}", "${" + name + "}")
        entry = json.loads(text)
        secrets = {names[variable]: value for variable, value in each.secrets.items()}
        renamed.append(replace(each, entry=entry, secrets=secrets))
    return renamed


def without_unset(found: Iterable[Found], environ: Mapping[str, str]) -> tuple[list[Found], list[str]]:
    """Those whose variables all have a value, and what the others lack: the settings refuse those."""
    usable: list[Found] = []
    left_out: list[str] = []
    for each in found:
        needed = _NEEDED.findall(json.dumps(each.entry))
        unset = sorted(
            {name for name in needed if name not in environ and name not in each.secrets} - _EDITOR
        )
        if unset:
            left_out.append(f"{each.name}: set {' and '.join(unset)} in .env, then import again")
        else:
            usable.append(each)
    return usable, left_out


def entries(program: Program, path: Path) -> dict[str, Any]:
    """What stands in the program's section for MCP servers, as it is written. Raises Unreadable."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path} cannot be read: {type(error).__name__}") from None
    try:
        data = tomllib.loads(text) if program.format == "toml" else jsonc.load(text)
    except (jsonc.NotJson, tomllib.TOMLDecodeError) as error:
        raise Unreadable(f"{path} is not readable: {error}") from None
    for key in program.section:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    return data if isinstance(data, dict) else {}


def _is_hub(name: str, entry: Mapping[str, Any]) -> bool:
    """The hub's own entry: importing it would make the hub its own server."""
    if entry.get("command") == "hub" and "connect" in (entry.get("args") or ()):
        return True
    url = next((str(entry[key]) for key in ("url", "httpUrl", "serverUrl") if key in entry), "")
    return name == NAME and "/mcp" in url


def _found(program: str, path: Path, name: str, written: Mapping[str, Any]) -> Found:
    document = Document({"mcpServers": {name: dict(written)}})
    normalise_servers(document, path.parent)
    entry: dict[str, Any] = document.data["mcpServers"][name]
    notes = [*document.notes, *(f"{name}: {problem.message}" for problem in document.problems.values())]
    own = TOOL_PREFIX.fullmatch(name)
    public = name if own else (re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:48] or "server")
    for key in [key for key in entry if key not in _KNOWN]:
        del entry[key]
        notes.append(f"{name}: `{key}` was left out, it is {PROGRAMS[program].title}'s own")
    if isinstance(entry.get("disabled"), str):
        entry["disabled"] = entry["disabled"] == "true"
    secrets: dict[str, str] = {}
    entry = _without_secrets(_translated(entry, program, notes, name), public, secrets)
    return Found(public, entry, program, path, secrets, tuple(notes))


_KNOWN = ("type", "command", "args", "env", "cwd", "url", "headers", "disabled", "timeout")


def _translated(entry: dict[str, Any], program: str, notes: list[str], name: str) -> dict[str, Any]:
    """References to variables as the hub writes them."""

    def text(value: str) -> str:
        for asked in _INPUT.findall(value):
            notes.append(
                f"{name}: {PROGRAMS[program].title} asks for `{asked}`, here it is {_variable(asked)}"
            )
        value = _INPUT.sub(lambda match: "${" + _variable(match[1]) + "}", value)
        return _BARE.sub(r"${\1}", value) if program in _EXPANDS_BARE else value

    def walk(value: Any) -> Any:
        match value:
            case str():
                return text(value)
            case list():
                return [walk(item) for item in value]
            case dict():
                return {key: walk(item) for key, item in value.items()}
            case _:
                return value

    return {key: walk(value) for key, value in entry.items()}


def _without_secrets(entry: dict[str, Any], name: str, secrets: dict[str, str]) -> dict[str, Any]:
    for section in ("env", "headers"):
        values = entry.get(section)
        if isinstance(values, dict):
            entry[section] = {
                key: _outside(name, key, str(value), secrets, _SECRET_NAME.search(key) is not None)
                for key, value in values.items()
            }
    arguments = entry.get("args")
    if isinstance(arguments, list):
        entry["args"] = [
            _outside(name, f"ARG_{position}", value, secrets, False) if isinstance(value, str) else value
            for position, value in enumerate(arguments, 1)
        ]
    return entry


def _outside(server: str, key: str, value: str, secrets: dict[str, str], named: bool) -> str:
    """`value` with its secret as a variable: all of it but a scheme, where the name says that it is one."""
    if named and not _REFERENCE.search(value) and value.strip():
        scheme, blank, rest = value.partition(" ")
        if not (blank and scheme in ("Bearer", "Basic", "Token", "token", "bearer")):
            scheme, blank, rest = "", "", value
        variable = _variable(f"{server}_{key}")
        secrets[variable] = rest
        return f"{scheme}{blank}${{{variable}}}"

    def taken(match: re.Match[str]) -> str:
        variable = _variable(f"{server}_{key}")
        secrets[variable] = match[0]
        return "${" + variable + "}"

    return _SECRET_VALUE.sub(taken, value, count=1)


def _variable(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()
    return name if name and not name[0].isdigit() else f"HUB_{name}"


def _identity(entry: Mapping[str, Any], folder: Path) -> object:
    """What makes two entries the same server: what is started or asked, not how it is shown."""
    document = Document({"mcpServers": {"x": dict(entry)}})
    normalise_servers(document, folder)
    plain = document.data["mcpServers"]["x"]
    if plain.get("url"):
        return str(plain["url"]).rstrip("/")
    return (plain.get("command"), tuple(map(str, plain.get("args") or ())), plain.get("cwd"))
