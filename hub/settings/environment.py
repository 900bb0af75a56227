"""Values from outside of the file: `.env`, `HUB_…` variables and the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dotenv
from pydantic import AliasChoices, Field, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource

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
    Variables with another beginning than a section's name (`HUB_TOKEN`) are nobody's business here,
    and neither is a text in the place of a whole section (`HUB_SERVER=my-server`).
    """
    sections = {_plain(name): name for name in known_sections()}
    for (section, *steps), value in _variables(_Source(environ)()):
        name, source = sections[_plain(section)], f"the environment variable {value.variable}"
        if steps or value.lstrip().startswith(WHOLE.get(name, "{")):
            _set(document, [name, *steps], _read(document, value, source), source)


class _Value(PlainText):
    """What a variable holds, with the variable's name for problems."""

    variable: str = ""


class _Source(EnvSettingsSource):
    """The variables of the settings as one nested mapping, `{section: {step: {…: {None: value}}}}`.

    A value stands under `None`, beside what other variables say of its parts, since
    `HUB_GROUPS__BEST={…}` and `HUB_GROUPS__BEST__SEED=7` may both be set. It is the text itself: what it
    means is for the document to say, which knows its place for a problem.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(
            _sections(), env_prefix=PREFIX, env_prefix_target="all", env_nested_delimiter=SEPARATOR
        )
        self.env_vars = {}
        # A whole before its parts: they go over it.
        for name in sorted(environ, key=str.lower):
            value = self.env_vars[name.lower()] = _Value(environ[name])
            value.variable = name

    def decode_complex_value(self, field_name: str, field: object, value: Any) -> Any:
        return {None: value}


@cache
def _sections() -> type[BaseSettings]:
    """A class for the source to look for the sections by: each a mapping of anything."""
    names = {name: {name, _plain(name)} for name in Settings.model_fields}
    fields: dict[str, Any] = {
        name: (dict[str, dict], Field(validation_alias=AliasChoices(*sorted(spellings))))  # type: ignore[type-arg]
        for name, spellings in names.items()
    }
    return create_model("Sections", __base__=BaseSettings, **fields)


def _variables(
    values: Mapping[Any, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], _Value]]:
    for key, value in values.items():
        path = above if key is None else (*above, key)
        if isinstance(value, Mapping):
            yield from _variables(value, path)
        else:
            yield path, value


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


WHOLE: Mapping[str, str | tuple[str, ...]] = {
    "default_group": "",
    "keys": ("{", "["),
    **dict.fromkeys(("telemetry", "recorder"), ("{", "true", "false")),
}
"""What a variable for a whole section begins with, `{` where not named here."""


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        path = (*above, *key.split("."))
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _plain(name: str) -> str:
    return re.sub(r"[-._]", "", name).casefold()


def _read(document: Document, value: _Value, source: str) -> Any:
    if not value.lstrip().startswith(("[", "{")):
        return value
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
