"""What the audit has of a call's arguments: a hash that tells equal ones, and the text only if asked for.

Arguments are often short (a path, a name), so their plain SHA-256 could be found by trying. The hash has a
secret key, made once and kept beside the other state: equal arguments have equal hashes on one hub, and the
database alone gives nothing away.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from hub.settings.usage import AuditSettings

log = logging.getLogger("hub.audit")

_KEY_BYTES = 32


class Audit:
    """`folder` None: the key lasts as long as the process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / "audit.key" if folder is not None else None
        self._key: bytes | None = None
        self._keeps = False
        self._scrub: Callable[[str], str] = str

    def follow(self, settings: AuditSettings, scrub: Callable[[str], str]) -> None:
        """`scrub` takes known secrets out of what is kept."""
        self._keeps, self._scrub = settings.arguments, scrub

    def hashed(self, arguments: Any) -> str:
        """HMAC-SHA256 of the arguments as JSON with sorted keys, in hex; "" for none."""
        if arguments is None:
            return ""
        if self._key is None:
            self._key = self._read_key()
        return hmac.digest(self._key, _canonical(arguments), "sha256").hex()

    def kept(self, arguments: Any) -> str | None:
        if not self._keeps or arguments is None:
            return None
        return self._scrub(json.dumps(arguments, ensure_ascii=False))

    def _read_key(self) -> bytes:
        key = secrets.token_bytes(_KEY_BYTES)
        if self._file is None:
            return key
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                found = self._file.read_bytes()
                if len(found) == _KEY_BYTES:
                    return found
                log.warning(
                    "%s is damaged; until it is removed, hashes compare within one run alone", self._file
                )
                return key
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
        except OSError as error:
            log.warning("hashes of arguments compare within this run alone: %s", error)
        return key


def _canonical(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
