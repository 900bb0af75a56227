"""Live settings: what the hub serves now, and the way from one snapshot to the next.

A reload loads, validates and builds everything before anyone hears of it. Then the listeners
prepare what is new; only when all of them could is the reference swapped. Whatever fails leaves the
old snapshot serving.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hub.settings import LoadedSettings, Problem, Settings, SettingsError
from hub.snapshot import Snapshot, build_snapshot
from hub.watch import Content, read_content, watch

log = logging.getLogger("hub.settings")

Listener = Callable[[Snapshot, Snapshot | None], Awaitable[None]]
"""`await listener(new, old)`; `old` is None at the start."""
EmbeddedServers = Callable[[Settings], Awaitable[Mapping[str, str]]]
"""Starts the servers of embedded providers where needed: provider name -> base URL."""
Address = tuple[str, int]
"""Host and port to listen on."""


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """`refused` says why in `problems`, and changed nothing."""

    kind: Literal["applied", "unchanged", "refused"]
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0


@dataclass(slots=True)
class ReloadStatus:
    """Counters for `hub status`. Times are seconds since the epoch."""

    applied: int = 0
    unchanged: int = 0
    refused: int = 0
    applied_at: float | None = None
    refused_at: float | None = None
    last_problems: tuple[Problem, ...] = field(default=())
    """Those of the last reload, empty if it was not refused."""


async def no_embedded_servers(settings: Settings) -> Mapping[str, str]:
    return {}


class LiveSettings:
    """Owns the current snapshot. Use `start` first, then `current` at any time.

    `load` reads the settings anew each time (`lambda: load_settings(path, overrides=...)`), raising
    `SettingsError`. Listeners are called in the order in which they were added.
    """

    def __init__(
        self, load: Callable[[], LoadedSettings], *, embedded: EmbeddedServers = no_embedded_servers
    ) -> None:
        self.status = ReloadStatus()
        self._load = load
        self._embedded = embedded
        self._listeners: list[Listener] = []
        self._followers: list[Listener] = []
        self._reloading = asyncio.Lock()
        self._current: Snapshot | None = None
        self._started_at: Address | None = None
        self._files: tuple[Path, ...] = ()
        self._content: Content = {}

    @property
    def current(self) -> Snapshot:
        """The snapshot that serves now. A request takes it once and keeps it."""
        if self._current is None:
            raise RuntimeError("the settings have not been started yet")
        return self._current

    def before_swap(self, listener: Listener) -> None:
        """`listener` prepares what a new snapshot needs. If it raises, the snapshot is not used."""
        self._listeners.append(listener)

    def after_swap(self, listener: Listener) -> None:
        """`listener` tells others, or retires what the old snapshot needed. If it raises, that is logged."""
        self._followers.append(listener)

    async def start(self) -> Snapshot:
        """Load and apply the first snapshot. Raises what loading or a listener raises."""
        async with self._reloading:
            snapshot = await self._build()
            await self._swap(snapshot)
            self._started_at = _address(snapshot)
        return snapshot

    async def reload(self) -> ReloadOutcome:
        """Load again and apply what is new, one reload at a time. Raises nothing: the outcome says it."""
        async with self._reloading:
            started = time.perf_counter()
            try:
                new = await self._build()
                if _is_same(new, self._current):
                    self.status.unchanged += 1
                    self.status.last_problems = ()
                    return ReloadOutcome("unchanged", (), time.perf_counter() - started)
                await self._swap(new)
            except SettingsError as error:
                return self._refuse(error.problems, started)
            except Exception as error:
                log.exception("the new settings could not be applied")
                reason = f"could not be applied: {type(error).__name__}"
                return self._refuse((Problem(None, "", reason, "the log has more"),), started)
            seconds = time.perf_counter() - started
            log.info("settings applied, revision %d, in %.0f ms", new.revision, seconds * 1000)
            return ReloadOutcome("applied", (), seconds)

    async def watch(self) -> None:
        """Reload whenever a file of the settings changes, until cancelled."""
        await watch(lambda: self._files, self.reload, known=self._content)

    def _load_now(self) -> LoadedSettings:
        """Load, and remember which files were read, also by an attempt that failed."""
        try:
            loaded = self._load()
        except SettingsError as error:
            self._files = error.files or self._files
            raise
        self._files = loaded.files
        self._content = read_content(loaded.files)
        return loaded

    async def _build(self) -> Snapshot:
        loaded = await asyncio.to_thread(self._load_now)
        embedded = await self._embedded(loaded.settings)
        revision = self._current.revision + 1 if self._current is not None else 1
        return build_snapshot(loaded, embedded=embedded, revision=revision)

    async def _swap(self, new: Snapshot) -> None:
        old = self._current
        done: list[Listener] = []
        try:
            for listener in self._listeners:
                done.append(listener)
                await listener(new, old)
        except BaseException:
            if old is not None:
                await self._undo(done, new, old)
            raise
        self._current = new
        self.status.applied += 1
        self.status.applied_at = time.time()
        self.status.last_problems = ()
        if old is not None and _address(new) not in (_address(old), self._started_at):
            log.warning("`host` or `port` of `server` has changed: that needs a restart, all else counts now")
        for listener in self._followers:
            await _tolerate(listener, new, old)

    @staticmethod
    async def _undo(done: list[Listener], new: Snapshot, old: Snapshot) -> None:
        """Bring those that have prepared `new`, fully or in part, back to `old`, the last one first."""
        for listener in reversed(done):
            await _tolerate(listener, old, new)

    def _refuse(self, problems: tuple[Problem, ...], started: float) -> ReloadOutcome:
        self.status.refused += 1
        self.status.refused_at = time.time()
        self.status.last_problems = problems
        for problem in problems:
            log.error("settings refused: %s", problem)
        log.error("the last good settings go on serving")
        return ReloadOutcome("refused", problems, time.perf_counter() - started)


async def _tolerate(listener: Listener, new: Snapshot, old: Snapshot | None) -> None:
    try:
        await listener(new, old)
    except Exception:
        log.exception("a listener of the settings failed")


def _address(snapshot: Snapshot) -> Address:
    return snapshot.settings.server.host, snapshot.settings.server.port


def _is_same(new: Snapshot, old: Snapshot | None) -> bool:
    return old is not None and new.settings == old.settings and new.table == old.table
