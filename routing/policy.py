"""What follows from an upstream's outcome, while nothing has gone out to the client. Pure tables.

After the first byte there is no second try: a client cannot be sent two beginnings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Literal

from adapters.canonical import ChatError, ErrorKind

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
    """`cooldown`: seconds for which the key (NEXT_KEY) or the target (NEXT_TARGET) is not asked after a
    first failure, where the upstream names no time. It doubles with each further one up to `longest`."""

    step: Step
    cooldown: float = 0.0
    longest: float = 30.0


TELL = Rule(Step.TELL)

LONGEST_COOLDOWN = 600.0
"""Also of what an upstream asks for: whoever says "in a week" is asked again in ten minutes."""

REFUSED_KEY = Rule(Step.NEXT_KEY, 60.0, LONGEST_COOLDOWN)
EMPTY_ACCOUNT = Rule(Step.NEXT_KEY, 60.0, LONGEST_COOLDOWN)
BUSY_KEY = Rule(Step.NEXT_KEY, 5.0, 60.0)
OVERLOADED = Rule(Step.NEXT_TARGET, 2.0, 60.0)
SERVER_ERROR = Rule(Step.NEXT_TARGET, 1.0)

STATUS_RULES: dict[int, Rule] = {
    401: REFUSED_KEY,  # this key, not the request
    402: EMPTY_ACCOUNT,
    403: REFUSED_KEY,
    408: SERVER_ERROR,
    409: Rule(Step.NEXT_TARGET),
    429: BUSY_KEY,
    503: OVERLOADED,
    529: OVERLOADED,
}

KIND_RULES: dict[ErrorKind, Rule] = {
    "billing": EMPTY_ACCOUNT,
    "authentication": REFUSED_KEY,
    "rate_limit": BUSY_KEY,
    "overloaded": OVERLOADED,
}
"""What an error's own code says wins over its status: Gemini tells a wrong key with 400."""

CODE_RULES: dict[str, Rule] = {
    "insufficient_quota": EMPTY_ACCOUNT,
    "insufficient_balance": EMPTY_ACCOUNT,
    "billing_hard_limit_reached": EMPTY_ACCOUNT,
    "billing_not_active": EMPTY_ACCOUNT,
    "credit_balance_too_low": EMPTY_ACCOUNT,
    "quota_exceeded": EMPTY_ACCOUNT,
    "account_deactivated": REFUSED_KEY,
    "RESOURCE_EXHAUSTED": BUSY_KEY,
    "rate_limit_exceeded": BUSY_KEY,
    "rate_limit_error": BUSY_KEY,
    "overloaded_error": OVERLOADED,
    "engine_overloaded_error": OVERLOADED,
    "server_overloaded": OVERLOADED,
    "slow_down": OVERLOADED,
}
"""Codes of errors that come with statuses of other classes."""

_NO_MONEY = re.compile(
    r"credit balance|insufficient (?:balance|credits?|funds|quota)|exceeded your current quota"
    r"|spend(?:ing)? limit|billing (?:hard )?limit|out of credits|purchase (?:more )?credits",
    re.IGNORECASE,
)
"""Anthropic tells an empty account with 400 `invalid_request_error`; only the words say what it is."""
_MODERATED = re.compile(r"moderation|content policy|flagged", re.IGNORECASE)
"""OpenRouter's 403 for an input that a moderation refused: the client's own making, not the key's."""
_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|window|size)|prompt is too long|input (?:is|was)? ?too (?:long|large)"
    r"|maximum (?:number of )?(?:input )?tokens|too many (?:input )?tokens"
    r"|input token count.*exceeds|exceeds? the (?:model's )?(?:maximum|max)\b.*tokens",
    re.IGNORECASE,
)
"""OpenAI, Anthropic, Gemini, vLLM and llama.cpp, in this order; OpenAI also has a code."""
_TOO_LONG_CODES = frozenset(("context_length_exceeded", "context_window_exceeded", "string_above_max_length"))

FAULT_RULES: dict[Fault, Rule] = {
    "connect": Rule(Step.NEXT_TARGET, 1.0),
    "connect_timeout": Rule(Step.NEXT_TARGET, 5.0, 60.0),
    "first_byte_timeout": Rule(Step.NEXT_TARGET, 5.0, 60.0),
    "idle_timeout": Rule(Step.NEXT_TARGET, 5.0, 60.0),
    "total_timeout": TELL,  # the client's time is used up
    "reset": Rule(Step.NEXT_TARGET, 1.0),
    "garbage": SERVER_ERROR,
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


def after_status(status: int) -> Rule:
    """For an answer's status. 4xx of the client's own making go back to it and are never repeated."""
    if rule := STATUS_RULES.get(status):
        return rule
    return SERVER_ERROR if status >= 500 or status < 400 else TELL


def after_error(error: ChatError) -> Rule:
    """For an error that an upstream told: by its code, its kind, its words, at last by its status."""
    if rule := CODE_RULES.get(error.code or ""):
        return rule
    if rule := KIND_RULES.get(error.kind):
        return rule
    if error.status in (400, 402, 403, 429) and _NO_MONEY.search(error.message):
        return EMPTY_ACCOUNT
    if error.status == 403 and _MODERATED.search(error.message):
        return TELL
    return after_status(error.status)


def is_too_long(error: ChatError) -> bool:
    """Whether the conversation does not fit into the model's context window."""
    if error.code in _TOO_LONG_CODES:
        return True
    return error.status in (400, 413, 422) and bool(_TOO_LONG.search(error.message))


def after_fault(fault: Fault) -> Rule:
    return FAULT_RULES[fault]


def cooldown(rule: Rule, retry_after: float | None) -> tuple[float, float]:
    """Seconds for which key or target is not asked, and the longest that they grow to."""
    if rule.step is Step.TELL:
        return 0.0, 0.0
    if retry_after is not None:  # the upstream knows: no growing
        told = min(retry_after, LONGEST_COOLDOWN)
        return told, told
    return rule.cooldown, rule.longest


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer's head asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a
    date (RFC 9110, 10.2.3). `now` is unix time; `headers` have lower-case names."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) / scale
        except ValueError:
            seconds = _until(text, now)
        if 0 <= seconds < 1e7:
            return seconds
    return None


def _until(date: str, now: float) -> float:
    """Seconds until an HTTP date, -1.0 for what is none."""
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except ValueError:
        return -1.0
