"""Values from outside of the file: `.env`, `HUB_…` variables and the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dotenv

from hub.settings.document import Document, Place, PlainText, parse
from hub.settings.model import Settings
from hub.settings.problems import KeyPath, SettingsError

PREFIX = "HUB_"
SEPARATOR = "__"


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file, as written, without expansion. Raises `OSError`, `ValueError`."""
    values = dotenv.dotenv_values(path, interpolate=False, encoding="utf-8")
    return {name: value for name, value in values.items() if value is not None}


def apply_environment(document: Document, environ: Mapping[str, str]) -> None:
    """Put the `HUB_SECTION__NAME__KEY=value` variables over the file's values.

    Names are compared without regard to case, `-`, `.` and `_`, so that
    `HUB_PROVIDERS__MY_LOCAL__API_KEY` means the provider `my-local`. A value that starts
    with `[` or `{` is read as YAML, any other is the value itself.
    Variables with another beginning than a section's name (`HUB_TOKEN`) are nobody's business here.
    """
    sections = {_plain(name): name for name in known_sections()}
    for variable in sorted(environ):
        section, *steps = variable.removeprefix(PREFIX).split(SEPARATOR)
        name = sections.get(_plain(section))
        value, source = environ[variable], f"the environment variable {variable}"
        is_whole = name in SCALARS or value.lstrip().startswith("{")
        if variable.startswith(PREFIX) and name is not None and (steps or is_whole):
            _set(document, [name, *steps], _read(document, value, source), source)


def apply_overrides(document: Document, overrides: Mapping[str, Any]) -> None:
    """Put values of the command line over all others: `{"server.port": 8080}` or nested mappings.

    `None` means that the option was not given.
    """
    for path, value in _leaves(overrides):
        if value is not None:
            text = value if isinstance(value, (dict, list)) else str(value)
            _set(document, list(path), text, "the command line")


def known_sections() -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in Settings.model_fields.items())


SCALARS = frozenset({"default_group"})
"""The top-level keys that are no mappings."""


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        path = (*above, *key.split("."))
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _plain(name: str) -> str:
    return re.sub(r"[-._]", "", name).casefold()


def _read(document: Document, value: str, source: str) -> Any:
    if not value.lstrip().startswith(("[", "{")):
        return PlainText(value)
    try:
        return parse(f"value: {value}").data["value"]
    except SettingsError as error:
        document.places[source,] = Place(None, source)
        document.refuse((source,), error.problems[0].message)
        return None


def _set(document: Document, steps: list[str], value: Any, source: str) -> None:
    """Walk down to the last step, through what is there or what is missing, and put `value` there."""
    here: Any = document.data
    path: KeyPath = ()
    for position, step in enumerate(steps):
        last = position == len(steps) - 1
        if isinstance(here, list) and step.isdigit() and int(step) < len(here):
            index = int(step)
            path = (*path, index)
            if last:
                here[index] = value
            here = here[index]
            continue
        if not isinstance(here, dict):
            document.places[source,] = Place(None, source)
            document.refuse((source,), f"there is no `{step}` to set in `{'.'.join(steps[:position])}`")
            return
        key = next(
            (key for key in here if _plain(key) == _plain(step)), step if position == 0 else step.lower()
        )
        path = (*path, key)
        if last:
            here[key] = value
        elif here.get(key) is None:
            here[key] = {}
        here = here[key]
    document.places[path] = Place(None, source)
