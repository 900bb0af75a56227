"""Reading the log files again, while the hub may be writing them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from hub.logs.files import aside
from hub.logs.lines import Line, moment_of, rank

_MOST_ASIDE = 1000
_LOOK_AGAIN = 0.1
"""Seconds between two looks at a file that is followed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines. `since` is in Unix seconds."""

    request: str | None = None
    level: str = "debug"
    group: str | None = None
    since: float | None = None

    def __call__(self, line: Line) -> bool:
        if rank(str(line.get("level", ""))) < rank(self.level):
            return False
        if self.request is not None and not _is_of(line, self.request):
            return False
        if self.group is not None and line.get("group") != self.group:
            return False
        moment = moment_of(line) if self.since is not None else None
        return self.since is None or (moment is not None and moment.timestamp() >= self.since)


def _is_of(line: Line, request: str) -> bool:
    """Lines of routing name the request in their text, too."""
    return line.get("request") == request or request in str(line.get("message", ""))


def read(file: Path, wanted: Wanted) -> Iterator[Line]:
    """What is there now, the oldest first, with what was put aside. Raises OSError where nothing is."""
    older = [path for number in range(_MOST_ASIDE, 0, -1) if (path := aside(file, number)).exists()]
    if not older and not file.exists():
        raise FileNotFoundError(file)
    for path in (*older, file):
        try:
            with path.open("rb") as opened:
                yield from filter(wanted, _parsed(opened))
        except FileNotFoundError:  # it has just been put aside
            continue


def follow(
    file: Path, wanted: Wanted, *, pause: Callable[[float], None] = time.sleep, from_start: bool = False
) -> Generator[Line]:
    """What comes from now on; never ends. A file that is put aside is read to its end first."""
    opened = _open(file)
    if opened is not None and not from_start:
        opened.seek(0, 2)
    rest = b""
    try:
        while True:
            if opened is None:
                pause(_LOOK_AGAIN)
                opened = _open(file)
                continue
            put_aside = _is_other(opened, file)  # asked before reading: nothing is added to it from then on
            if data := opened.read(2**20):
                *whole, rest = (rest + data).split(b"\n")
                yield from filter(wanted, (line for raw in whole if (line := _line(raw)) is not None))
            elif put_aside:
                opened.close()
                opened, rest = _open(file), b""
            else:
                pause(_LOOK_AGAIN)
    finally:
        if opened is not None:
            opened.close()


def _open(file: Path) -> BinaryIO | None:
    try:
        return file.open("rb")
    except FileNotFoundError:
        return None


def _is_other(opened: BinaryIO, file: Path) -> bool:
    """Whether the path means another file by now than the one that is open."""
    try:
        return not os.path.samestat(os.fstat(opened.fileno()), file.stat())
    except FileNotFoundError:
        return True


def _parsed(opened: BinaryIO) -> Iterator[Line]:
    for raw in opened:
        if (line := _line(raw)) is not None:
            yield line


def _line(raw: bytes) -> Line | None:
    """None for what is no line of the log: half of one after a crash."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
