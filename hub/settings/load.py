"""Reading the settings: file, `.env`, environment and command line become one frozen `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from hub.settings import checks, ide, words
from hub.settings.document import Document, parse
from hub.settings.environment import apply_environment, apply_overrides, known_sections, read_env_file
from hub.settings.expand import expand
from hub.settings.model import Settings
from hub.settings.problems import Problem, SettingsError

FILE_NAME = "hub.yaml"
MAX_BYTES = 4 * 1024 * 1024
_OF_ONE_PIECE = frozenset(("server", "log", "telemetry", "recorder", "usage"))
"""Sections that are no mapping of names to entries."""
_SWITCHES = ("telemetry", "recorder")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings that are whole and consistent, and where they came from.

    `environ` is the environment with `.env` below it: the built-in providers take their keys from
    it. `files` are all that were read or looked for, so that a change of any can be noticed.
    """

    settings: Settings
    path: Path | None = None
    notes: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What came from a keyring or a file."""


def default_settings_path() -> Path | None:
    """`./hub.yaml`, then that of the user's config folder; None where neither exists."""
    return next((path for path in default_candidates() if path.is_file()), None)


def default_candidates() -> tuple[Path, ...]:
    """Where settings are looked for if no file is named, in this order."""
    return (Path.cwd() / FILE_NAME, user_settings_path())


def user_settings_path() -> Path:
    """Where the settings of this user are, or would be."""
    return platformdirs.user_config_path("ccproxy-hub") / FILE_NAME


def load_settings(
    path: Path | None,
    *,
    environ: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedSettings:
    """Read the file at `path` (None: no file) and put environment and command line over it.

    `overrides` are values of the command line, `{"server.port": 8080}` or nested; `None` values
    do not count. Raises `SettingsError` with every problem at once.
    """
    folder = (path.parent if path is not None else Path.cwd()).absolute()
    env_file = folder / ".env"
    files = [*((path.absolute(),) if path is not None else default_candidates()), env_file]
    try:
        document = Document({}) if path is None else parse(_read(path))
    except SettingsError as error:
        raise SettingsError(error.problems, files) from None
    environ = {**_dotenv(env_file, document), **environ}

    ide.rename_top_level(document)
    _switch(document)
    apply_environment(document, environ)
    _switch(document)
    apply_overrides(document, overrides or {})
    _fill_empty(document)
    _name_keys(document)
    secrets = expand(document, environ, folder)
    files += secrets.files
    files += ide.normalise_servers(document, folder)
    _resolve_weights(document, folder)
    _resolve_keys_file(document, folder)
    checks.check(document, environ)
    settings = _validate(document)
    if document.problems or settings is None:
        raise SettingsError(sorted(document.problems.values(), key=_position), files)
    return LoadedSettings(settings, path, tuple(document.notes), environ, tuple(files), secrets.values)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise SettingsError([Problem(None, str(path), f"is larger than {MAX_BYTES} bytes")])
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise SettingsError([Problem(None, str(path), "there is no settings file")]) from None
    except IsADirectoryError:
        raise SettingsError([Problem(None, str(path), "is a folder, not a settings file")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError([Problem(line, str(path), "is not UTF-8 text")]) from None
    except OSError as error:
        raise SettingsError([Problem(None, str(path), f"cannot be read: {error.strerror}")]) from None


def _dotenv(path: Path, document: Document) -> dict[str, str]:
    try:
        return read_env_file(path) if path.is_file() else {}
    except (OSError, ValueError) as error:
        document.problems[".env",] = Problem(None, str(path), f"cannot be read: {type(error).__name__}")
        return {}


def _fill_empty(document: Document) -> None:
    """`groups:` or `openrouter:` with nothing behind it means an empty mapping."""
    for name in known_sections():
        if name in document.data and document.data[name] is None:
            del document.data[name]
        for key, value in document.section(name).items():
            if value is None and name not in _OF_ONE_PIECE:
                document.section(name)[key] = {}


def _name_keys(document: Document) -> None:
    """`keys: [a, b]` are called `key-1` and `key-2`, and `me: abc` is short for `me: {key: abc}`."""
    keys = document.data.get("keys")
    if isinstance(keys, list):
        for step in range(len(keys)):
            document.places["keys", f"key-{step + 1}"] = document.place(("keys", step))
        keys = {f"key-{number}": key for number, key in enumerate(keys, 1)}
    if isinstance(keys, dict):
        entries = {name: {"key": key} if isinstance(key, str) else key for name, key in keys.items()}
        document.data["keys"] = entries


def _switch(document: Document) -> None:
    """`telemetry: true` is short for `telemetry: {enabled: true}`."""
    for name in _SWITCHES:
        value = document.data.get(name)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            document.data[name] = {"enabled": value}


def _resolve_weights(document: Document, folder: Path) -> None:
    """A relative GGUF file counts from the settings file, wherever the hub was started."""
    for provider in document.section("providers").values():
        embedded = provider.get("embedded") if isinstance(provider, dict) else None
        model = embedded.get("model") if isinstance(embedded, dict) else None
        if isinstance(embedded, dict) and isinstance(model, str) and model.endswith(".gguf"):
            embedded["model"] = str(folder / Path(model).expanduser())


def _resolve_keys_file(document: Document, folder: Path) -> None:
    server = document.section("server")
    if isinstance(file := server.get("keys_file"), str) and file:
        server["keys_file"] = str(folder / Path(file).expanduser())


def _validate(document: Document) -> Settings | None:
    try:
        return Settings.model_validate(document.data)
    except ValidationError as error:
        words.explain(document, error)
        return None


def _position(problem: Problem) -> tuple[bool, int]:
    return problem.line is None, problem.line or 0
