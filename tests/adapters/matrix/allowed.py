"""`losses.toml`: what may get lost, for which pairs and features, and why.

`[[loss]]`: a code that an encoder reports. `[[told]]`: a difference in meaning that a reported loss
accounts for, wherever that loss is reported. `[[silent]]`: one that nothing reports. `[[identity]]`: what
a protocol's own request does not get back letter by letter.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "losses.toml"


@dataclass(frozen=True, slots=True)
class Row:
    """Lists what it allows; everything that it lists has to occur."""

    section: str
    names: tuple[str, ...]
    clients: tuple[str, ...]
    targets: tuple[str, ...]
    features: tuple[str, ...]
    reason: str

    def allows(self, name: str, client: str, target: str, feature: str) -> bool:
        return (
            name in self.names
            and client in self.clients
            and target in self.targets
            and feature in self.features
        )


@dataclass(frozen=True, slots=True)
class Told:
    """The fact that differs, and the codes of which one has to be reported then."""

    fact: str
    by: tuple[str, ...]


@cache
def _document() -> Mapping[str, Any]:
    return tomllib.loads(PATH.read_text(encoding="utf-8"))


def rows(section: str) -> tuple[Row, ...]:
    return tuple(
        Row(
            section,
            tuple(row["names"]),
            tuple(row["from"]),
            tuple(row["to"]),
            tuple(row["features"]),
            row["reason"],
        )
        for row in _document()[section]
    )


def told() -> tuple[Told, ...]:
    return tuple(Told(row["fact"], tuple(row["by"])) for row in _document()["told"])


def identity() -> dict[tuple[str, str], str]:
    """Protocol and feature -> why its request does not come back letter by letter."""
    return {(row["protocol"], row["feature"]): row["reason"] for row in _document()["identity"]}


def stale(found: Iterable[tuple[str, str, str, str]], section: str) -> list[str]:
    """What rows of the section list and none of `found` (name, client, target, feature) needs."""
    seen = list(found)
    out = []
    for row in rows(section):
        mine = [one for one in seen if row.allows(*one)]
        for column, listed in enumerate((row.names, row.clients, row.targets, row.features)):
            used = {one[column] for one in mine}
            out += [
                f"{section} {'/'.join(row.names)}: {value} is not needed"
                for value in listed
                if value not in used
            ]
    return out
