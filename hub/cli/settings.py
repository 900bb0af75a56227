"""The settings, as commands need them: loaded, or one line that says why not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.cli.errors import CommandError
from hub.settings import LoadedSettings, Problem, SettingsError, default_settings_path, load_settings


def settings_path(config: Path | None) -> Path | None:
    return config if config is not None else default_settings_path()


def load(config: Path | None, overrides: Mapping[str, Any] | None = None) -> LoadedSettings:
    """The settings of `config`, or of the usual places. Raises `CommandError`."""
    path = settings_path(config)
    try:
        return load_settings(path, overrides=overrides)
    except SettingsError as error:
        raise CommandError(summary(path, error)) from error


def summary(path: Path | None, error: SettingsError) -> str:
    """The first problem, and how many more there are."""
    first, *others = error.problems
    more = f" (and {len(others)} more: hub check lists them all)" if others else ""
    return describe(path, first) + more


def describe(path: Path | None, problem: Problem) -> str:
    """`hub.yaml:12: groups.kimi: what is wrong: what to do`."""
    place = str(path) if path is not None else "settings"
    if problem.line is not None:
        place += f":{problem.line}"
    parts = [place, problem.where if problem.where != str(path) else "", problem.message, problem.hint]
    return ": ".join(part for part in parts if part)
