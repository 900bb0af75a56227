"""Kills the process groups that a dead hub left behind.

Run as `python -I -S -E watchdog_main.py`, so it imports next to nothing. Standard input carries
lines `+PGID` and `-PGID`; its end means that the hub is gone, however it went, because only the
hub holds the other end. Groups that are then still listed get SIGTERM and, half a second later,
SIGKILL.
"""

import os
import signal
import sys
import time

_GRACE_SECONDS = 0.5


def _signal_groups(groups: set[int], number: int) -> set[int]:
    """Send a signal to each group; return those that still exist."""
    alive = set()
    for group in groups:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            continue
        alive.add(group)
    return alive


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
    alive = _signal_groups(groups, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = _signal_groups(alive, 0)
    _signal_groups(alive, signal.SIGKILL)


if __name__ == "__main__":
    main()
