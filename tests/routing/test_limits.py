"""Limits of requests, tokens and places, against a plain model of what they promise."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.limits import CONCURRENCY_RETRY, WINDOW_SECONDS, Exceeded, Limiter, Window
from routing.table import Limits

MINUTE = WINDOW_SECONDS


def refusals(limiter: Limiter, times: list[float]) -> list[str | None]:
    """What each request at these times is told; those that may are ended at once."""
    told: list[str | None] = []
    for time in times:
        exceeded = limiter.admit(time)
        told.append(exceeded and exceeded.what)
        if exceeded is None:
            limiter.release()
    return told


@pytest.mark.parametrize(
    ("limits", "times", "expected"),
    [
        (Limits(), [0.0] * 1000, [None] * 1000),
        (Limits(requests=2), [5, 5, 5], [None, None, "requests"]),
        (Limits(requests=2), [0, 59, 59.9], [None, None, "requests"]),
        (Limits(requests=2), [0, 59, 61], [None, None, None]),
        (Limits(requests=2), [0, 30, 61, 62, 91], [None, None, None, "requests", None]),
        (Limits(requests=1), [0, 1e6, 1e6 + 1], [None, None, "requests"]),
        (Limits(requests=1), [100, 50, 161], [None, "requests", None]),  # the clock goes back
        (Limits(requests=0), [0, 61], ["requests", "requests"]),
        (Limits(concurrency=1), [0, 0, 0], [None, None, None]),  # one after another
        (Limits(concurrency=0), [0], ["concurrency"]),
    ],
)
def test_requests(limits: Limits, times: list[float], expected: list[str | None]) -> None:
    assert refusals(Limiter(limits), times) == expected


def test_what_is_refused_does_not_count() -> None:
    limiter = Limiter(Limits(requests=1))
    assert refusals(limiter, [0, *range(1, 60), 61]) == [None, *["requests"] * 59, None]


def test_places_are_taken_until_the_end() -> None:
    limiter = Limiter(Limits(concurrency=2))
    assert limiter.admit(0) is None
    assert limiter.admit(0) is None
    assert limiter.admit(1000) == Exceeded("concurrency", 2, CONCURRENCY_RETRY)
    limiter.release()
    assert limiter.admit(1000) is None
    assert limiter.in_flight == 2


def test_tokens_are_paid_afterwards() -> None:
    limiter = Limiter(Limits(tokens=100))
    limiter.used(10, 99)
    assert limiter.exceeded(10) is None
    limiter.used(20, 500)
    assert limiter.exceeded(20) == Exceeded("tokens", 100, 61)
    assert limiter.exceeded(80.75) == Exceeded("tokens", 100, 0.25)
    assert limiter.exceeded(81) is None


def test_the_longest_wait_is_told() -> None:
    limiter = Limiter(Limits(requests=1, tokens=1, concurrency=1))
    assert limiter.admit(0) is None
    limiter.used(30, 5)
    assert limiter.exceeded(30) == Exceeded("tokens", 1, 61)


def test_new_limits_keep_what_was_counted() -> None:
    limiter = Limiter(Limits(requests=10))
    assert refusals(limiter, [0] * 5) == [None] * 5
    limiter.limits = Limits(requests=5)
    assert refusals(limiter, [1]) == ["requests"]
    limiter.limits = Limits()
    assert refusals(limiter, [1]) == [None]


steps = st.lists(st.floats(0, 90, allow_nan=False), max_size=60)


@given(steps, st.integers(1, 8))
def test_no_minute_has_more_than_the_limit(steps: list[float], limit: int) -> None:
    limiter, now, admitted = Limiter(Limits(requests=limit)), 0.0, []
    for step in steps:
        now += step
        if limiter.admit(now) is None:
            admitted.append(now)
    for start in admitted:
        assert sum(start <= time <= start + MINUTE for time in admitted) <= limit


@given(steps, st.integers(1, 8))
def test_retry_after_is_when_it_works_and_not_later(steps: list[float], limit: int) -> None:
    limiter, now = Limiter(Limits(requests=limit)), 0.0
    for step in steps:
        now += step
        exceeded = limiter.admit(now)
        if exceeded is not None:
            assert 0 < exceeded.retry_after <= MINUTE + 1
            assert limiter.exceeded(now + exceeded.retry_after - 1e-6) is not None
            now += exceeded.retry_after + 1e-6
            assert limiter.exceeded(now) is None


@given(st.lists(st.tuples(st.floats(0, 200, allow_nan=False), st.integers(0, 1000)), max_size=80))
def test_a_window_holds_the_last_minute(steps: list[tuple[float, int]]) -> None:
    window, now, added = Window(), 0.0, []
    for step, amount in steps:
        now += step
        window.add(now, amount)
        added.append((now, amount))
        assert window.total == sum(n for time, n in added if int(now) - int(time) <= MINUTE)


def test_memory_is_bounded() -> None:
    limiter = Limiter(Limits(requests=10**9))
    size = sys.getsizeof(limiter._requests._slots)
    for number in range(100_000):
        limiter.admit(number / 7)
    assert sys.getsizeof(limiter._requests._slots) == size
