"""The folder for what the hub keeps between its runs: logs, recordings, usage, the active group."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """Of this user, for all settings files. It need not exist."""
    return platformdirs.user_state_path("ccproxy-hub")


def open_private(path: Path) -> int:
    """A descriptor to append to a file that only this user may read. Makes its folder. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
