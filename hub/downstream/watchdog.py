"""The hub's side of the watchdog: one small process that outlives the hub by a moment.

A stdio server runs in a process group of its own, so nothing ends it when the hub is killed
with SIGKILL. The watchdog notices the end of its standard input and ends the groups.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

_PROGRAM = Path(__file__).with_name("watchdog_main.py")


class Watchdog:
    """Knows the process groups of live children. Started with the first child."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        self._groups.add(group)
        self._write(f"+{group}\n")

    def remove(self, group: int) -> None:
        if group in self._groups:
            self._groups.discard(group)
            self._write(f"-{group}\n")

    def close(self) -> None:
        """End the watchdog; groups that are still registered are killed by it."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _write(self, line: str) -> None:
        if self._process is None:
            if not self._groups:
                return
            self._start()
            return
        try:
            _send(self._process, line)
        except (BrokenPipeError, OSError):
            self._log.warning("the watchdog process had ended; starting another one")
            self._process.wait()
            if self._process.stdin is not None:
                self._process = None
            self._start()

    def _start(self) -> None:
        # -I -S: no site-packages, no user settings, no environment: it starts in about 15 ms.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", "-E", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        _send(self._process, "".join(f"+{group}\n" for group in sorted(self._groups)))


def _send(process: subprocess.Popen[bytes], text: str) -> None:
    if process.stdin is None:
        raise BrokenPipeError("no pipe to the watchdog")
    process.stdin.write(text.encode())
    process.stdin.flush()
