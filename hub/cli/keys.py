"""`hub keys`: keys for clients, made, shown, replaced and taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from pydantic import ValidationError

from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Config, Json
from hub.cli.output import note, print_json, print_table
from hub.cli.settings import load
from hub.keys.duration import read_expiry
from hub.keys.store import Stored, StoredKey, StoreError, change, digest_of, new_key, now, read
from hub.settings import Settings
from hub.settings.keys import KeySettings
from hub.settings.words import nearest_hint

keys = App(name="keys", help="Make keys for clients, and take them back.", help_format="plaintext")

File = Annotated[
    Path | None, Parameter(name="--file", help="The file of the keys; else the one that the settings name.")
]
Expires = Annotated[str | None, Parameter(help="How long it is good: 30d, 12h, 8w, 1y, or until a date.")]


def _several(help_text: str, *names: str) -> Any:
    return Parameter(name=names, help=help_text, negative="", consume_multiple=True)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Limits:
    """What is not given is not limited."""

    groups: Annotated[
        tuple[str, ...] | None, _several("The groups that it may name.", "--groups", "--group")
    ] = None
    profiles: Annotated[
        tuple[str, ...] | None,
        _several("The profiles that it may use: /mcp/PROFILE alone.", "--profiles", "--profile"),
    ] = None
    servers: Annotated[
        tuple[str, ...] | None, _several("The MCP servers that it may see.", "--servers", "--server")
    ] = None
    tools: Annotated[
        tuple[str, ...] | None,
        _several("Globs over the tools that it may see: 'git_*'.", "--tools", "--tool"),
    ] = None
    budget: Annotated[str | None, Parameter(help="US dollars: 10/day, 25.50/month, or 100 in all.")] = None
    rpm: Annotated[int | None, Parameter(help="Requests per minute.")] = None
    tpm: Annotated[int | None, Parameter(help="Tokens per minute, input and output together.")] = None
    concurrency: Annotated[int | None, Parameter(help="Requests at once.")] = None


@keys.command
def add(
    name: str,
    /,
    *,
    limits: Limits = Limits(),
    expires: Expires = None,
    config: Config = None,
    file: File = None,
    json: Json = False,
) -> int:
    """Make a key and print it, this once: only its hash is kept. A running hub knows it at once.

    With the first key, every endpoint of the hub but /healthz asks for one.

    Parameters
    ----------
    name
        Whose key it is: a person, an IDE, a program.
    """
    place = _place(config, file)
    secret = new_key()
    entry = _entry(place.settings, secret, limits, expires)
    first = not place.is_closed()

    def edit(stored: dict[str, StoredKey]) -> None:
        if name in stored:
            raise CommandError(f"there is a key `{name}`: hub keys rotate {name} replaces it, revoke ends it")
        stored[name] = entry

    _check_name(name)
    if place.settings is not None and name in place.settings.keys:
        raise CommandError(f"the settings have a key `{name}`; choose another name")
    _change(place.file, edit)
    _tell(name, secret, entry, json)
    if first:
        note("the hub asks for a key everywhere from now on; hub's own commands take one from HUB_KEY")
    return 0


@keys.command(name="list")
def list_keys(*, config: Config = None, file: File = None, json: Json = False) -> int:
    """List all keys, with what they may do. In a pipe: name, place, groups, endpoints, limits, expiry."""
    place = _place(config, file)
    entries = place.entries()
    if json:
        print_json([_document(name, where, entry) for name, (where, entry) in entries.items()])
        return 0
    if not entries:
        note("there are no keys; hub keys add NAME makes one")
    rows = [
        (name, where, _names(entry.groups), _tools(entry), _rates(entry), _until(entry))
        for name, (where, entry) in entries.items()
    ]
    print_table(("key", "kept in", "groups", "tools", "limits", "expires"), rows)
    return 0


@keys.command
def show(name: str, /, *, config: Config = None, file: File = None, json: Json = False) -> int:
    """Show what a key may do. The key itself is not kept anywhere.

    Parameters
    ----------
    name
        Its name; hub keys list has them all.
    """
    entries = _place(config, file).entries()
    if name not in entries:
        raise CommandError(f"there is no key `{name}`{did_you_mean(name, entries)}")
    document = _document(name, *entries[name])
    if json:
        print_json(document)
        return 0
    print_table(("", ""), [(key, _shown(value)) for key, value in document.items()])
    return 0


@keys.command
def revoke(name: str, /, *, config: Config = None, file: File = None) -> int:
    """Take a key back: the next request with it is refused.

    Parameters
    ----------
    name
        Its name; hub keys list has them all.
    """
    place = _place(config, file)
    left: list[int] = []

    def edit(stored: dict[str, StoredKey]) -> None:
        place.refuse_unknown(name, stored)
        del stored[name]
        left.append(len(stored))

    _change(place.file, edit)
    print(f"{name} is revoked")
    if left == [0] and not (place.settings is not None and place.settings.keys):
        note(f"no key is left, and the hub still asks for one; without {place.file} it asks for none")
    return 0


@keys.command
def rotate(
    name: str, /, *, expires: Expires = None, config: Config = None, file: File = None, json: Json = False
) -> int:
    """Replace a key by a new one with the same limits, and print that. The old one is refused at once.

    Parameters
    ----------
    name
        Its name; hub keys list has them all.
    """
    place = _place(config, file)
    secret = new_key()
    made: list[StoredKey] = []

    def edit(stored: dict[str, StoredKey]) -> None:
        place.refuse_unknown(name, stored)
        update: dict[str, Any] = {"hash": digest_of(secret)}
        if expires is not None:
            update["expires"] = _expiry(expires)
        stored[name] = stored[name].model_copy(update=update)
        made.append(stored[name])

    _change(place.file, edit)
    _tell(name, secret, made[0], json)
    return 0


# ---------------------------------------------------------------- where keys are


@dataclass(frozen=True, slots=True)
class _Place:
    """`settings` is None where the command line names the file of the keys."""

    file: Path
    settings: Settings | None

    def stored(self) -> Stored:
        try:
            return read(self.file)
        except StoreError as error:
            raise CommandError(str(error)) from error

    def entries(self) -> Mapping[str, tuple[str, KeySettings]]:
        """All keys by name, each with where it is kept."""
        written = self.settings.keys if self.settings is not None else {}
        return {
            **{name: ("settings", key) for name, key in written.items()},
            **{name: ("file", key) for name, key in self.stored().keys.items() if name not in written},
        }

    def is_closed(self) -> bool:
        """Whether the hub asks for a key."""
        return self.stored().exists or (self.settings is not None and bool(self.settings.keys))

    def refuse_unknown(self, name: str, stored: Mapping[str, StoredKey]) -> None:
        if name in stored:
            return
        if self.settings is not None and name in self.settings.keys:
            raise CommandError(f"`{name}` is a key of the settings: change it there, under `keys`")
        raise CommandError(f"there is no key `{name}`{did_you_mean(name, stored)}")


def _place(config: Path | None, file: Path | None) -> _Place:
    if file is not None:
        return _Place(file, None)
    loaded = load(config)
    return _Place(loaded.settings.server.stored_keys, loaded.settings if loaded.path is not None else None)


def _change(file: Path, edit: Any) -> None:
    try:
        change(file, edit)
    except StoreError as error:
        raise CommandError(str(error)) from error


# ---------------------------------------------------------------- what a key may do


def _check_name(name: str) -> None:
    if not name.isprintable() or not name.strip() or len(name) > 64 or name.startswith("-"):
        raise UsageError(f"{name!r} cannot be the name of a key: use up to 64 printable characters")


def _entry(settings: Settings | None, secret: str, limits: Limits, expires: str | None) -> StoredKey:
    fields: dict[str, Any] = {
        "hash": digest_of(secret),
        "groups": _split(limits.groups),
        "profiles": _split(limits.profiles),
        "servers": _split(limits.servers),
        "tools": _split(limits.tools),
        "budget": limits.budget,
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "concurrency": limits.concurrency,
        "expires": _expiry(expires) if expires is not None else None,
        "created": now(),
    }
    if settings is not None:
        _check_known("group", fields["groups"], settings.groups)
        _check_known("profile", fields["profiles"], settings.profiles)
        _check_known("MCP server", fields["servers"], settings.mcp_servers)
    try:
        return StoredKey.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}") from error


def _split(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """`a,b c` as the shell gives it: two words, three names."""
    if names is None:
        return None
    return tuple(name.strip() for word in names for name in word.split(",") if name.strip())


def _check_known(what: str, names: Iterable[str] | None, known: Mapping[str, object]) -> None:
    for name in names or ():
        if name not in known:
            hint = nearest_hint(name, known)
            raise UsageError(f"there is no {what} `{name}`" + (f"; {hint}" if hint else " in the settings"))


def _expiry(text: str) -> datetime:
    try:
        return read_expiry(text, now())
    except ValueError as error:
        raise UsageError(f"--expires: {error}") from error


# ---------------------------------------------------------------- showing it


def _tell(name: str, secret: str, entry: KeySettings, json: bool) -> None:
    if json:
        print_json({"key": secret, **_document(name, "file", entry)})
        return
    print(secret)
    note(f"this is the key of {name}, shown this once: {_summary(entry)}")


def _summary(entry: KeySettings) -> str:
    parts = [f"groups {_names(entry.groups)}", f"tools {_tools(entry)}", _rates(entry), _until(entry)]
    return ", ".join(part for part in parts if part)


def _document(name: str, where: str, entry: KeySettings) -> dict[str, Any]:
    document: dict[str, Any] = {"name": name, "kept_in": where}
    fields = ("groups", "profiles", "servers", "tools", "budget", "rpm", "tpm", "concurrency", "expires")
    document |= entry.model_dump(mode="json", include=set(fields), exclude_none=True)
    if isinstance(entry, StoredKey):
        document["created"] = entry.created.isoformat()
    if entry.expires is not None:
        document["expired"] = entry.expires <= datetime.now(UTC)
    return document


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _names(names: tuple[str, ...] | None) -> str:
    return "all" if names is None else ", ".join(names) or "none"


def _tools(entry: KeySettings) -> str:
    parts = [f"/mcp/{name}" for name in entry.profiles or ()]
    parts += [f"of {name}" for name in entry.servers or ()] + list(entry.tools or ())
    limits = (entry.profiles, entry.servers, entry.tools)
    return ", ".join(parts) or ("all" if all(limit is None for limit in limits) else "none")


def _rates(entry: KeySettings) -> str:
    parts = (
        f"${entry.budget}" if entry.budget is not None else "",
        f"{entry.rpm} requests/min" if entry.rpm is not None else "",
        f"{entry.tpm} tokens/min" if entry.tpm is not None else "",
        f"{entry.concurrency} at once" if entry.concurrency is not None else "",
    )
    return ", ".join(part for part in parts if part)


def _until(entry: KeySettings) -> str:
    if entry.expires is None:
        return ""
    when = entry.expires.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"expired {when}" if entry.expires <= datetime.now(UTC) else f"until {when}"
