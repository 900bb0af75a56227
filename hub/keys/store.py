"""The file of `hub keys`: keys by name, hashed, never in plain text.

Commands change it under a lock and put a whole new file in the old one's place, so a reader sees the
old keys or the new ones. The hub looks at the file's state before it trusts what it read, for every
request that has a key to be looked up: what is revoked is refused from the next request on.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from hub.keys.lock import locked
from hub.settings.keys import KeySettings

log = logging.getLogger("hub.keys")

PREFIX = "hub_"
"""So that people, and programs that look for leaked secrets, know a key of the hub when they see one."""
_RANDOM_BYTES = 24
_VERSION = 1
_LOCK_SECONDS = 10


class StoredKey(KeySettings):
    """A key as the file has it: `hash` and limits, and when it was made."""

    created: datetime


class StoreError(Exception):
    """The file cannot be read or written; says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The file's content at one moment."""

    keys: Mapping[str, StoredKey] = field(default_factory=lambda: MappingProxyType({}))
    exists: bool = False
    """Where there is a file the hub asks for keys, even if none is left in it."""


NOTHING = Stored()
NO_KEYS_LEFT = Stored(exists=True)


def new_key() -> str:
    """A fresh key: 192 random bits."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest_of(key: str) -> str:
    """What is stored of a key. A random key needs no slow hash: there is nothing to guess."""
    return f"sha256:{sha256(key.encode()).hexdigest()}"


def read(path: Path) -> Stored:
    """What the file holds. Raises StoreError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise StoreError(f"the keys in {path} cannot be read: {reason}") from None
    try:
        document = json.loads(text)
        version, entries = document["version"], document["keys"]
        if version != _VERSION:
            raise StoreError(f"{path} has version {version} of the format, which this hub does not know")
        keys = {str(name): StoredKey.model_validate(entry) for name, entry in entries.items()}
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors()[0]["loc"])
        reason = f"{place}: {error.errors()[0]['msg']}"
        raise StoreError(f"{path} is damaged ({reason}); put a copy back, or remove it") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise StoreError(
            f"{path} is damaged (it is no file of keys); put a copy back, or remove it"
        ) from None
    return Stored(MappingProxyType(keys), exists=True)


def change(path: Path, edit: Callable[[dict[str, StoredKey]], None]) -> None:
    """Let `edit` change the keys, alone, and write them all. Raises StoreError, and what `edit` raises."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(path.with_name(path.name + ".lock"), _LOCK_SECONDS):
            keys = dict(read(path).keys)
            edit(keys)
            _write(path, keys)
    except TimeoutError:
        raise StoreError(
            f"another command has been changing {path} for {_LOCK_SECONDS} s; try again"
        ) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from None


def _write(path: Path, keys: Mapping[str, StoredKey]) -> None:
    document = {"version": _VERSION, "keys": {name: _plain(key) for name, key in keys.items()}}
    target = path.resolve()  # a link stays one
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _plain(key: StoredKey) -> dict[str, Any]:
    return key.model_dump(mode="json", exclude_none=True)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


_State = tuple[int, int, int] | None
"""Time of change, inode and size; None: no file."""


class KeyFile:
    """The file as a running hub sees it. `current` gives the same object until the file is another one."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._state: _State = None
        self._stored = NOTHING

    def current(self, path: Path) -> Stored:
        """What the file at `path` holds now.

        A file that cannot be read leaves what was read before; if nothing was, no stored key is good, and
        still every request needs one.
        """
        state = _state(path)
        if path != self._path:
            self._path, self._stored = path, Stored(exists=state is not None)
        elif state == self._state:
            return self._stored
        self._state = state
        try:
            self._stored = read(path)
        except StoreError as error:
            log.error("%s; until then the keys of before count", error)
        return self._stored


def _state(path: Path) -> _State:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return (0, 0, 0)
    return status.st_mtime_ns, status.st_ino, status.st_size
