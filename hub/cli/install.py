"""`hub install` and `hub uninstall`: the hub's entry in the settings of an IDE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter

from hub.cli.client import Address, find
from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Json, Reach
from hub.cli.output import note, print_json
from hub.ide.programs import KEY_VARIABLE, PROGRAMS, Endpoint, Program
from hub.ide.registration import CannotChange, FileChange, Registrations

Project = Annotated[
    bool,
    Parameter(negative="", help="The settings of the project in this folder, not the user's own."),
]
DryRun = Annotated[bool, Parameter(negative="", help="Show the change and do not make it.")]


def install(
    ide: str,
    /,
    *,
    profile: Annotated[str | None, Parameter(help="Register /mcp/PROFILE in place of /mcp.")] = None,
    project: Project = False,
    dry_run: DryRun = False,
    reach: Reach = Reach(),  # noqa: B008 - frozen
    json: Json = False,
) -> int:
    """Put the hub into an IDE's settings file. All else in the file stays as it is; a copy is kept.

    Parameters
    ----------
    ide
        cursor, vscode, claude-code, claude-desktop, gemini-cli, codex, opencode, windsurf, zed, cline,
        copilot-cli, qwen-code.
    """
    program, path = _program(ide, project)
    endpoint = _endpoint(program, find(reach), profile, project)
    registrations = Registrations()
    change, copy = _made(
        registrations, path, lambda: registrations.install(program, path, program.entry(endpoint)), dry_run
    )
    if json:
        print_json(_told(ide, change, dry_run, copy))
        return 0
    _show(program, change, copy, dry_run)
    if endpoint.asks_for_key and not program.key_in_file and not change.is_nothing:
        print(
            f"{program.title} reads the hub's key from {KEY_VARIABLE}: set it where {program.title} starts."
        )
    if not dry_run and not change.is_nothing:
        print(f"Start {program.title} again if it does not see the tools. To undo: hub uninstall {ide}")
    return 0


def uninstall(ide: str, /, *, project: Project = False, dry_run: DryRun = False, json: Json = False) -> int:
    """Take the hub out of an IDE's settings file. An unchanged file becomes what it was before.

    Parameters
    ----------
    ide
        The name that `hub install` took.
    """
    program, path = _program(ide, project)
    registrations = Registrations()
    change, copy = _made(registrations, path, lambda: registrations.uninstall(program, path), dry_run)
    if json:
        print_json(_told(ide, change, dry_run, copy))
    else:
        _show(program, change, copy, dry_run)
    return 0


def _made(
    registrations: Registrations, path: Path, plan: Callable[[], FileChange], dry_run: bool
) -> tuple[FileChange, Path | None]:
    """The planned change, written unless it is a dry run, and the copy that was kept. Raises CommandError."""
    try:
        change = plan()
        return change, None if dry_run else registrations.apply(change)
    except CannotChange as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None


def _program(ide: str, project: bool) -> tuple[Program, Path]:
    program = PROGRAMS.get(ide)
    if program is None:
        raise CommandError(f'unknown IDE "{ide}"{did_you_mean(ide, PROGRAMS)}')
    try:
        return program, program.file(Path.cwd() if project else None)
    except LookupError:
        raise UsageError(f"{program.title} has no settings of a project; leave out --project") from None


def _endpoint(program: Program, address: Address, profile: str | None, project: bool) -> Endpoint:
    path = "/mcp" if profile is None else f"/mcp/{quote(profile, safe='')}"
    asks = address.key is not None
    if asks and program.key_in_file and project:
        raise CommandError(
            f"{program.title} takes the key only in the file itself, and a project's file is for others too; "
            "leave out --project"
        )
    return Endpoint(address.url, path, asks, address.key)


def _show(program: Program, change: FileChange, copy: Path | None, dry_run: bool) -> None:
    if change.is_nothing:
        note(f"nothing to change in {change.path}")
        return
    print(change.diff())
    if dry_run:
        note("nothing was written (--dry-run)")
        return
    print(f"\n{program.title}: {change.path} is {'written' if change.after is not None else 'gone'}.")
    if copy is not None:
        print(f"What it was: {copy}")


def _told(ide: str, change: FileChange, dry_run: bool, copy: Path | None) -> dict[str, object]:
    return {
        "ide": ide,
        "file": str(change.path),
        "changed": not change.is_nothing and not dry_run,
        "diff": change.diff(),
        "copy": str(copy) if copy is not None else None,
    }
