"""Calls on their way into the database: a bounded queue, and the thread that empties it.

The event loop only appends to the queue. The thread waits half a second after the first of them, so that a
batch is at most that old when it is committed: what a crash can lose. Without calls nothing is opened,
imported or woken.

Whatever is wrong with the database (locked, full, gone, of a newer hub), calls are kept until there is no
more room, then counted and left out; the thread tries again by itself. The log says so once when it begins
and once when it is over.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs

from hub.settings.usage import UsageSettings
from hub.usage.records import ToolRecord, row_of
from routing.usage import Record

if TYPE_CHECKING:
    from hub.usage.database import Database

log = logging.getLogger("hub.usage")

_PATIENCE_AT_END = 5.0
"""Seconds that the hub's end waits for the last batch."""

_OFF = UsageSettings(enabled=False)

State = Literal["off", "waiting", "recording", "failing"]
"""waiting: nothing has happened yet that is to be written down."""


def default_url() -> str:
    """A file of the user's state folder, for all settings files of this user."""
    return f"sqlite:///{platformdirs.user_state_path('ccproxy-hub') / 'usage.db'}"


def database_url(settings: UsageSettings) -> str:
    """With its password."""
    return settings.url.get_secret_value() if settings.url is not None else default_url()


@dataclass(frozen=True, slots=True)
class Pace:
    """When the thread does what, in seconds and rows."""

    gather: float = 0.5
    """From the first call to its batch."""
    batch: int = 500
    backlog: int = 10_000
    """Calls that are kept while they cannot be written."""
    retry: float = 1.0
    """Until the next attempt; each failure doubles it."""
    longest_retry: float = 30.0
    prune: float = 600.0
    """From one look for what is too old or too much to the next."""


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """For `hub status` and metrics."""

    state: State
    reason: str | None
    """Why it fails."""
    queued: int
    written: int
    dropped: int
    """Since the hub's start."""


class UsageWriter:
    """`take` and `take_tool` are sinks; `start`, then `close` when no more come."""

    def __init__(
        self,
        settings: UsageSettings = _OFF,
        *,
        pace: Pace = Pace(),
        now: Callable[[], float] = time.time,
        pragmas: dict[str, object] | None = None,
    ) -> None:
        self._settings = settings
        self._pace = pace
        self._now = now
        self._pragmas = pragmas
        self._enabled = settings.enabled
        self._queue: deque[Record | ToolRecord] = deque()
        self._pending: list[Record | ToolRecord] = []
        """The thread's: taken off the queue and not yet written."""
        self._overflowed = 0
        self._refused = 0
        self._written = 0
        self._failing: str | None = None
        self._wake = threading.Event()
        """There is something to write."""
        self._hurry = threading.Event()
        """A whole batch is there, or the hub ends."""
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._database: Database | None = None
        self._opened: str | None = None
        self._next_prune = 0.0

    # ------------------------------------------------------------ on the event loop

    def take(self, record: Record | ToolRecord) -> None:
        """Never blocks."""
        if not self._enabled:
            return
        queue = self._queue
        if len(queue) >= self._pace.backlog:
            self._overflowed += 1
            return
        queue.append(record)
        if not self._wake.is_set():
            self._wake.set()
        elif len(queue) >= self._pace.batch:
            self._hurry.set()

    def apply(self, settings: UsageSettings) -> None:
        """Follow changed settings; another database from the next batch on."""
        self._settings = settings
        self._enabled = settings.enabled

    def start(self) -> None:
        """A database that the settings name is opened at once, so that what is wrong with it is told."""
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        if self._enabled and self._settings.url is not None:
            self._wake.set()
        self._thread.start()

    async def close(self) -> None:
        """Write what is left, as far as that takes no longer than some seconds."""
        self._end.set()
        self._hurry.set()
        self._wake.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _PATIENCE_AT_END)
        if left := self._left():
            log.warning(
                "the usage of %d calls was not written: %s", left, self._failing or "no time was left"
            )

    def status(self) -> WriterStatus:
        state: State = "recording" if self._database is not None else "waiting"
        if not self._enabled:
            state = "off"
        elif self._failing is not None:
            state = "failing"
        dropped = self._overflowed + self._refused
        return WriterStatus(state, self._failing, self._left(), self._written, dropped)

    def _left(self) -> int:
        return len(self._queue) + len(self._pending)

    def spent(self, key: str, since: float) -> float:
        """US dollars that the calls of a key cost since then (Unix seconds), as far as prices are known.

        Blocks, reads the database alone, and not what is still queued: for the start. Raises UsageError.
        """
        from hub.usage.report import spent

        return spent(database_url(self._settings), key, since)

    # ------------------------------------------------------------ in the thread

    def _run(self) -> None:
        retry = self._pace.retry
        while True:
            self._wake.wait()
            self._hurry.wait(self._pace.gather)
            self._hurry.clear()
            self._wake.clear()
            try:
                self._write_all()
            except Exception as error:
                self._fail(error)
                self._wake.set()
                if self._end.wait(retry):
                    return
                retry = min(retry * 2, self._pace.longest_retry)
                continue
            retry = self._pace.retry
            self._recovered()
            if self._end.is_set():
                self._close_database()
                return

    def _write_all(self) -> None:
        if not self._left() and (self._end.is_set() or not self._enabled):
            return
        database = self._open()
        while batch := self._next_batch():
            refused = database.write([row_of(record) for record in batch])
            self._pending = []
            self._written += len(batch) - refused
            self._refused += refused
        self._prune(database)

    def _next_batch(self) -> list[Record | ToolRecord]:
        """What failed before comes first, alone."""
        if not self._pending:
            size = min(len(self._queue), self._pace.batch)
            self._pending = [self._queue.popleft() for _ in range(size)]
        return self._pending

    def _open(self) -> Database:
        url = database_url(self._settings)
        if self._database is None or self._opened != url:
            from hub.usage.database import Database

            self._close_database()
            self._database, self._opened = Database(url, pragmas=self._pragmas), url
            self._next_prune = 0.0
        return self._database

    def _prune(self, database: Database) -> None:
        """One step at a time, so that calls need not wait for it."""
        if self._end.is_set() or self._now() < self._next_prune:
            return
        settings = self._settings
        more = database.prune(self._now() - settings.keep, settings.max_size)
        if more:
            self._wake.set()  # go on after the next batch
        else:
            self._next_prune = self._now() + self._pace.prune

    def _close_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = self._opened = None

    def _fail(self, error: Exception) -> None:
        self._close_database()
        if self._failing is None:
            log.warning("usage is not being written: %s; the hub serves on and tries again", error)
            log.debug("the error", exc_info=error)
        self._failing = str(error) or type(error).__name__

    def _recovered(self) -> None:
        if self._failing is not None:
            self._failing = None
            left_out = self._overflowed + self._refused
            log.warning("usage is being written again; %d calls were left out so far", left_out)


def file_of(url: str) -> Path | None:
    """The file of an SQLite database."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
