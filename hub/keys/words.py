"""What a key is told that has reached a limit."""

from __future__ import annotations

import math
from typing import Literal

from hub.keys.meters import Overspent
from routing.limits import Exceeded

_WHAT = {
    "requests": "has made its {limit:g} requests of a minute",
    "tokens": "has used its {limit:g} tokens of a minute",
    "concurrency": "has its {limit:g} requests under way at once",
}


def refusal_of(
    name: str, exceeded: Exceeded | Overspent
) -> tuple[int, Literal["rate_limit", "billing"], str, float | None]:
    """Status, kind of error, message, and seconds to wait (None: waiting does not help)."""
    match exceeded:
        case Exceeded(what, limit, seconds):
            message = f"the key `{name}` {_WHAT[what].format(limit=limit)}; {_again(seconds)}"
            return 429, "rate_limit", message, seconds
        case Overspent(budget, None):
            return 402, "billing", f"the key `{name}` has spent its budget of ${budget}", None
        case Overspent(budget, seconds):
            message = f"the key `{name}` has spent its budget of ${budget}; {_again(seconds or 0)}"
            return 402, "billing", message, seconds


def _again(seconds: float) -> str:
    whole = max(1, math.ceil(seconds))
    if whole < 120:
        return f"try again in {whole} s"
    hours, minutes = divmod(math.ceil(whole / 60), 60)
    return f"try again in {hours} h {minutes} min" if hours else f"try again in {minutes} min"
