"""The log file: appended to, and put aside when it is long."""

from __future__ import annotations

import os
from pathlib import Path

from hub.state_folder import open_private, state_folder


def default_file(port: int) -> Path:
    """One for each port, so that two hubs of a user do not write into one file."""
    return state_folder() / "logs" / f"hub-{port}.jsonl"


def aside(file: Path, number: int) -> Path:
    """The file that was put aside so many files ago: `hub-11434.jsonl.1` is the latest."""
    return file.with_name(f"{file.name}.{number}")


class LogFile:
    """Bytes are appended; only this user may read them. One thread at a time."""

    def __init__(self, path: Path, max_size: int, keep: int) -> None:
        self.path = path
        self._max_size = max_size
        self._keep = keep
        self._descriptor: int | None = None
        self._size = 0

    def write(self, data: bytes) -> None:
        """Whole lines. Raises OSError; the next call tries again."""
        if self._descriptor is None:
            self._open()
        elif self._size and self._size + len(data) > self._max_size:
            self._put_aside()
        assert self._descriptor is not None
        try:
            while data:
                written = os.write(self._descriptor, data)
                self._size += written
                data = data[written:]
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        self._descriptor = open_private(self.path)
        self._size = os.fstat(self._descriptor).st_size

    def _put_aside(self) -> None:
        self.close()
        for number in range(self._keep, 0, -1):
            older = aside(self.path, number - 1) if number > 1 else self.path
            if older.exists():
                older.replace(aside(self.path, number))
        if self._keep == 0:
            self.path.unlink(missing_ok=True)
        self._open()
