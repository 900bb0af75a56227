"""What a person may know of a downstream server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ServerState = Literal["starting", "ready", "failed", "restarting", "disabled", "needs login"]


def in_words(state: ServerState) -> str:
    """What follows the server's name in a sentence."""
    return "needs a login" if state == "needs login" else f"is {state}"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One row of `hub status`. `since` is a Unix time; counts are those of the catalogue."""

    name: str
    transport: str
    state: ServerState
    reason: str | None
    """Why it is not ready, in one line; `None` while all is well."""
    protocol_version: str | None
    tools: int
    resources: int
    prompts: int
    pid: int | None
    restarts: int
    since: float
    sessions: int | None = None
    """With `session: per-client`: how many clients have one now."""
    notes: tuple[str, ...] = ()
    """What else there is to know: what it does that it should not, and what of it is held back."""
