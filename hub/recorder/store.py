"""The database of recordings: SQLite, for this user's eyes alone, bounded by age and size."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hub.recorder.document import Document
from hub.state_folder import open_private, state_folder

_OVERHEAD = 400
"""Bytes that a row takes beside its document, about."""
_AT_ONCE = 50
_TABLE = """
create table if not exists recordings (
    number integer primary key,
    id text not null,
    time real not null,
    group_name text not null,
    target text not null,
    protocol text not null,
    kind text not null,
    status integer not null,
    stream integer not null,
    duration real not null,
    tokens_in integer,
    tokens_out integer,
    error text,
    size integer not null,
    document blob not null
);
create index if not exists recordings_id on recordings (id);
create index if not exists recordings_time on recordings (time);
create index if not exists recordings_size on recordings (size);
"""
_COLUMNS = (
    "id, time, group_name, target, protocol, kind, status, stream, duration, tokens_in, tokens_out, error,"
    " size"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording in a list."""

    id: str
    time: float
    group: str
    target: str
    protocol: str
    kind: str
    status: int
    stream: int
    """1 or 0."""
    duration: float
    tokens_in: int | None
    tokens_out: int | None
    error: str | None
    size: int


def default_file() -> Path:
    return state_folder() / "recordings.db"


class Store:
    """To be used by one thread. Raises sqlite3.Error and OSError for a full or broken disk."""

    def __init__(self, file: Path) -> None:
        import os

        os.close(open_private(file))  # SQLite gives its other files the same rights
        file.chmod(0o600)
        self._database = sqlite3.connect(file, timeout=5, isolation_level=None)
        for pragma in ("auto_vacuum=incremental", "journal_mode=wal", "synchronous=normal"):
            self._database.execute(f"pragma {pragma}")
        self._database.execute("pragma journal_size_limit=10000000")
        self._database.executescript(_TABLE)

    def add(self, documents: Sequence[Document]) -> None:
        rows = [_row(document) for document in documents]
        database = self._database
        database.execute("begin immediate")
        try:
            database.executemany(
                f"insert into recordings ({_COLUMNS}, document) values ({', '.join('?' * 14)})",  # noqa: S608
                rows,
            )
            database.execute("commit")
        except BaseException:
            if database.in_transaction:
                database.execute("rollback")
            raise

    def prune(self, *, before: float, max_size: int) -> int:
        """Take out what is older than `before` (Unix seconds), and the oldest until the rest is small enough.
        Gives how many went."""
        database = self._database
        gone = database.execute("delete from recordings where time < ?", (before,)).rowcount
        while self.size() > max_size:
            oldest = "select number from recordings order by number limit ?"
            taken = database.execute(
                f"delete from recordings where number in ({oldest})",  # noqa: S608 - a constant
                (_AT_ONCE if self.count() > 10 * _AT_ONCE else 1,),
            )
            if taken.rowcount <= 0:
                break
            gone += taken.rowcount
        if gone:
            database.executescript("pragma incremental_vacuum")  # `execute` would free one page
        return gone

    def size(self) -> int:
        total, count = self._database.execute(
            "select coalesce(sum(size), 0), count(*) from recordings"
        ).fetchone()
        return int(total) + _OVERHEAD * int(count)

    def count(self) -> int:
        return int(self._database.execute("select count(*) from recordings").fetchone()[0])

    def close(self) -> None:
        self._database.close()


def entries(file: Path, *, group: str | None = None, limit: int | None = None) -> Iterator[Entry]:
    """The latest first. Raises FileNotFoundError, sqlite3.Error."""
    with closing(_open(file)) as database:
        query = f"select {_COLUMNS} from recordings"  # noqa: S608 - constants
        values: list[Any] = []
        if group is not None:
            query, values = f"{query} where group_name = ?", [group]
        query += " order by number desc" + (f" limit {limit:d}" if limit is not None else "")
        for row in database.execute(query, values):
            yield Entry(*row)


def find(file: Path, id: str) -> list[Document]:  # noqa: A002 - the field's name
    """The recordings with this id or this beginning of it, the latest first; at most two ids' worth.

    Raises FileNotFoundError, sqlite3.Error.
    """
    with closing(_open(file)) as database:
        pattern = id.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found = database.execute(
            "select document from recordings where id like ? escape '\\' order by number desc limit 20",
            (pattern,),
        )
        return [orjson.loads(zlib.decompress(row[0])) for row in found]


def _open(file: Path) -> sqlite3.Connection:
    if not file.exists():
        raise FileNotFoundError(file)
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5)


def _row(document: Mapping[str, Any]) -> tuple[Any, ...]:
    outcome = document["outcome"]
    packed = zlib.compress(orjson.dumps(document), 6)
    return (
        document["id"],
        document["time"],
        outcome.get("group", ""),
        outcome.get("target", ""),
        outcome.get("protocol", ""),
        outcome.get("kind", ""),
        document["answer"]["status"],
        bool(outcome.get("stream")),
        outcome.get("duration", 0.0),
        outcome.get("tokens_in"),
        outcome.get("tokens_out"),
        outcome.get("error"),
        len(packed),
        packed,
    )


def age_limit(keep: float) -> float:
    return time.time() - keep
