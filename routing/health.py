"""Which keys and targets failed lately. A failed one is asked last, never left out."""

from __future__ import annotations

from collections.abc import Callable

Subject = tuple[str, str, str]
"""Provider, model, key."""

_MOST = 4096


class Health:
    """Cooldowns by subject. Kept over table changes, so that a reload does not forget them."""

    __slots__ = ("_clock", "_until")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[Subject, float] = {}

    def failed(self, subject: Subject, seconds: float) -> None:
        if seconds <= 0:
            return
        now = self._clock()
        if len(self._until) >= _MOST:
            self._until = {each: until for each, until in self._until.items() if until > now}
        self._until[subject] = now + seconds

    def succeeded(self, subject: Subject) -> None:
        if self._until:
            self._until.pop(subject, None)

    def all_well(self) -> bool:
        return not self._until

    def remaining(self, subject: Subject) -> float:
        """Seconds of cooldown left; 0.0: well."""
        until = self._until.get(subject)
        return max(0.0, until - self._clock()) if until is not None else 0.0
