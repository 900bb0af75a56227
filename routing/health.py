"""How targets and keys do: circuit breakers, requests in flight, times to the first token. Pure.

A breaker is closed while all is well. A failure opens it for a while, which grows with each failure
that follows; then one request at a time may try (half open), and its success closes it again.

Conditions are kept by what they are of, not by table: a reload of the settings forgets nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from adapters.canonical import ErrorKind
from routing.limits import Limiter
from routing.table import Limits, Target

Subject = tuple[str, str, str]
"""Provider, model, key; key "": the target whatever its key."""

State = Literal["closed", "open", "half_open"]

PROBE_SECONDS = 10.0
"""A probe that has not answered by then lets another one try: models may think for minutes."""
STALE_SECONDS = 300.0
"""A measured time counts no longer than this, so that every target is measured again."""
_SMOOTHING = 0.3
"""Share of the newest measurement in the average."""
_MOST = 4096


class Breaker:
    """One circuit breaker. Times are monotonic seconds of the caller's clock."""

    __slots__ = ("_probe_until", "cause", "failures", "openings", "until")

    def __init__(self) -> None:
        self.failures = 0
        """In a row; those of requests that were under way together count once."""
        self.until: float | None = None
        """End of the cooldown; None: closed."""
        self.openings = 0
        """How often it has opened; what `begin` returns, so that an old answer changes nothing new."""
        self.cause: ErrorKind = "upstream"
        """Of the last failure."""
        self._probe_until: float | None = None

    def state(self, now: float) -> State:
        if self.until is None:
            return "closed"
        return "open" if now < self.until else "half_open"

    def wait(self, now: float) -> float:
        """Seconds until it may admit a request; 0: now."""
        if self.until is None:
            return 0.0
        wait = self.until - now
        if wait <= 0 and self._probe_until is not None:
            wait = self._probe_until - now
        return max(wait, 0.0)

    def begin(self, now: float) -> int:
        """A request begins; where the breaker is half open it is the probe."""
        if self.until is not None and now >= self.until:
            self._probe_until = now + PROBE_SECONDS
        return self.openings

    def failed(self, began: int, now: float, cooldown: float, longest: float, cause: ErrorKind) -> None:
        """`cooldown`: for the first failure; it doubles with each further one up to `longest`."""
        if cooldown <= 0:
            self.let_go(began)
            return
        if began == self.openings:
            self.failures += 1
            self.openings += 1
            self.until = 0.0
            self._probe_until = None
        seconds = min(cooldown * 2.0 ** min(self.failures - 1, 16), longest)
        self.until = max(self.until or 0.0, now + seconds)
        self.cause = cause

    def succeeded(self, began: int) -> None:
        """A request that began before the last opening proves nothing."""
        if self.until is not None and began == self.openings:
            self.failures = 0
            self.until = self._probe_until = None

    def let_go(self, began: int) -> None:
        """The request ended without telling how the upstream does."""
        if began == self.openings:
            self._probe_until = None


class Latency:
    """Exponentially weighted moving average of a time."""

    __slots__ = ("_at", "_value")

    def __init__(self) -> None:
        self._value: float | None = None
        self._at = 0.0

    def add(self, now: float, seconds: float) -> None:
        old = self.value(now)
        self._value = seconds if old is None else old + _SMOOTHING * (seconds - old)
        self._at = now

    def value(self, now: float) -> float | None:
        """Seconds; None: not measured lately."""
        return self._value if now - self._at < STALE_SECONDS else None

    def forget(self) -> None:
        self._value = None


def key_subject(target: Target, key: str) -> Subject:
    return (target.provider.name, target.model, f"key {key}")


def target_subject(target: Target) -> Subject:
    return (target.provider.name, target.model, "")


class Condition:
    """Of a target, or of a key at it."""

    __slots__ = ("breaker", "first_token", "in_flight", "turn", "whole")

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.in_flight = 0
        self.first_token = Latency()
        """Of streams."""
        self.whole = Latency()
        """Of answers that come as one."""
        self.turn = 0
        """Where the next request begins among a target's keys."""

    def idle(self) -> bool:
        return self.breaker.until is None and not self.in_flight


@dataclass(frozen=True, slots=True)
class Standing:
    """How a target or a key does at a moment. Times are seconds."""

    state: State
    rests: float
    """Until it may be asked again; 0: it may."""
    cause: ErrorKind | None
    """Of its last failure; None: it is well."""
    failures: int
    """In a row."""
    in_flight: int
    first_token: float | None
    """Average of streams lately."""
    whole: float | None
    """Average of other answers lately."""


class Health:
    """All conditions, and the limiters beside them."""

    __slots__ = ("_conditions", "_limiters", "clock")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._conditions: dict[Subject, Condition] = {}
        self._limiters: dict[tuple[str, ...], Limiter] = {}

    def of(self, subject: Subject) -> Condition:
        found = self._conditions.get(subject)
        if found is None:
            if len(self._conditions) >= _MOST:  # settings that changed thousands of times
                self._conditions = {each: one for each, one in self._conditions.items() if not one.idle()}
            found = self._conditions[subject] = Condition()
        return found

    def standing(self, subject: Subject) -> Standing:
        now, condition = self.clock(), self.of(subject)
        breaker = condition.breaker
        state = breaker.state(now)
        return Standing(
            state,
            round(breaker.wait(now), 1),
            None if state == "closed" else breaker.cause,
            breaker.failures,
            condition.in_flight,
            condition.first_token.value(now),
            condition.whole.value(now),
        )

    def limiter(self, name: tuple[str, ...], limits: Limits) -> Limiter:
        found = self._limiters.get(name)
        if found is None:
            if len(self._limiters) >= _MOST:
                self._limiters = {each: one for each, one in self._limiters.items() if one.in_flight}
            found = self._limiters[name] = Limiter()
        found.limits = limits
        return found


class Hold:
    """A request's place at a target and at one of its keys, from the asking to the answer's end."""

    __slots__ = ("_conditions", "_ended", "_health", "_key_began", "_limiters", "_target_began", "asked_at")

    def __init__(
        self, health: Health, target: Condition, key: Condition, limiters: tuple[Limiter, ...]
    ) -> None:
        """Whether the limiters admit it has been asked before."""
        now = health.clock()
        self._health = health
        self._conditions = target, key
        self._limiters = limiters
        self._ended = False
        self.asked_at = now
        self._target_began = target.breaker.begin(now)
        self._key_began = key.breaker.begin(now)
        target.in_flight += 1
        key.in_flight += 1
        for limiter in limiters:
            limiter.admit(now)

    def began(self, stream: bool) -> None:
        """The first token is there, or an answer that comes as one."""
        target = self._conditions[0]
        now = self._health.clock()
        (target.first_token if stream else target.whole).add(now, now - self.asked_at)

    def succeeded(self) -> None:
        target, key = self._conditions
        target.breaker.succeeded(self._target_began)
        key.breaker.succeeded(self._key_began)

    def failed(self, cooldown: float, longest: float, cause: ErrorKind, *, of_key: bool) -> None:
        """`of_key`: the key failed, and nothing is known of the target."""
        target, key = self._conditions
        now = self._health.clock()
        if of_key:
            target.breaker.let_go(self._target_began)
            key.breaker.failed(self._key_began, now, cooldown, longest, cause)
        else:
            key.breaker.let_go(self._key_began)
            target.breaker.failed(self._target_began, now, cooldown, longest, cause)
            target.first_token.forget()
            target.whole.forget()

    def end(self, tokens: int = 0) -> None:
        """Whatever came of it. Only the first call counts."""
        if self._ended:
            return
        self._ended = True
        target, key = self._conditions
        target.in_flight -= 1
        key.in_flight -= 1
        target.breaker.let_go(self._target_began)
        key.breaker.let_go(self._key_began)
        if self._limiters:
            now = self._health.clock()
            for limiter in self._limiters:
                limiter.release()
                if tokens:
                    limiter.used(now, tokens)
