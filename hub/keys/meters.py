"""How much each key has done: requests, tokens, places, and money. All in memory; the clock is passed in.

Tokens and money are known when an answer has ended: the request that goes beyond a limit is still
answered, the next one is not.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hub.settings.keys import Budget
from routing.limits import Exceeded, Limiter
from routing.table import Limits
from routing.usage import Record

log = logging.getLogger("hub.keys")

Spent = Callable[[str, float], float]
"""`(key's name, Unix seconds) -> US dollars` that the key has spent since then. Blocks, may raise."""
_MOST_TOLD = 100


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a key may do. `since` (Unix seconds): what came before does not count to its budget."""

    limits: Limits
    budget: Budget | None = None
    since: float = 0.0

    def __bool__(self) -> bool:
        return self.budget is not None or self.limits != Limits()


@dataclass(frozen=True, slots=True)
class Overspent:
    """A budget is used up, for `retry_after` seconds; None: for good."""

    budget: Budget
    retry_after: float | None


def period_of(budget: Budget, now: float) -> tuple[float, float | None]:
    """First moment of the budget's present period, and of the next one, in Unix seconds."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match budget.period:
        case None:
            return 0.0, None
        case "day":
            return today.timestamp(), (today + timedelta(days=1)).timestamp()
        case "month":
            first = today.replace(day=1)
            return first.timestamp(), (first + timedelta(days=32)).replace(day=1).timestamp()


class Clocks(NamedTuple):
    monotonic: Callable[[], float] = time.monotonic
    unix: Callable[[], float] = time.time


class Meter:
    """The counters of one key."""

    __slots__ = ("_allowance", "_clocks", "_limiter", "_period_end", "spent")

    def __init__(self, allowance: Allowance, clocks: Clocks) -> None:
        self._allowance = allowance
        self._clocks = clocks
        self._limiter = Limiter(allowance.limits)
        self._period_end: float | None = None
        self.spent = 0.0
        """US dollars in the budget's present period."""

    @property
    def allowance(self) -> Allowance:
        return self._allowance

    @property
    def in_flight(self) -> int:
        return self._limiter.in_flight

    def allow(self, allowance: Allowance) -> None:
        """Other limits from now on. What was counted stays."""
        self._allowance, self._limiter.limits = allowance, allowance.limits

    def begin_period(self, spent: float) -> None:
        if self._allowance.budget is not None:
            _, self._period_end = period_of(self._allowance.budget, self._clocks.unix())
            self.spent = spent

    def enter(self) -> Exceeded | Overspent | None:
        """Count a request that begins, or say why it may not. Each that may needs `leave` at its end."""
        budget = self._allowance.budget
        if budget is not None:
            now = self._clocks.unix()
            self._roll(now)
            if self.spent >= budget.amount:
                return Overspent(budget, None if self._period_end is None else self._period_end - now)
        return self._limiter.admit(self._clocks.monotonic())

    def leave(self) -> None:
        self._limiter.release()

    def used(self, tokens: int, cost: float) -> None:
        if self._allowance.budget is not None:
            self._roll(self._clocks.unix())
            self.spent += cost
        if tokens and self._allowance.limits.tokens is not None:
            self._limiter.used(self._clocks.monotonic(), tokens)

    def _roll(self, now: float) -> None:
        if self._period_end is not None and now >= self._period_end:
            self.begin_period(0.0)


def in_a_thread(work: Callable[[], None]) -> None:
    """For reading the store, which blocks."""
    threading.Thread(target=work, name="what keys have spent", daemon=True).start()


class Meters:
    """The meters of all keys that have limits. `take` is a sink of usage records."""

    def __init__(
        self,
        clocks: Clocks = Clocks(),  # noqa: B008 - frozen
        aside: Callable[[Callable[[], None]], None] = in_a_thread,
    ) -> None:
        self._clocks = clocks
        self._aside = aside
        self._spent: Spent | None = None
        self._meters: dict[str, Meter] = {}
        self._told: set[str] = set()

    def follow(self, allowances: Iterable[tuple[str, Allowance]]) -> None:
        """Take over the limits of the keys that there are now."""
        meters: dict[str, Meter] = {}
        for name, allowance in allowances:
            if not allowance:
                continue
            meter = self._meters.get(name)
            if meter is None:
                meters[name] = meter = Meter(allowance, self._clocks)
                self._seed(name, meter)
                continue
            meters[name] = meter
            before = meter.allowance
            meter.allow(allowance)
            if (before.budget, before.since) != (allowance.budget, allowance.since):
                self._seed(name, meter)
        self._meters = meters

    def use_store(self, spent: Spent) -> None:
        """From here on, `spent` knows what was spent before, also by the keys that there are."""
        self._spent = spent
        for name, meter in self._meters.items():
            self._seed(name, meter)

    def of(self, name: str) -> Meter | None:
        """None: nothing limits it."""
        return self._meters.get(name)

    def take(self, record: Record) -> None:
        meter = self._meters.get(record.caller)
        if meter is None:
            return
        usage = record.usage
        if record.cost is None and usage is not None and meter.allowance.budget is not None:
            self._tell_unpriced(record)
        tokens = usage.input_tokens + usage.output_tokens if usage is not None else 0
        meter.used(tokens, record.cost or 0.0)

    def _seed(self, name: str, meter: Meter) -> None:
        """Begin its period with what the store knows; without one, with what the meter has counted."""
        budget, spent = meter.allowance.budget, self._spent
        if budget is None:
            return
        if spent is None:
            meter.begin_period(meter.spent)
            return
        meter.begin_period(0.0)
        since = max(period_of(budget, self._clocks.unix())[0], meter.allowance.since)

        def look() -> None:
            try:
                meter.spent += spent(name, since)
            except Exception as error:  # the store's business; the hub serves on
                log.warning("what the key `%s` has spent before is not known: %s", name, error)

        self._aside(look)

    def _tell_unpriced(self, record: Record) -> None:
        model = f"{record.provider}/{record.model}"
        if model not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(model)
            log.warning(
                "%s has no price, so it does not count to the budget of the key `%s`: "
                "give it one under `prices` in the settings",
                model,
                record.caller,
            )
