"""Moments as people write them: `7d` ago, or a date."""

from __future__ import annotations

from datetime import datetime

from hub.settings.observability import span_in_seconds


def moment(text: str, now: float) -> float:
    """Unix seconds of `7d`, `12h`, `30m` (before `now`), `2026-11-22` or `2026-11-22T14:00` (here, unless it
    names its time zone). Raises ValueError."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    try:
        return now - float(str(span_in_seconds(text)))
    except ValueError:
        raise ValueError(f"`{text}` is no time: write it like 7d, 12h or 2026-11-22") from None
