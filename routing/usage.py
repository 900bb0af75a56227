"""One record for each chat request, handed to a sink that the hub gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adapters.canonical import Usage


@dataclass(frozen=True, slots=True)
class Record:
    """What happened to one request."""

    request_id: str
    client_protocol: str
    operation: str
    status: int
    group: str = ""
    provider: str = ""
    model: str = ""
    target_protocol: str = ""
    stream: bool = False
    passthrough: bool = False
    usage: Usage | None = None
    """None: the upstream told none, or the request failed."""
    first_byte: float | None = None
    """Seconds from the request's arrival to the first byte of the answer's body."""
    duration: float = 0.0
    """Seconds from the request's arrival to the answer's end."""
    attempts: int = 0
    losses: tuple[str, ...] = ()
    error: str | None = None
    """Redacted."""


Sink = Callable[[Record], None]
"""Must not block and must not raise."""
