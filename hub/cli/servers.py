"""`hub add`, `hub remove`, `hub import`: MCP servers in and out of the settings file."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Config, Json
from hub.cli.output import note, print_json
from hub.cli.settings import describe, settings_path
from hub.ide.found import Found, Unreadable, merge, servers_of, with_own_variables, without_unset
from hub.ide.programs import PROGRAMS
from hub.ide.registration import write_atomically
from hub.settings import SettingsError, load_settings, user_settings_path
from hub.settings.document import parse
from hub.settings.edit import CannotEdit, add_server, remove_server
from hub.settings.environment import read_env_file
from hub.settings.ide import TOP_LEVEL

_PAIR = re.compile(r"(?P<name>[^=:\s]+)(?P<sign>=|:)\s*(?P<value>.*)", re.DOTALL)


def add(
    name: str,
    /,
    *target: Annotated[str, Parameter(allow_leading_hyphen=True)],
    env: Annotated[tuple[str, ...], Parameter(help="NAME=VALUE for its environment; may be repeated.")] = (),
    header: Annotated[tuple[str, ...], Parameter(help="NAME: VALUE to send to it; may be repeated.")] = (),
    sse: Annotated[bool, Parameter(negative="", help="The URL speaks SSE, not Streamable HTTP.")] = False,
    config: Config = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Show the change and do not make it.")] = False,
) -> int:
    """Add an MCP server to the settings: `hub add NAME URL`, or `hub add NAME -- COMMAND [ARGUMENTS]`.

    A running hub starts it at once. Write secrets as ${VARIABLE} and put them into .env beside the file.

    Parameters
    ----------
    name
        The server's name, which begins its tools' names.
    target
        Its URL, or the command that starts it.
    """
    if not target:
        raise UsageError("give the server's URL, or `--` and the command that starts it")
    first, *rest = target
    entry: dict[str, Any]
    if first.startswith(("http://", "https://")):
        if rest:
            raise UsageError(f"a URL stands alone; what is {rest[0]!r}?")
        if env:
            raise UsageError("--env is for a command; a URL takes --header")
        entry = {"url": first, **({"type": "sse"} if sse else {})}
        if header:
            entry["headers"] = _pairs(header, "--header")
    else:
        if sse or header:
            raise UsageError("--sse and --header are for a URL")
        entry = {"command": first, **({"args": rest} if rest else {})}
        if env:
            entry["env"] = _pairs(env, "--env")
    path = _path(config)
    _save(path, _edited(path, lambda text: add_server(text, name, entry)), dry_run)
    return 0


def remove(
    name: str,
    /,
    *,
    config: Config = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Show the change and do not make it.")] = False,
) -> int:
    """Take an MCP server out of the settings. A running hub stops it at once.

    Parameters
    ----------
    name
        Its name under `mcpServers`.
    """
    path = _path(config)
    try:
        _save(path, _edited(path, lambda text: remove_server(text, name)), dry_run)
    except KeyError:
        known = _servers(_read(path))
        raise CommandError(f'{path} has no MCP server "{name}"{did_you_mean(name, known)}') from None
    return 0


def import_servers(
    *ides: str,
    project: Annotated[
        bool, Parameter(negative="", help="From the files of the project in this folder.")
    ] = False,
    config: Config = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Show the change and do not make it.")] = False,
    json: Json = False,
) -> int:
    """Bring the MCP servers of your IDEs into the settings. Their own files stay as they are.

    The same server in several IDEs comes once. Secrets that stand in those files go into .env beside the
    settings, and the settings name them as ${VARIABLE}.

    Parameters
    ----------
    ides
        The names that `hub install` takes; none: all that have a settings file.
    """
    for ide in ides:
        if ide not in PROGRAMS:
            raise CommandError(f'unknown IDE "{ide}"{did_you_mean(ide, PROGRAMS)}')
    path = _path(config)
    existing = _servers(_read(path))
    new, left_out = merge(_all_found(ides, Path.cwd() if project else None), existing)
    environ = {**_variables(path.parent / ".env"), **os.environ}
    new, unusable = without_unset(with_own_variables(new, environ), environ)
    left_out += unusable
    text = _read(path)
    for each in new:
        try:
            text = add_server(text, each.name, each.entry)
        except CannotEdit as error:
            raise CommandError(f"{path} cannot be changed here: {error}") from None
    secrets = {name: value for each in new for name, value in each.secrets.items()}
    if json:
        print_json(
            {
                "file": str(path),
                "servers": [
                    {"name": each.name, "from": each.program, "file": str(each.path), **each.entry}
                    for each in new
                ],
                "left_out": left_out,
                "variables": sorted(secrets),
                "notes": [remark for each in new for remark in each.notes],
            }
        )
    for remark in (*left_out, *(remark for each in new for remark in each.notes)):
        note(remark)
    if not new:
        if not json:
            print("nothing to import")
        return 0
    if secrets and not dry_run:
        _append_variables(path.parent / ".env", secrets)
    _save(path, text, dry_run, quiet=json, secrets=secrets)
    if secrets and not json:
        where = path.parent / ".env"
        print(f"{', '.join(sorted(secrets))}: {'would go' if dry_run else 'written'} to {where}")
    return 0


def _all_found(ides: Sequence[str], project: Path | None) -> list[Found]:
    found: list[Found] = []
    for ide in ides or PROGRAMS:
        try:
            found += servers_of(ide, project)
        except LookupError:
            if ides:
                raise UsageError(f"{PROGRAMS[ide].title} has no settings of a project") from None
        except Unreadable as error:
            if ides:
                raise CommandError(str(error)) from None
            note(str(error))
    return found


def _pairs(written: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for each in written:
        match = _PAIR.fullmatch(each)
        if match is None:
            raise UsageError(f"{option} takes NAME=VALUE, not a text without `=`")
        pairs[match["name"]] = match["value"]
    return pairs


def _path(config: Path | None) -> Path:
    """The settings file, or where one shall come to be."""
    return settings_path(config) or user_settings_path()


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {type(error).__name__}") from None


def _servers(text: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        data = parse(text).data
    except SettingsError:
        return {}
    section = next((data[key] for key in ("mcpServers", *TOP_LEVEL) if key in data), None)
    if not isinstance(section, dict):
        return {}
    return {name: entry for name, entry in section.items() if isinstance(entry, dict)}


def _edited(path: Path, edit: Any) -> str:
    try:
        return str(edit(_read(path)))
    except CannotEdit as error:
        raise CommandError(f"{path} cannot be changed here: {error}") from None


def _save(
    path: Path, text: str, dry_run: bool, *, quiet: bool = False, secrets: Mapping[str, str] | None = None
) -> None:
    """Check the new settings as a whole, then put them in the place of the old. Raises CommandError."""
    before = _read(path)
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, newline="")
        load_settings(draft, environ={**os.environ, **(secrets or {})})
    except SettingsError as error:
        raise CommandError(f"nothing was written: {describe(path, error.problems[0])}") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    if not quiet:
        told = difflib.unified_diff(before.splitlines(), text.splitlines(), str(path), str(path), lineterm="")
        print("\n".join(told))
    if dry_run:
        note("nothing was written (--dry-run)")
        return
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    if is_new:
        note(f"{path} is new: the hub now goes by it, and models come from its `groups`")


def _variables(path: Path) -> dict[str, str]:
    try:
        return read_env_file(path) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {type(error).__name__}") from None


def _append_variables(path: Path, variables: Mapping[str, str]) -> None:
    """Lines at the end of `.env`; a new file is readable by its owner alone."""
    try:
        before = path.read_text() if path.exists() else ""
        lead = "" if not before or before.endswith("\n") else "\n"
        quoted = {
            name: "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
            for name, value in variables.items()
        }
        lines = "".join(f"{name}={value}\n" for name, value in quoted.items())
        write_atomically(path, (before + lead + lines).encode())
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
