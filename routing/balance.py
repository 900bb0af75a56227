"""In which order a group's targets are asked. Pure: chance and the clock are passed in.

Lower priorities come first whatever the strategy; within one the strategy decides. Targets of weight 0
are spares: the last of their priority, in the order they are written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from routing.health import Condition
from routing.table import Price, Strategy, Target

EXPLORE = 0.05
"""Share of the requests of `latency` that go anywhere, so that a target that became faster is noticed."""
_INPUT_SHARE = 0.75
"""Of a chat's tokens are input: what agents send and get is nearer to this than to half and half."""


class Wheel:
    """Turns of a group's targets: smooth weighted round robin, as nginx does it.

    Each target gains its weight at each turn, the one that has gained most is chosen and loses what all
    gained together; so that even 5:1:1 is spread out.
    """

    __slots__ = ("_gained",)

    def __init__(self) -> None:
        self._gained: dict[int, float] = {}

    def turn(self, weights: Mapping[int, float]) -> list[int]:
        """The chosen one, then the others by what they have gained."""
        gained = self._gained
        for each, weight in weights.items():
            gained[each] = gained.get(each, 0.0) + weight
        order = sorted(weights, key=lambda each: -gained[each])
        gained[order[0]] -= sum(weights.values())
        return order


@dataclass(frozen=True, slots=True)
class Choice:
    """What an order is made from."""

    targets: Sequence[Target]
    conditions: Sequence[Condition]
    random: Callable[[], float]
    now: float
    stream: bool
    """Whether the answer comes as a stream: its time to the first token, or that of the whole."""
    wheel: Wheel = field(default_factory=Wheel)


def order(strategy: Strategy, choice: Choice) -> list[int]:
    """The indexes of all targets, first to be asked first."""
    targets = choice.targets
    if len(targets) == 1:
        return [0]
    by_priority: dict[int, list[int]] = {}
    for index, target in enumerate(targets):
        by_priority.setdefault(target.priority, []).append(index)
    ordered: list[int] = []
    for priority in sorted(by_priority):
        members = [index for index in by_priority[priority] if targets[index].weight > 0]
        spares = [index for index in by_priority[priority] if targets[index].weight <= 0]
        ordered += _STRATEGIES[strategy](choice, members) if len(members) > 1 else members
        ordered += spares
    return ordered


def _weighted(choice: Choice, members: list[int]) -> list[int]:
    """Drawn by weight, without return.

    Each gets the key -ln(u)/weight and the smallest goes first, which draws the first by its share and
    the rest by theirs (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    keys = {each: -math.log(1.0 - choice.random()) / choice.targets[each].weight for each in members}
    return sorted(members, key=keys.__getitem__)


def _as_written(choice: Choice, members: list[int]) -> list[int]:
    return members


def _in_turn(choice: Choice, members: list[int]) -> list[int]:
    return choice.wheel.turn({each: choice.targets[each].weight for each in members})


def _least_busy(choice: Choice, members: list[int]) -> list[int]:
    def load(each: int) -> float:
        return choice.conditions[each].in_flight / choice.targets[each].weight

    return sorted(_weighted(choice, members), key=load)


def _fastest(choice: Choice, members: list[int]) -> list[int]:
    """Who is not measured goes first, but only once at a time."""
    if choice.random() < EXPLORE:
        return _weighted(choice, members)

    def time(each: int) -> tuple[int, float]:
        condition = choice.conditions[each]
        seconds = (condition.first_token if choice.stream else condition.whole).value(choice.now)
        if seconds is not None:
            return 1, seconds
        return (2, condition.in_flight) if condition.in_flight else (0, 0.0)

    return sorted(_weighted(choice, members), key=time)


def _cheapest(choice: Choice, members: list[int]) -> list[int]:
    return sorted(_weighted(choice, members), key=lambda each: blended(choice.targets[each].price))


def blended(price: Price | None) -> float:
    """One figure for a price, per million tokens; infinite where it is unknown."""
    if price is None:
        return math.inf
    return _INPUT_SHARE * price.input + (1.0 - _INPUT_SHARE) * price.output


_STRATEGIES: dict[Strategy, Callable[[Choice, list[int]], list[int]]] = {
    "weighted": _weighted,
    "priority": _as_written,
    "round_robin": _in_turn,
    "least_busy": _least_busy,
    "latency": _fastest,
    "cheapest": _cheapest,
}
