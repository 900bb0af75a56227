"""The vocabulary of `hub doctor`: one finding for each thing that was looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "note", "wrong"]
"""`note`: it may be as it should be, and it is good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A row of the table. No secret is part of it."""

    part: str
    """Which part of the hub: settings, hub, files, program, server, provider, embedded, usage, IDE."""
    subject: str
    state: State
    what: str
    remedy: str = ""
    """What to do; empty where there is nothing to do."""

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def ok(part: str, subject: str, what: str) -> Finding:
    return Finding(part, subject, "ok", what)


def note(part: str, subject: str, what: str, remedy: str = "") -> Finding:
    return Finding(part, subject, "note", what, remedy)


def wrong(part: str, subject: str, what: str, remedy: str) -> Finding:
    return Finding(part, subject, "wrong", what, remedy)


def any_wrong(findings: Iterable[Finding]) -> bool:
    return any(finding.state == "wrong" for finding in findings)
