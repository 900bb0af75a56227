"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Config = Annotated[
    Path | None, Parameter(name="--config", help="Settings file; else ./hub.yaml, then your config folder's.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Reach:
    """How to find the running hub. Nothing given: where the settings say that it listens."""

    config: Config = None
    url: Annotated[str | None, Parameter(help="Where the hub runs, such as http://127.0.0.1:11434.")] = None
    host: Annotated[str | None, Parameter(help="Its host, in place of --url.")] = None
    port: Annotated[int | None, Parameter(help="Its port, in place of --url.")] = None
    key: Annotated[str | None, Parameter(help="The key that the hub asks for; also HUB_KEY.")] = None

    @property
    def explicit(self) -> bool:
        """Whether the command line names a place: then no other will do."""
        return not (self.url is None and self.host is None and self.port is None)
