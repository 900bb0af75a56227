"""What is trusted, on disk: one file for each server of a settings file, private to the user."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

log = logging.getLogger("hub.trust")

TRUST = "trust"
"""The folder's name in the state folder."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Pin:
    """A tool as it is trusted."""

    digest: str
    definition: Mapping[str, Any]
    """Its pinned part, to show what changed."""


@dataclass(frozen=True, slots=True)
class Pins:
    """All pins of one server. `origin` is what its settings said about where it comes from, hashed."""

    origin: str = ""
    tools: Mapping[str, Pin] = field(default_factory=dict)
    instructions: str = ""
    """The digest of instructions that were trusted although something is wrong with them."""


def scope_of(settings: Path | None) -> str:
    """What tells the servers of one settings file from those of others."""
    return str(settings.resolve()) if settings is not None else ""


class PinFolder:
    """`folder` None: nothing outlives the process. `scope` tells the settings files of a user apart."""

    def __init__(self, folder: Path | None, scope: str = "") -> None:
        self._folder = folder
        self._scope = scope

    def file(self, server: str) -> Path | None:
        if self._folder is None:
            return None
        name = re.sub(r"[^A-Za-z0-9_-]", "_", server)[:60]
        which = sha256(f"{self._scope}\0{server}".encode()).hexdigest()[:12]
        return self._folder / f"{name}-{which}.json"

    def read(self, server: str) -> Pins | None:
        """None where the server was never seen. Raises `PinError` for a file that cannot be understood."""
        file = self.file(server)
        if file is None:
            return None
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            if document["version"] != _VERSION:
                raise PinError(f"{file} has version {document['version']}, which this hub does not know")
            tools = {
                str(name): Pin(str(pin["digest"]), dict(pin["definition"]))
                for name, pin in document["tools"].items()
            }
            return Pins(str(document["origin"]), tools, str(document.get("instructions", "")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PinError(f"{file} cannot be read: {error.strerror or error}") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise PinError(
                f"{file} is damaged; remove it to see {server}'s tools for the first time"
            ) from None

    def write(self, server: str, pins: Pins) -> None:
        """A whole new file in the place of the old one. Logs what goes wrong: the pins hold until the end."""
        file = self.file(server)
        if file is None:
            return
        document = {
            "version": _VERSION,
            "server": server,
            "settings": self._scope,
            "origin": pins.origin,
            "instructions": pins.instructions,
            "tools": {
                name: {"digest": pin.digest, "definition": pin.definition} for name, pin in pins.tools.items()
            },
        }
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # 0600
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as written:
                    json.dump(document, written, ensure_ascii=True)
                os.replace(name, file)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            log.warning("what is trusted holds until the hub's end: %s cannot be written: %s", file, error)


class PinError(Exception):
    """Says which file, what is wrong with it, and what to do."""
