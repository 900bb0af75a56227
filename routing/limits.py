"""How many requests and tokens a minute, and how many requests at once. Pure: the clock is passed in.

A `Limiter` belongs to one key of a client, or to one key at a target. Each decision takes the same
time and a limiter never grows: it counts in one slot for each second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from routing.table import Limits

WINDOW_SECONDS = 60
CONCURRENCY_RETRY = 1.0
"""Seconds to wait where all places are taken: nobody knows when one becomes free."""

What = Literal["requests", "tokens", "concurrency"]


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Which limit stands in the way, and in how many seconds it may not any more."""

    what: What
    limit: float
    retry_after: float


class Window:
    """A sum over the last minute, in slots of a second.

    One slot more than the minute has seconds is kept, so that whatever 60 seconds one looks at: all that
    was added in them has been counted.
    """

    __slots__ = ("_latest", "_slots", "total")

    def __init__(self) -> None:
        self._slots = [0] * (WINDOW_SECONDS + 1)
        self._latest = 0
        self.total = 0

    def advance(self, now: float) -> None:
        """Forget what is older than the window. A clock that goes back stands still here."""
        second, slots = int(now), self._slots
        passed = second - self._latest
        if passed <= 0:
            return
        if passed >= len(slots) or not self.total:
            slots[:] = [0] * len(slots)
            self.total = 0
        else:
            for each in range(self._latest + 1, second + 1):
                index = each % len(slots)
                self.total -= slots[index]
                slots[index] = 0
        self._latest = second

    def add(self, now: float, amount: int) -> None:
        self.advance(now)
        self._slots[self._latest % len(self._slots)] += amount
        self.total += amount

    def seconds_until_below(self, now: float, limit: float) -> float:
        """How long until the sum is less than `limit` if nothing is added; 0: it is."""
        self.advance(now)
        left = self.total
        if left < limit:
            return 0.0
        count = len(self._slots)
        for second in range(self._latest - count + 1, self._latest + 1):
            left -= self._slots[second % count]
            if left < limit:
                return second + count - now
        return second + count - now  # a limit of 0 or less


class Limiter:
    """The counters of one key. `limits` may be replaced at any time: what was counted stays."""

    __slots__ = ("_requests", "_tokens", "in_flight", "limits")

    def __init__(self, limits: Limits = NO_LIMITS) -> None:
        self.limits = limits
        self.in_flight = 0
        self._requests = Window()
        self._tokens = Window()

    def exceeded(self, now: float) -> Exceeded | None:
        """What a request would be refused for at this moment, the longest wait first. Changes no count."""
        limits = self.limits
        found: list[Exceeded] = []
        if limits.requests is not None and (wait := self._requests.seconds_until_below(now, limits.requests)):
            found.append(Exceeded("requests", limits.requests, wait))
        if limits.tokens is not None and (wait := self._tokens.seconds_until_below(now, limits.tokens)):
            found.append(Exceeded("tokens", limits.tokens, wait))
        if not found and limits.concurrency is not None and self.in_flight >= limits.concurrency:
            return Exceeded("concurrency", limits.concurrency, CONCURRENCY_RETRY)
        return max(found, key=lambda one: one.retry_after, default=None)

    def admit(self, now: float) -> Exceeded | None:
        """Count a request that begins, or say why it may not. Each that may needs `release` at its end."""
        found = self.exceeded(now)
        if found is None:
            self.in_flight += 1
            self._requests.add(now, 1)
        return found

    def release(self) -> None:
        """A request that was admitted has ended."""
        self.in_flight -= 1

    def used(self, now: float, tokens: int) -> None:
        """Count tokens, known after the answer: whoever goes beyond the limit then has to wait."""
        self._tokens.add(now, tokens)
