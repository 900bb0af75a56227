"""What the child tells the parent: one JSON object per line on its standard output.

Kept free of imports that cost time: the child's start is the model's start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Fetching:
    """The weights are on their way: bytes so far, bytes in all."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Loading:
    path: str


@dataclass(frozen=True, slots=True)
class Ready:
    pass


@dataclass(frozen=True, slots=True)
class Failed:
    """The child ends. `permanent`: a restart with the same settings would fail the same way."""

    reason: str
    permanent: bool


Event = Fetching | Loading | Ready | Failed

_TYPES: Mapping[str, type[Event]] = {kind.__name__: kind for kind in (Fetching, Loading, Ready, Failed)}


def encode(event: Event) -> str:
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def decode(line: bytes) -> Event | None:
    """The event of one line; None where the line is something else."""
    try:
        fields = json.loads(line)
        return _TYPES[fields.pop("event")](**fields)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
