"""Variables in settings: `${VAR}`, `${VAR:-default}`, and the ways in which IDEs write the same.

| written | becomes |
| --- | --- |
| `${VAR}` `${env:VAR}` `{env:VAR}` | the variable; one that is not set is a problem |
| `${VAR:-default}` | the variable, or the default where it is not set or empty |
| `${keyring:NAME}` | the secret of `hub secret set NAME`, or of the system's keyring under `ccproxy-hub` |
| `${file:PATH}` | what the file holds without its last newline; relative to the settings file |
| `$${VAR}` | `${VAR}`, unchanged |
| `${workspaceFolder}` | the folder of the settings file |
| `${userHome}` | the home folder |
| `${pathSeparator}` `${/}` | `/`, or `\\` on Windows |
| `${HUB_PYTHON}` | the Python that runs the hub, for MCP servers installed beside it |

`{env:VAR}` (opencode) is read below `mcpServers` alone, since only pasted blocks use it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hub.secret_store import SecretStore, SecretStoreError
from hub.settings.document import Document, PlainText, typed
from hub.settings.problems import KeyPath

_REFERENCE = re.compile(r"\$(?P<escape>\$)?\{(?P<name>[^{}]*)\}")
_OPENCODE = re.compile(r"(?<!\$)\{env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_VARIABLE = re.compile(r"(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_EDITOR = {"workspaceFolder", "workspaceFolderBasename", "userHome", "pathSeparator", "/", "HUB_PYTHON"}


_LARGEST_SECRET = 64 * 1024
"""Bytes of a file behind `${file:PATH}`: what is larger is no secret, but some other file."""


class Unresolvable(Exception):
    """A reference that has no value: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def expand(document: Document, environ: Mapping[str, str], folder: Path) -> Secrets:
    """Replace every reference in `document` in place, and refuse those that cannot be.

    Gives back what was read from keyring and files. Below `extra_body` the scalars also get their YAML types
    here, after their variables.
    """
    secrets = Secrets(folder)

    def walk(value: Any, path: KeyPath) -> Any:
        match value:
            case dict():
                return {key: walk(item, (*path, key)) for key, item in value.items()}
            case list():
                return [walk(item, (*path, index)) for index, item in enumerate(value)]
            case str():
                try:
                    text = expand_text(
                        value, environ, folder, pasted=path[0] == "mcpServers", secrets=secrets
                    )
                except Unresolvable as reason:
                    document.refuse(path, reason.message, reason.hint)
                    return value
                if text != value:
                    document.expanded.add(path)
                open_ended = "extra_body" in path[2:] and isinstance(value, PlainText)
                return typed(text) if open_ended else str(text)
            case _:
                return value

    document.data = {key: walk(item, (key,)) for key, item in document.data.items()}
    return secrets


class Secrets:
    """Where `${keyring:NAME}` and `${file:PATH}` come from. Each is read once."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[Path, None] = {}
        """Those that were read or looked for, so that a change can be noticed; never their content."""
        self._folder = folder
        self._store = SecretStore()
        self._known: dict[str, str] = {}

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self._known.values())

    def find(self, kind: str, name: str) -> str:
        """Raises `Unresolvable`, which names the place and never holds the value."""
        reference = f"{kind}:{name}"
        if reference not in self._known:
            self._known[reference] = _SECRET_KINDS[kind](self, name)
        return self._known[reference]

    def keyring(self, name: str) -> str:
        self.files[self._store.path] = None
        try:
            value = self._store.read(name)
        except SecretStoreError as error:
            raise Unresolvable(str(error), f"set it anew: hub secret set {name}") from None
        if value is None:
            raise Unresolvable(f"there is no secret {name!r}", f"hub secret set {name} asks for its value")
        return value

    def file(self, name: str) -> str:
        path = self._folder / Path(name).expanduser()
        self.files[path] = None
        try:
            with path.open("rb") as file:
                data = file.read(_LARGEST_SECRET + 1)
            if len(data) > _LARGEST_SECRET:
                raise Unresolvable(
                    f"the file {path} is larger than 64 KiB", "name a file that holds a secret"
                )
            return data.decode("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            reason = f"the file {path} cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            reason = f"the file {path} is not UTF-8 text"
        raise Unresolvable(reason, "put the secret there, or name another file")


_SECRET_KINDS: Mapping[str, Callable[[Secrets, str], str]] = {
    "keyring": Secrets.keyring,
    "file": Secrets.file,
}


def expand_text(
    text: str,
    environ: Mapping[str, str],
    folder: Path,
    *,
    pasted: bool = False,
    secrets: Secrets | None = None,
) -> str:
    """One value expanded. Raises `Unresolvable` at the first reference that cannot be."""
    resolve = partial(_resolve, environ=environ, folder=folder, secrets=secrets or Secrets(folder))

    def replacement(match: re.Match[str]) -> str:
        if match["escape"]:
            return match[0][1:]
        return resolve(match["name"])

    if pasted:
        text = _OPENCODE.sub(lambda match: "${" + match["name"] + "}", text)
    if "${" in _REFERENCE.sub("", text):
        raise Unresolvable(
            "`${` without its `}`, or inside of another `${…}`",
            "write ${NAME} or ${NAME:-default}, and $${…} for a text that is not a variable",
        )
    return _REFERENCE.sub(replacement, text)


def _resolve(reference: str, environ: Mapping[str, str], folder: Path, secrets: Secrets) -> str:
    kind, colon, name = reference.partition(":")
    if colon and name and kind in _SECRET_KINDS:
        return secrets.find(kind, name)
    if reference in _EDITOR and reference not in environ:
        return _editor_variable(reference, folder)
    if reference.startswith("input:"):
        wanted = re.sub(r"[^A-Za-z0-9]+", "_", reference.removeprefix("input:")).strip("_").upper() or "VALUE"
        raise Unresolvable(
            f"`${{{reference}}}` is asked for by the editor, which the hub cannot do",
            f"put the value into `.env` beside the settings file as {wanted}=… and write ${{{wanted}}}",
        )
    variable = _VARIABLE.fullmatch(reference)
    if variable is None:
        raise Unresolvable(
            f"`${{{reference}}}` is not a variable",
            "write ${NAME} or ${NAME:-default}, and $${…} for a text that is not one",
        )
    value = environ.get(variable["name"])
    if variable["default"] is not None:
        return value or variable["default"]
    if value is None:
        raise Unresolvable(
            f"the variable {variable['name']} is not set, and is needed",
            "set it in the environment or in `.env` beside the settings file, "
            f"or write ${{{variable['name']}:-default}}",
        )
    return value


def _editor_variable(name: str, folder: Path) -> str:
    match name:
        case "workspaceFolder":
            return str(folder)
        case "workspaceFolderBasename":
            return folder.name
        case "userHome":
            return str(Path.home())
        case "HUB_PYTHON":
            return sys.executable
        case _:
            return os.sep
