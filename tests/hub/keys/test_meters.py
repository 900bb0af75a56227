"""Budgets by period, tokens and places of a key; what the usage store knows from before."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from adapters.canonical import Usage
from hub.keys.meters import Allowance, Clocks, Meter, Meters, Overspent, period_of
from hub.keys.words import refusal_of
from hub.settings.keys import Budget, read_budget
from routing.limits import NO_LIMITS, Exceeded
from routing.table import Limits
from routing.usage import Record


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@dataclass
class Time:
    """Both clocks, moved by hand."""

    unix: float = field(default_factory=lambda: moment("2026-11-22T10:00:00"))
    monotonic: float = 0.0

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.monotonic, lambda: self.unix)

    def pass_(self, seconds: float) -> None:
        self.unix += seconds
        self.monotonic += seconds


def record(cost: float | None = 0.0, caller: str = "anna", tokens: int | None = 10) -> Record:
    usage = Usage(input_tokens=tokens - 1, output_tokens=1) if tokens is not None else None
    return Record("id", "openai", "chat", 200, provider="p", model="m", caller=caller, cost=cost, usage=usage)


def metered(time: Time, budget: str | None = None, limits: Limits = NO_LIMITS, since: float = 0.0) -> Meters:
    meters = Meters(time.clocks, aside=lambda work: work())
    meters.follow([("anna", allowance(budget, limits, since))])
    return meters


def allowance(budget: str | None = None, limits: Limits = NO_LIMITS, since: float = 0.0) -> Allowance:
    return Allowance(limits, read_budget(budget) if budget is not None else None, since)


def meter_of(meters: Meters, name: str = "anna") -> Meter:
    meter = meters.of(name)
    assert meter is not None
    return meter


def enter(meters: Meters) -> Exceeded | Overspent | None:
    """A request that begins and ends."""
    meter = meter_of(meters)
    refused = meter.enter()
    if refused is None:
        meter.leave()
    return refused


@pytest.mark.parametrize(
    ("budget", "now", "start", "end"),
    [
        ("1/day", "2026-11-22T10:00:00", "2026-11-22T00:00:00", "2026-11-23T00:00:00"),
        ("1/day", "2026-11-22T00:00:00", "2026-11-22T00:00:00", "2026-11-23T00:00:00"),
        ("1/day", "2026-12-31T23:59:59", "2026-12-31T00:00:00", "2027-01-01T00:00:00"),
        ("1/month", "2026-02-10T00:00:00", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
        ("1/month", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("1/month", "2026-01-31T12:00:00", "2026-01-01T00:00:00", "2026-02-01T00:00:00"),
    ],
)
def test_periods(budget: str, now: str, start: str, end: str) -> None:
    assert period_of(read_budget(budget), moment(now)) == (moment(start), moment(end))


def test_a_budget_without_a_period_never_begins_anew() -> None:
    assert period_of(Budget(1.0, None), moment("2026-11-22T10:00:00")) == (0.0, None)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10", Budget(10, None)),
        ("$2.50/month", Budget(2.5, "month")),
        ("0.001 / day", Budget(0.001, "day")),
        ("0", Budget(0, None)),
        ("0.000001", Budget(0.000001, None)),
        ("1000000/day", Budget(1_000_000, "day")),
        ("100", Budget(100, None)),
    ],
)
def test_budgets_are_read_and_written(text: str, budget: Budget) -> None:
    assert read_budget(text) == budget
    assert read_budget(str(budget)) == budget


@pytest.mark.parametrize("text", ["", "ten", "-1", "1/week", "1e3", "1,5", "inf", "1/day/day"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="must be an amount"):
        read_budget(text)


def test_who_has_spent_the_budget_waits_for_the_next_day() -> None:
    time = Time()
    meters = metered(time, "1/day")
    meters.take(record(0.6))
    assert enter(meters) is None
    meters.take(record(0.6))
    assert enter(meters) == Overspent(Budget(1, "day"), 14 * 3600)
    time.pass_(14 * 3600 - 1)
    assert enter(meters) == Overspent(Budget(1, "day"), 1)
    time.pass_(1)
    assert enter(meters) is None
    assert meter_of(meters).spent == 0


def test_an_answer_that_ends_in_the_next_period_counts_there() -> None:
    time = Time()
    meters = metered(time, "1/day")
    assert meter_of(meters).enter() is None
    time.pass_(15 * 3600)
    meters.take(record(2.0))
    meter_of(meters).leave()
    assert enter(meters) == Overspent(Budget(1, "day"), 23 * 3600)


def test_a_whole_budget_stays_spent() -> None:
    time = Time()
    meters = metered(time, "1")
    meters.take(record(1.0))
    time.pass_(1e9)
    assert enter(meters) == Overspent(Budget(1, None), None)


def test_tokens_come_from_the_record() -> None:
    time = Time()
    meters = metered(time, limits=Limits(tokens=25))
    for _ in range(2):
        meters.take(record())
        assert enter(meters) is None
    meters.take(record())
    refused = enter(meters)
    assert isinstance(refused, Exceeded)
    assert (refused.what, refused.limit) == ("tokens", 25)
    time.pass_(refused.retry_after)
    assert enter(meters) is None


@pytest.mark.parametrize(
    "other", [record(5.0, caller="bob"), record(5.0, caller=""), record(None, tokens=None)]
)
def test_what_others_do_does_not_count(other: Record) -> None:
    meters = metered(Time(), "1/day", Limits(tokens=1))
    meters.take(other)
    assert enter(meters) is None


def test_a_stream_holds_its_place_until_its_end() -> None:
    meters = metered(Time(), limits=Limits(concurrency=1))
    meter = meter_of(meters)
    assert meter.enter() is None
    refused = meter.enter()
    assert isinstance(refused, Exceeded)
    assert refused.what == "concurrency"
    meter.leave()
    assert meter.enter() is None


def test_new_limits_keep_the_counters_and_revoked_keys_lose_them() -> None:
    meters = metered(Time(), "1/day", Limits(concurrency=1))
    meter = meter_of(meters)
    assert meter.enter() is None
    meters.take(record(0.5))
    meters.follow([("anna", allowance("1/day", Limits(concurrency=2))), ("bob", allowance())])
    assert meters.of("anna") is meter
    assert (meter.spent, meter.in_flight) == (0.5, 1)
    assert meter.enter() is None
    assert meters.of("bob") is None  # nothing limits it
    meters.follow([])
    assert meters.of("anna") is None
    meter.leave()
    meter.leave()
    assert meter.in_flight == 0


def test_the_store_is_asked_for_what_was_spent_before() -> None:
    asked: list[tuple[str, float]] = []

    def spent(name: str, since: float) -> float:
        asked.append((name, since))
        return 0.75

    time = Time()
    meters = metered(time, "1/day")
    meters.use_store(spent)
    assert asked == [("anna", moment("2026-11-22T00:00:00"))]
    assert enter(meters) is None
    meters.take(record(0.25))
    assert isinstance(enter(meters), Overspent)

    made = moment("2026-11-22T09:00:00")
    meters.follow([("bob", allowance("1/month", since=made)), ("carl", allowance(limits=Limits(1)))])
    assert asked[1:] == [("bob", made)]  # not what another key of that name has spent
    meters.follow([("bob", allowance("5", since=made))])
    assert asked[2:] == [("bob", made)]
    assert meter_of(meters, "bob").spent == 0.75


def test_a_store_that_fails_does_not_stop_the_hub(caplog: pytest.LogCaptureFixture) -> None:
    def spent(name: str, since: float) -> float:
        raise OSError("the database is locked")

    meters = metered(Time(), "1/day")
    meters.use_store(spent)
    assert enter(meters) is None
    assert "anna" in caplog.text
    assert "locked" in caplog.text


def test_a_model_without_a_price_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    meters = metered(Time(), "1/day")
    for _ in range(3):
        meters.take(record(None))
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
    assert "p/m has no price" in caplog.text
    meters = metered(Time(), limits=Limits(tokens=1))
    meters.take(record(None))
    assert len(caplog.records) == 1  # who has no budget needs no price


@pytest.mark.parametrize(
    ("exceeded", "status", "words"),
    [
        (Exceeded("requests", 10, 12.3), 429, ["10 requests of a minute", "again in 13 s"]),
        (Exceeded("tokens", 5000, 0.1), 429, ["5000 tokens of a minute", "again in 1 s"]),
        (Exceeded("concurrency", 2, 1.0), 429, ["2 requests under way"]),
        (Overspent(Budget(10, "day"), 14 * 3600 + 61), 402, ["$10/day", "14 h 2 min"]),
        (Overspent(Budget(2.5, "month"), 600), 402, ["$2.5/month", "10 min"]),
        (Overspent(Budget(2.5, None), None), 402, ["budget of $2.5"]),
    ],
)
def test_what_a_client_is_told(exceeded: Exceeded | Overspent, status: int, words: list[str]) -> None:
    told, _, message, retry_after = refusal_of("anna", exceeded)
    assert (told, retry_after) == (status, exceeded.retry_after)
    for word in ("`anna`", *words):
        assert word in message
