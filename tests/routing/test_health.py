"""Circuit breakers: as a table of what happens, and against any sequence of events."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from routing.health import PROBE_SECONDS, STALE_SECONDS, Breaker, Health, Hold, Latency
from routing.limits import Limiter
from routing.table import Limits

Event = tuple[Literal["begin", "fail", "told", "ok", "go", "wait"], float]

CASES: dict[str, tuple[list[Event], str, float]] = {
    # events; then the state, and the seconds to wait
    "new": ([], "closed", 0.0),
    "a success changes nothing": ([("begin", 0), ("ok", 0)], "closed", 0.0),
    "the first failure opens": ([("begin", 0), ("fail", 2)], "open", 2.0),
    "a failure without cooldown does not": ([("begin", 0), ("fail", 0)], "closed", 0.0),
    "it runs off": ([("begin", 0), ("fail", 2), ("wait", 1.5)], "open", 0.5),
    "then one may try": ([("begin", 0), ("fail", 2), ("wait", 2)], "half_open", 0.0),
    "one at a time": (
        [("begin", 0), ("fail", 2), ("wait", 2), ("begin", 1)],
        "half_open",
        PROBE_SECONDS,
    ),
    "another one where the first takes long": (
        [("begin", 0), ("fail", 2), ("wait", 2), ("begin", 1), ("wait", PROBE_SECONDS)],
        "half_open",
        0.0,
    ),
    "a probe's success closes": (
        [("begin", 0), ("fail", 2), ("wait", 2), ("begin", 1), ("ok", 1)],
        "closed",
        0.0,
    ),
    "a probe's failure opens for twice as long": (
        [("begin", 0), ("fail", 2), ("wait", 2), ("begin", 1), ("fail", 2)],
        "open",
        4.0,
    ),
    "up to the longest": (
        [("begin", 0), *[("fail", 2.0), ("wait", 30.0), ("begin", 0.0)] * 9, ("fail", 2)],
        "open",
        30.0,
    ),
    "a success forgets the failures": (
        [
            *[("begin", 0.0), ("fail", 2.0), ("wait", 30.0)] * 5,
            ("begin", 0),
            ("ok", 0),
            ("begin", 0),
            ("fail", 2),
        ],
        "open",
        2.0,
    ),
    "a probe that tells nothing lets the next one try": (
        [("begin", 0), ("fail", 2), ("wait", 2), ("begin", 1), ("go", 1)],
        "half_open",
        0.0,
    ),
}


@pytest.mark.parametrize(("events", "state", "wait"), CASES.values(), ids=CASES)
def test_what_happens(events: list[Event], state: str, wait: float) -> None:
    breaker, now, began = Breaker(), 100.0, 0
    for kind, amount in events:
        match kind:
            case "wait":
                now += amount
            case "begin":
                began = breaker.begin(now)
            case "fail":
                breaker.failed(began, now, amount, 30.0, "upstream")
            case "ok":
                breaker.succeeded(began)
            case "go":
                breaker.let_go(began)
    assert (breaker.state(now), breaker.wait(now)) == (state, pytest.approx(wait))


def test_failures_of_requests_under_way_together_count_once() -> None:
    breaker = Breaker()
    began = [breaker.begin(0.0) for _ in range(32)]
    for each in began:
        breaker.failed(each, 0.0, 1.0, 30.0, "upstream")
    assert (breaker.failures, breaker.wait(0.0)) == (1, 1.0)


def test_a_success_of_before_the_failure_does_not_end_the_cooldown() -> None:
    breaker = Breaker()
    early, late = breaker.begin(0.0), breaker.begin(0.0)
    breaker.failed(late, 1.0, 30.0, 30.0, "rate_limit")
    breaker.succeeded(early)
    assert breaker.wait(1.0) == 30.0


def test_the_longest_time_told_counts() -> None:
    breaker = Breaker()
    first, second = breaker.begin(0.0), breaker.begin(0.0)
    breaker.failed(first, 0.0, 40.0, 40.0, "rate_limit")
    breaker.failed(second, 0.0, 5.0, 5.0, "rate_limit")
    assert breaker.wait(0.0) == 40.0


ROUNDING = 1e-6


class BreakerMachine(RuleBasedStateMachine):
    """Against what is promised: closed unless it failed since its last success, and one probe at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 0.0
        self.under_way: list[tuple[int, float]] = []
        self.rests_until = 0.0

    @rule(seconds=st.floats(0.0, 40.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.breaker.wait(self.now) == 0)
    @rule()
    def one_begins(self) -> None:
        half_open = self.breaker.state(self.now) == "half_open"
        self.under_way.append((self.breaker.begin(self.now), self.now))
        if half_open:
            assert self.breaker.wait(self.now) > 0, "only one probe at a time"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), cooldown=st.sampled_from([0.0, 1.0, 5.0, 60.0]))
    def one_fails(self, data: st.DataObject, cooldown: float) -> None:
        began, _ = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = self.breaker.until
        self.breaker.failed(began, self.now, cooldown, 60.0, "upstream")
        if cooldown:
            assert self.breaker.until is not None
            assert self.now + cooldown <= self.breaker.until <= max(before or 0.0, self.now + 60.0)
            self.rests_until = self.breaker.until
            assert self.breaker.state(self.now) == "open"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_succeeds(self, data: st.DataObject) -> None:
        began, at = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        was = self.breaker.state(self.now)
        self.breaker.succeeded(began)
        now = self.breaker.state(self.now)
        if was != now:
            assert (was, now) == ("half_open", "closed")
            assert at >= self.rests_until or not self.rests_until

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_goes(self, data: st.DataObject) -> None:
        began, _ = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.breaker.let_go(began)

    @invariant()
    def it_can_always_recover(self) -> None:
        assert 0 <= self.breaker.wait(self.now) <= 60.0 + ROUNDING
        assert self.breaker.wait(self.now + 60.0 + PROBE_SECONDS + ROUNDING) == 0.0


TestBreakerMachine: Any = BreakerMachine.TestCase


def test_an_average_leans_to_the_newest_and_becomes_stale() -> None:
    latency = Latency()
    assert latency.value(0.0) is None
    latency.add(0.0, 1.0)
    assert latency.value(0.0) == 1.0
    for _ in range(20):
        latency.add(1.0, 3.0)
    assert latency.value(1.0) == pytest.approx(3.0, rel=0.01)
    assert latency.value(1.0 + STALE_SECONDS) is None
    latency.forget()
    assert latency.value(1.0) is None


def test_a_hold_counts_while_it_lasts_and_ends_once() -> None:
    now = 0.0
    health = Health(lambda: now)
    target, key = health.of(("p", "m", "")), health.of(("p", "m", "key"))
    limiter = Limiter(Limits(concurrency=1, tokens=100))
    hold = Hold(health, target, key, (limiter,))
    assert (target.in_flight, key.in_flight, limiter.in_flight) == (1, 1, 1)
    now = 0.25
    hold.began(True)
    assert target.first_token.value(now) == 0.25
    hold.end(100)
    hold.end(100)
    assert (target.in_flight, key.in_flight, limiter.in_flight) == (0, 0, 0)
    exceeded = limiter.exceeded(now)
    assert exceeded is not None
    assert exceeded.what == "tokens"


@pytest.mark.parametrize("of_key", [True, False])
def test_a_failure_is_the_keys_or_the_targets(of_key: bool) -> None:
    health = Health(lambda: 0.0)
    target, key = health.of(("p", "m", "")), health.of(("p", "m", "key"))
    Hold(health, target, key, ()).failed(5.0, 5.0, "upstream", of_key=of_key)
    assert (target.breaker.wait(0.0), key.breaker.wait(0.0)) == ((0.0, 5.0) if of_key else (5.0, 0.0))


def test_conditions_are_kept_and_bounded() -> None:
    health = Health(lambda: 0.0)
    busy = health.of(("p", "busy", ""))
    busy.in_flight = 1
    for index in range(10_000):
        health.of(("p", str(index), ""))
    assert health.of(("p", "busy", "")) is busy
    assert len(health._conditions) <= 4097
