"""Names and places of secrets in one file, and the values of those that no keyring keeps.

The file holds for each name where its value is and a mark that changes with it: so a running hub notices
what a command has changed without asking the keyring, and names can be listed, which keyrings cannot.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from hub.keys.lock import locked
from hub.secret_store import cipher, system_keyring
from hub.secret_store.system_keyring import KeyringFailed
from hub.state_folder import state_folder

Place = Literal["keyring", "file"]
_FILE_NAME = "secrets.json"
_VERSION = 1
_LOCK_SECONDS = 10


class SecretStoreError(Exception):
    """A secret cannot be read or kept; says which, why, and what to do. Never its value."""


@dataclass(frozen=True, slots=True)
class _Entry:
    kept_in: Place
    mark: str
    value: str = ""
    """Encrypted; empty where a keyring has it."""


@dataclass(frozen=True, slots=True)
class _Content:
    salt: str = field(default_factory=cipher.new_salt)
    entries: Mapping[str, _Entry] = field(default_factory=dict)


class SecretStore:
    """All methods may wait for a disk or a keyring, for seconds: call them in a thread."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_folder() / _FILE_NAME
        self._state: object = None
        self._content: _Content | None = None

    def read(self, name: str) -> str | None:
        """The value; None: there is none. Raises SecretStoreError."""
        entry = self._read().entries.get(name)
        try:
            if entry is not None and entry.kept_in == "file":
                return cipher.decrypt(entry.value, name, self._read().salt)
            # Whether or not the file knows it: others may have put it into the keyring.
            return system_keyring.read(name)
        except (KeyringFailed, cipher.CannotDecrypt) as error:
            raise SecretStoreError(f"the secret {name!r} cannot be read: {error}") from None

    def write(self, name: str, value: str) -> Place:
        """Keep it; gives back where. Raises SecretStoreError."""
        with self._changing():
            content = self._read()
            place: Place = "file"
            try:
                if system_keyring.write(name, value):
                    place = "keyring"
            except KeyringFailed:
                pass  # also where it is too long: Windows takes 1280 characters
            entry = _Entry(place, secrets.token_hex(8))
            if place == "file":
                entry = _Entry(place, entry.mark, cipher.encrypt(value, name, content.salt))
            self._write(_Content(content.salt, {**content.entries, name: entry}))
            return place

    def delete(self, name: str) -> bool:
        """False: there was none. Raises SecretStoreError."""
        with self._changing():
            content = self._read()
            try:
                known = name in content.entries or system_keyring.read(name) is not None
                system_keyring.delete(name)
            except KeyringFailed as error:
                if content.entries.get(name, _Entry("keyring", "")).kept_in == "keyring":
                    raise SecretStoreError(f"the secret {name!r} cannot be deleted: {error}") from None
                known = True
            if name in content.entries:
                rest = {each: entry for each, entry in content.entries.items() if each != name}
                self._write(_Content(content.salt, rest))
            return known

    def places(self) -> dict[str, Place]:
        """All names that this file knows, with where their values are. Raises SecretStoreError."""
        return {name: entry.kept_in for name, entry in sorted(self._read().entries.items())}

    def mark(self, name: str) -> str | None:
        """Another one after each change of this value; None: the file does not know it. Quick."""
        entry = self._read().entries.get(name)
        return entry.mark if entry is not None else None

    @contextmanager
    def alone(self, name: str, seconds: float) -> Iterator[None]:
        """One process at a time for what is done to `name`. Raises TimeoutError and SecretStoreError."""
        # Not `hash`, which is another one in each process.
        lock = self.path.with_name(f"{_FILE_NAME}.{crc32(name.encode()):x}.lock")
        with self._reporting():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(lock, seconds):
                yield

    # ------------------------------------------------------------ the file

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with self._reporting():
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with locked(self.path.with_name(_FILE_NAME + ".lock"), _LOCK_SECONDS):
                    yield
        except TimeoutError:
            raise SecretStoreError(f"{self.path} is being changed by another command; try again") from None

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise
        except OSError as error:
            where = error.filename or self.path
            raise SecretStoreError(f"{where} cannot be used: {error.strerror or error}") from None

    def _read(self) -> _Content:
        state = _state(self.path)
        if self._content is None or state != self._state:
            self._content, self._state = _parse(self.path), state
        return self._content

    def _write(self, content: _Content) -> None:
        document = {
            "version": _VERSION,
            "salt": content.salt,
            "entries": {
                name: {"kept_in": entry.kept_in, "mark": entry.mark}
                | ({"value": entry.value} if entry.value else {})
                for name, entry in content.entries.items()
            },
        }
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{_FILE_NAME}.")  # 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._content = None


def _parse(path: Path) -> _Content:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != _VERSION:
            raise SecretStoreError(f"{path} is of another version of the hub")
        entries = {
            str(name): _Entry(entry["kept_in"], str(entry["mark"]), str(entry.get("value", "")))
            for name, entry in document["entries"].items()
        }
        return _Content(str(document["salt"]), entries)
    except FileNotFoundError:
        return _Content()
    except OSError as error:
        raise SecretStoreError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise SecretStoreError(f"{path} is damaged; put a copy back, or remove it and log in again") from None


def _state(path: Path) -> object:
    try:
        status = os.stat(path)
    except OSError as error:
        return error.errno
    return status.st_mtime_ns, status.st_ino, status.st_size
