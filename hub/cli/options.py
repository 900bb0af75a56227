"""Options that several commands share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hub.cli.errors import UsageError

Config = Annotated[
    Path | None, Parameter(name="--config", help="Settings file; else ./hub.yaml, then your config folder's.")
]
Text = Parameter(allow_leading_hyphen=True)
"""For words that may begin with `-`, or be `-` alone: standard input."""

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]


def refuse_option(text: str) -> None:
    """A `Text` also takes a mistyped option: that is wrong use, not a word."""
    if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", text):
        raise UsageError(f"unknown option {text}; --help lists them")


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
