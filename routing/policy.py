"""What follows from an upstream's outcome, while nothing has gone out to the client. Pure tables.

After the first byte there is no second try: a client cannot be sent two beginnings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from adapters.canonical import ErrorKind

Fault = Literal[
    "connect", "connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout", "reset", "garbage"
]


class Step(Enum):
    """What to do next."""

    TELL = "tell the client"
    NEXT_KEY = "ask with the provider's next key, then the next target"
    NEXT_TARGET = "ask the next target"


@dataclass(frozen=True, slots=True)
class Rule:
    """`cooldown`: seconds for which key and target are asked last, where the upstream names no time."""

    step: Step
    cooldown: float = 0.0


_TELL = Rule(Step.TELL)

STATUS_RULES: dict[int, Rule] = {
    401: Rule(Step.NEXT_KEY, 60.0),  # this key, not the request
    402: Rule(Step.NEXT_KEY, 60.0),
    403: Rule(Step.NEXT_KEY, 60.0),
    408: Rule(Step.NEXT_TARGET, 5.0),
    409: Rule(Step.NEXT_TARGET),
    429: Rule(Step.NEXT_KEY, 10.0),
    529: Rule(Step.NEXT_TARGET, 5.0),
}
SERVER_ERROR = Rule(Step.NEXT_TARGET, 5.0)

FAULT_RULES: dict[Fault, Rule] = {
    "connect": Rule(Step.NEXT_TARGET, 5.0),
    "connect_timeout": Rule(Step.NEXT_TARGET, 15.0),
    "first_byte_timeout": Rule(Step.NEXT_TARGET, 15.0),
    "idle_timeout": Rule(Step.NEXT_TARGET, 15.0),
    "total_timeout": _TELL,  # the client's time is used up
    "reset": Rule(Step.NEXT_TARGET, 1.0),
    "garbage": Rule(Step.NEXT_TARGET, 5.0),
}

FAULT_ERRORS: dict[Fault, tuple[ErrorKind, int]] = {
    "connect": ("upstream", 502),
    "connect_timeout": ("timeout", 504),
    "first_byte_timeout": ("timeout", 504),
    "idle_timeout": ("timeout", 504),
    "total_timeout": ("timeout", 504),
    "reset": ("upstream", 502),
    "garbage": ("upstream", 502),
}
"""The kind and the status that a client is told."""

LONGEST_COOLDOWN = 600.0


def after_status(status: int) -> Rule:
    """For an answer's status. 4xx of the client's own making go back to it and are never repeated."""
    if rule := STATUS_RULES.get(status):
        return rule
    return SERVER_ERROR if status >= 500 or status < 400 else _TELL


def after_fault(fault: Fault) -> Rule:
    return FAULT_RULES[fault]


def cooldown(rule: Rule, retry_after: float | None) -> float:
    """Seconds until key and target count as well again."""
    if rule.step is Step.TELL:
        return 0.0
    return min(retry_after if retry_after is not None else rule.cooldown, LONGEST_COOLDOWN)
