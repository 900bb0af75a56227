"""How much is taken on at once: requests that are let in, those that wait, and their bodies' bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class GateLimits(Protocol):
    """Read anew for every request, since settings change while the hub serves."""

    @property
    def concurrent_requests(self) -> int: ...
    @property
    def queue(self) -> int: ...
    @property
    def queue_timeout(self) -> float:
        """Seconds."""
        ...

    @property
    def body_memory(self) -> int:
        """Bytes."""
        ...

    @property
    def body_timeout(self) -> float:
        """Seconds without a piece of a body."""
        ...


@dataclass(frozen=True, slots=True)
class FixedLimits:
    concurrent_requests: int = 5000
    queue: int = 1000
    queue_timeout: float = 10.0
    body_memory: int = 2**30
    body_timeout: float = 60.0


class Full(Exception):
    """No place. `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Gate:
    """Places are given in the order of arrival. Whoever was let in has to `leave`."""

    __slots__ = ("_limits", "_waiting", "body_bytes", "inside", "turned_away")

    def __init__(self, limits: Callable[[], GateLimits]) -> None:
        self._limits = limits
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.inside = 0
        self.body_bytes = 0
        """Of the requests that are inside."""
        self.turned_away = 0

    @property
    def limits(self) -> GateLimits:
        return self._limits()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self) -> bool:
        """Whether there was a place at once."""
        if self._waiting or self.inside >= self._limits().concurrent_requests:
            return False
        self.inside += 1
        return True

    async def wait(self) -> None:
        """Until there is a place. Raises Full."""
        limits = self._limits()
        if len(self._waiting) >= limits.queue:
            self.turned_away += 1
            message = f"the hub is busy: {self.inside} requests are under way (server.limits)"
            raise Full(message, min(limits.queue_timeout, 1.0))
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(limits.queue_timeout):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self.leave()  # it was given and cannot be taken
            elif place in self._waiting:
                self._waiting.remove(place)
            if isinstance(error, TimeoutError):
                self.turned_away += 1
                message = f"the hub is busy: no place within {limits.queue_timeout:g} s (server.limits)"
                raise Full(message, limits.queue_timeout) from None
            raise

    def leave(self) -> None:
        self.inside -= 1
        room = self._limits().concurrent_requests - self.inside
        while room > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                self.inside += 1
                room -= 1
                place.set_result(None)

    def hold(self, size: int) -> None:
        """Count more bytes of a body. Raises Full, and then they are not counted."""
        if self.body_bytes + size > self._limits().body_memory:
            told = "the hub is busy: the requests under way hold too much (server.limits.body_memory)"
            self.turned_away += 1
            raise Full(told, 1.0)
        self.body_bytes += size

    def release(self, size: int) -> None:
        self.body_bytes -= size
