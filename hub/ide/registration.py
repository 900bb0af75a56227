"""Putting the hub into a program's settings file, and taking it out again byte for byte.

Every file that is changed is copied to the user's state folder before. As long as nobody else has changed
the file since, uninstalling puts back what was there; else it takes out the hub's entry alone.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import platformdirs
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from hub.ide import jsonc
from hub.ide.programs import NAME, Program

_KEY = re.compile(r"((?:Bearer |\"HUB_KEY\": \"))(?![${])[^\"\s]+")
"""A key that stands in the file itself, not as the name of a variable."""


class CannotChange(Exception):
    """The file is not what its program writes; it stays as it is."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """`before` None: there was no file. `after` None: there shall be none."""

    path: Path
    before: bytes | None
    after: bytes | None
    installs: bool
    original: str | None = None
    """The copy of the file as it was before the hub's first change, if there has been one."""

    @property
    def is_nothing(self) -> bool:
        return self.before == self.after

    def diff(self) -> str:
        """As `diff -u` has it, without keys."""
        old, new = (
            (side or b"").decode("utf-8", "replace").splitlines() for side in (self.before, self.after)
        )
        told = difflib.unified_diff(old, new, str(self.path), str(self.path), lineterm="")
        return _KEY.sub(r"\1********", "\n".join(told))


class Registrations:
    """What was installed where: a file of the user's state folder, with copies of the files beside it."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or platformdirs.user_state_path("ccproxy-hub") / "installed"
        self._index = self._folder / "index.json"

    def install(self, program: Program, path: Path, entry: Mapping[str, Any]) -> FileChange:
        """The change that registers the hub in the program's file at `path`. Raises CannotChange."""
        before = _read(path)
        untouched, original = self._original(path, before)
        text = _text(path, original if untouched else before)
        after = _with_entry(program, path, text, dict(entry)).encode()
        known = self._entries().get(str(path), {}).get("original") if untouched else None
        return FileChange(path, before, after, installs=True, original=known)

    def uninstall(self, program: Program, path: Path) -> FileChange:
        """The change that takes the hub out; nothing, where it is not in. Raises CannotChange."""
        before = _read(path)
        untouched, original = self._original(path, before)
        if untouched:
            return FileChange(path, before, original, installs=False)
        after = None if before is None else _without_entry(program, path, _text(path, before)).encode()
        return FileChange(path, before, after, installs=False)

    def apply(self, change: FileChange) -> Path | None:
        """Write it, and return where the copy of the file as it was is kept, if any. Raises OSError."""
        if change.is_nothing:
            return None
        entries = self._entries()
        known = entries.pop(str(change.path), None)
        copy = self._copy(change.path, change.before) if change.before is not None else None
        if change.after is None:
            change.path.unlink(missing_ok=True)
        else:
            write_atomically(change.path, change.after)
        if change.installs:
            reinstalled = known is not None and known.get("after") == _hash(change.before)
            original = change.original if reinstalled else str(copy) if copy is not None else None
            entries[str(change.path)] = {"original": original, "after": _hash(change.after)}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._index, json.dumps(entries, indent=1).encode())
        return copy

    def _original(self, path: Path, current: bytes | None) -> tuple[bool, bytes | None]:
        """Whether the file is as the hub left it, and then how it was before (None: not there)."""
        known = self._entries().get(str(path))
        if known is None or known.get("after") != _hash(current):
            return False, None
        copy = known.get("original")
        if copy is None:
            return True, None
        try:
            return True, Path(copy).read_bytes()
        except OSError:
            return False, None

    def _entries(self) -> dict[str, dict[str, str | None]]:
        try:
            entries = json.loads(self._index.read_bytes())
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _copy(self, path: Path, data: bytes) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")
        copy = self._folder / f"{stamp}-{path.name}"
        write_atomically(copy, data)
        return copy


def write_atomically(path: Path, data: bytes) -> None:
    """In one step, with the permissions that the file has, else for its owner alone. Raises OSError."""
    path = path.resolve()  # a link stays a link
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(name, path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotChange(f"{path} cannot be read: {error.strerror}") from None


def _text(path: Path, data: bytes | None) -> str:
    try:
        return (data or b"").decode()
    except UnicodeDecodeError:
        raise CannotChange(f"{path} is not UTF-8 text") from None


def _with_entry(program: Program, path: Path, text: str, entry: dict[str, Any]) -> str:
    if program.format == "toml":
        document = _toml(path, text)
        section: Any = document
        for key in program.section:
            if not isinstance(section.get(key, {}), dict):
                raise CannotChange(f"{path}: `{key}` is not a table")
            if key not in section:
                section[key] = tomlkit.table(is_super_table=True)
            section = section[key]
        table = tomlkit.table()
        table.update(entry)
        section[NAME] = table
        return tomlkit.dumps(document)
    try:
        return jsonc.set_member(text, (*program.section, NAME), entry).apply(text)
    except jsonc.NotJson as error:
        raise CannotChange(f"{path} is not readable as JSON: {error}") from None
    except TypeError as error:
        raise CannotChange(f"{path}: `{error}` is not an object") from None


def _without_entry(program: Program, path: Path, text: str) -> str:
    if program.format == "toml":
        document = _toml(path, text)
        section: Any = document
        for key in program.section:
            section = section.get(key, {})
        if not isinstance(section, (dict, Table)) or NAME not in section:
            return text
        del section[NAME]
        return tomlkit.dumps(document)
    if not text.strip():
        return text
    try:
        change = jsonc.remove_member(text, (*program.section, NAME))
    except jsonc.NotJson as error:
        raise CannotChange(f"{path} is not readable as JSON: {error}") from None
    return text if change is None else change.apply(text)


def _toml(path: Path, text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise CannotChange(f"{path} is not readable as TOML: {error}") from None


def _hash(data: bytes | None) -> str | None:
    return None if data is None else sha256(data).hexdigest()
