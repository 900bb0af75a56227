"""When a key expires, as people type it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from hub.settings.keys import read_moment

_DURATION = re.compile(r"(?P<number>[1-9][0-9]{0,5})\s*(?P<unit>[mhdwy])")
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}


def read_expiry(text: str, now: datetime) -> datetime:
    """`30d`, `12h`, `8w`, `1y`, or a moment as in the settings. Raises ValueError, also for the past."""
    match = _DURATION.fullmatch(text.strip())
    try:
        moment = now + int(match["number"]) * _UNITS[match["unit"]] if match else read_moment(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no expiry: write 30d, 12h, 8w, 1y or a date like 2027-01-31") from None
    if moment <= now:
        raise ValueError(f"{text!r} is in the past")
    return moment
