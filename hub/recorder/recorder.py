"""From the tapes to the database, by a thread of its own.

A disk that is full or slow costs recordings, never an answer: what waits is bounded, the rest is left out.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from fnmatch import fnmatchcase
from pathlib import Path

from starlette.types import Scope

from hub.recorder.document import document_of
from hub.recorder.store import Store, age_limit, default_file
from hub.recorder.tape import Tape
from hub.requests import Request
from hub.scrub import Scrubber
from hub.settings.observability import RecorderSettings

log = logging.getLogger("hub.recorder")

_MOST_WAITING = 128 * 2**20
"""Bytes of bodies that may wait for the disk."""
_BATCH_SECONDS = 0.1
_BATCH = 50
_PRUNE_SECONDS = 60.0
_COMPLAIN_SECONDS = 60.0


class Recorder:
    """`start` it, give it tapes, `close` it. `scrubber` masks the settings' secrets."""

    def __init__(self, settings: RecorderSettings, scrubber: Scrubber) -> None:
        self.file: Path = settings.file.expanduser() if settings.file is not None else default_file()
        self._settings = settings
        self._scrubber = scrubber.with_patterns(settings.redact)
        self._waiting: deque[Tape] = deque()
        self._weight = 0
        self._lost = 0
        self._wake, self._end = threading.Event(), threading.Event()
        self._complained = -_COMPLAIN_SECONDS
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, patience: float = 5.0) -> None:
        """Write what is left, and end."""
        self._end.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def tape(self, request: Request, scope: Scope) -> Tape:
        return Tape(request, scope, self._settings.max_body)

    def take(self, tape: Tape) -> None:
        """A tape whose request is over. Never blocks."""
        record = tape.record
        if record is None or not any(fnmatchcase(record.group, glob) for glob in self._settings.groups):
            return
        if self._weight > _MOST_WAITING:
            self._lost += 1
            return
        self._weight += tape.weight
        self._waiting.append(tape)
        self._wake.set()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        store: Store | None = None
        pruned = -_PRUNE_SECONDS
        while True:
            self._wake.wait(_PRUNE_SECONDS)
            self._end.wait(_BATCH_SECONDS)
            self._wake.clear()
            try:
                if store is None:
                    store = Store(self.file)
                while self._waiting:
                    self._write(store)
                if time.monotonic() - pruned >= _PRUNE_SECONDS or store.size() > self._settings.max_size:
                    store.prune(before=age_limit(self._settings.keep), max_size=self._settings.max_size)
                    pruned = time.monotonic()
            except (sqlite3.Error, OSError) as error:
                self._complain(str(error))
                self._drop_all()
                _close(store)
                store = None
            except Exception:
                log.exception("a recording could not be made")
            if self._end.is_set() and not self._waiting:
                _close(store)
                return

    def _write(self, store: Store) -> None:
        tapes = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
        self._weight = self._weight - sum(tape.weight for tape in tapes) if self._waiting else 0
        store.add([document_of(tape, self._scrubber) for tape in tapes])
        if self._lost:
            lost, self._lost = self._lost, 0
            self._complain(f"{lost} exchanges came faster than they could be written")

    def _drop_all(self) -> None:
        self._waiting.clear()
        self._weight = 0

    def _complain(self, reason: str) -> None:
        if time.monotonic() - self._complained >= _COMPLAIN_SECONDS:
            self._complained = time.monotonic()
            log.warning("recordings are left out: %s: %s; the hub serves on without", self.file, reason)


def _close(store: Store | None) -> None:
    if store is not None:
        try:
            store.close()
        except sqlite3.Error:
            log.debug("the recordings could not be closed", exc_info=True)
