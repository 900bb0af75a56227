"""`hub recordings`: what the recorder has kept."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hub.cli.errors import CommandError
from hub.cli.options import Config, Json
from hub.cli.output import print_json, print_table

if TYPE_CHECKING:
    from hub.recorder.document import Document


def recordings(
    id: str | None = None,  # noqa: A002 - what the help shows
    /,
    *,
    group: Annotated[str | None, Parameter(help="Only of this group.")] = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="The latest so many.")] = 50,
    config: Config = None,
    file: Annotated[Path | None, Parameter(help="This database of recordings.")] = None,
    json: Json = False,
) -> int:
    """List the recorded exchanges, the latest first; with an ID, show that one whole as JSON.

    Parameters
    ----------
    id
        The x-request-id of an answer, or its beginning.
    """
    path = database(config, file)
    if id is not None:
        print_json(find_one(path, id))
        return 0
    from hub.recorder.store import entries

    try:
        found = list(entries(path, group=group, limit=max(0, limit)))
    except FileNotFoundError:
        raise CommandError(nothing_at(path)) from None
    except sqlite3.Error as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if json:
        from dataclasses import asdict

        print_json([{**asdict(entry), "stream": bool(entry.stream)} for entry in found])
        return 0
    rows = [
        (
            entry.id,
            datetime.fromtimestamp(entry.time, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            entry.group,
            entry.target,
            entry.protocol,
            entry.status,
            f"{entry.duration:.2f} s",
            "" if entry.tokens_in is None else f"{entry.tokens_in}+{entry.tokens_out}",
            entry.error,
        )
        for entry in found
    ]
    print_table(("id", "time", "group", "target", "protocol", "status", "took", "tokens", "error"), rows)
    return 0


def database(config: Path | None, file: Path | None) -> Path:
    """The recordings of the hub with these settings."""
    from hub.cli.settings import settings_path
    from hub.recorder.store import default_file
    from hub.settings import SettingsError, load_settings

    if file is not None:
        return file
    try:
        settings = load_settings(settings_path(config)).settings.recorder
    except SettingsError:  # they are the business of `check`
        settings = None
    return (
        settings.file.expanduser() if settings is not None and settings.file is not None else default_file()
    )


def find_one(path: Path, id: str) -> Document:  # noqa: A002 - the field's name
    """The latest recording with this id, or the only one that begins so. Raises `CommandError`."""
    from hub.recorder.store import find

    try:
        found: list[dict[str, Any]] = find(path, id)
    except FileNotFoundError:
        raise CommandError(nothing_at(path)) from None
    except sqlite3.Error as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    whole = [document for document in found if document["id"] == id]
    if not found:
        raise CommandError(f'there is no recording "{id}"; hub recordings lists them')
    ids = dict.fromkeys(document["id"] for document in whole or found)
    if len(ids) > 1:
        raise CommandError(f'"{id}" begins several ids: {", ".join(list(ids)[:5])}')
    return (whole or found)[0]


def nothing_at(path: Path) -> str:
    return f"there are no recordings at {path}; `recorder: true` in the settings makes the hub keep them"
