"""Showing a download: a bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_STEP_PERCENT = 20


class DownloadDisplay(Protocol):
    def show(self, name: str, done: int, total: int) -> None:
        """Bytes of `name`'s weights so far, and in all."""

    def close(self) -> None: ...


class LogDisplay:
    """One line for every fifth of the way."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def show(self, name: str, done: int, total: int) -> None:
        percent = 100 * done // max(total, 1)
        if percent >= self._next.get(name, 0):
            self._next[name] = percent - percent % _STEP_PERCENT + _STEP_PERCENT
            megabytes = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
            logging.getLogger(f"hub.embedded.{name}").info("fetching the weights: %s", megabytes)

    def close(self) -> None:
        self._next.clear()


class TerminalDisplay:
    """A rich progress bar on standard error, gone when the last byte is there."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = _start_bar()
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(f"fetching the weights of {name}", total=total)
        self._bar.update(self._tasks[name], completed=done, total=total)
        if self._bar.finished:
            self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = None
        self._tasks.clear()


def _start_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.start()
    return bar


def suitable_display() -> DownloadDisplay:
    return TerminalDisplay() if sys.stderr.isatty() else LogDisplay()
