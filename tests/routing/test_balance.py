"""In which order each strategy asks."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from routing.balance import EXPLORE, Choice, Wheel, blended, order
from routing.health import STALE_SECONDS, Condition
from routing.table import Price, Provider, Strategy, Target

UP = Provider("up", "openai", "http://127.0.0.1:1/v1")
STRATEGIES: tuple[Strategy, ...] = (
    "weighted",
    "priority",
    "round_robin",
    "least_busy",
    "latency",
    "cheapest",
)


def choice(*targets: Target, seed: int = 1, now: float = 0.0, stream: bool = True) -> Choice:
    return Choice(targets, [Condition() for _ in targets], random.Random(seed).random, now, stream)


def firsts(strategy: Strategy, asked: Choice, times: int) -> Counter[int]:
    return Counter(order(strategy, asked)[0] for _ in range(times))


def test_drawn_by_weight() -> None:
    targets = [Target(UP, name, weight) for name, weight in (("a", 1.0), ("b", 3.0), ("spare", 0.0))]
    orders = [order("weighted", choice(*targets, seed=seed)) for seed in range(4000)]
    assert {each[2] for each in orders} == {2}
    assert 0.72 < sum(each[0] == 1 for each in orders) / 4000 < 0.78


def test_as_written() -> None:
    asked = choice(*(Target(UP, name) for name in "abc"))
    assert firsts("priority", asked, 50) == {0: 50}
    assert order("priority", asked) == [0, 1, 2]


@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 1, 1), (2, 3, 0), (1, 0.5)])
def test_in_turn_as_often_as_the_weights_say(weights: tuple[float, ...]) -> None:
    asked = choice(*(Target(UP, str(index), weight) for index, weight in enumerate(weights)))
    rounds = 40
    counts = firsts("round_robin", asked, round(sum(weights) * rounds))
    assert [counts[index] for index in range(len(weights))] == [weight * rounds for weight in weights]


def test_turns_are_spread_out() -> None:
    wheel = Wheel()
    assert [wheel.turn({0: 5.0, 1: 1.0, 2: 1.0})[0] for _ in range(7)] == [0, 0, 1, 0, 2, 0, 0]


def test_the_least_busy_relative_to_weight() -> None:
    asked = choice(Target(UP, "a"), Target(UP, "b", 4.0), Target(UP, "c"))
    for condition, in_flight in zip(asked.conditions, (2, 4, 3), strict=True):
        condition.in_flight = in_flight
    assert order("least_busy", asked) == [1, 0, 2]


def test_idle_ones_are_drawn_by_weight() -> None:
    asked = choice(Target(UP, "a"), Target(UP, "b", 3.0))
    assert 0.7 < firsts("least_busy", asked, 2000)[1] / 2000 < 0.8


def test_the_fastest_but_for_some_that_explore() -> None:
    asked = choice(Target(UP, "slow"), Target(UP, "fast"), Target(UP, "middle"))
    for condition, seconds in zip(asked.conditions, (3.0, 0.3, 1.0), strict=True):
        condition.first_token.add(0.0, seconds)
    counts = firsts("latency", asked, 4000)
    assert counts[1] / 4000 == pytest.approx(1 - EXPLORE * 2 / 3, abs=0.02)
    assert counts[0] > 0
    assert counts[2] > 0


def test_streams_and_whole_answers_are_measured_apart() -> None:
    asked = choice(Target(UP, "a"), Target(UP, "b"), stream=False)
    for condition, first, whole in zip(asked.conditions, (1.0, 2.0), (9.0, 4.0), strict=True):
        condition.first_token.add(0.0, first)
        condition.whole.add(0.0, whole)
    assert firsts("latency", asked, 200).most_common(1)[0][0] == 1


def test_one_that_is_not_measured_is_tried_once_at_a_time() -> None:
    never = Choice(
        [Target(UP, "known"), Target(UP, "new")], [Condition(), Condition()], lambda: 0.5, 0.0, True
    )
    never.conditions[0].first_token.add(0.0, 0.1)
    assert order("latency", never)[0] == 1
    never.conditions[1].in_flight = 1
    assert order("latency", never)[0] == 0


def test_a_measurement_of_long_ago_is_made_again() -> None:
    late = Choice(
        [Target(UP, "a"), Target(UP, "b")], [Condition(), Condition()], lambda: 0.5, STALE_SECONDS, True
    )
    late.conditions[0].first_token.add(STALE_SECONDS, 0.1)
    late.conditions[1].first_token.add(0.0, 5.0)
    assert order("latency", late)[0] == 1


def test_the_cheapest_and_the_unknown_last() -> None:
    asked = choice(
        Target(UP, "unknown"),
        Target(UP, "dear", price=Price(3.0, 15.0)),
        Target(UP, "cheap", price=Price(0.15, 0.6)),
        Target(UP, "free", price=Price(0.0, 0.0)),
    )
    assert order("cheapest", asked) == [3, 2, 1, 0]
    assert blended(Price(1.0, 5.0)) == 2.0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_priority_and_spares_stand_above_every_strategy(strategy: Strategy) -> None:
    asked = choice(
        Target(UP, "second", priority=1),
        Target(UP, "spare of the first", 0.0),
        Target(UP, "first"),
        Target(UP, "spare of the second", 0.0, priority=1),
        Target(UP, "before all", priority=-1),
    )
    assert order(strategy, asked) == [4, 2, 1, 0, 3]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0), (1.0, 2.0, 0.0, 4.0)])
def test_every_target_is_in_the_order_once(strategy: Strategy, weights: tuple[float, ...]) -> None:
    asked = choice(*(Target(UP, str(index), weight) for index, weight in enumerate(weights)))
    for _ in range(20):
        assert sorted(order(strategy, asked)) == list(range(len(weights)))
