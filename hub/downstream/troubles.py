"""What a server does that it should not, counted: `hub status` names it, the log says it now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Trouble = Literal["flood", "slow client", "silent", "late", "oversized"]

_WORDS: dict[Trouble, str] = {
    "flood": "floods with notifications and is slowed down",
    "slow client": "notifications left out because a client reads too slowly",
    "silent": "calls without an answer in time",
    "late": "answers to calls that had been given up",
    "oversized": "results cut to the limit",
}
_SHOWN_SECONDS = 3600.0
_LOG_SECONDS = 60.0

_BURST = 2000
_PER_SECOND = 500
_PAUSE = 0.05


@dataclass(slots=True)
class _Count:
    times: int
    last: str
    at: float
    logged: float


class Troubles:
    """Of one server, over all its sessions."""

    def __init__(self, log: logging.Logger, now: Callable[[], float] = time.time) -> None:
        self._log = log
        self._now = now
        self._counts: dict[Trouble, _Count] = {}

    def note(self, kind: Trouble, what: str) -> None:
        """One more of a kind; `what` names the method or tool. Cheap enough for a flood."""
        now = self._now()
        count = self._counts.setdefault(kind, _Count(0, what, now, 0.0))
        count.times, count.last, count.at = count.times + 1, what, now
        if now - count.logged >= _LOG_SECONDS:
            count.logged = now
            self._log.warning("%s: %d so far, the last one: %s", _WORDS[kind], count.times, what)

    def told(self) -> tuple[str, ...]:
        """A line for each kind of the last hour."""
        since = self._now() - _SHOWN_SECONDS
        return tuple(
            f"{_WORDS[kind]}: {count.times} (last: {count.last})"
            for kind, count in self._counts.items()
            if count.at >= since
        )


class Pace:
    """How fast notifications are taken from a server: 2000 at once, then 500 a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = float(_BURST)
        self._at = clock()

    def step(self) -> float:
        """Count one; the seconds to wait before it is taken, mostly 0."""
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._at) * _PER_SECOND) - 1
        self._at = now
        return _PAUSE if self._left < 0 else 0.0
