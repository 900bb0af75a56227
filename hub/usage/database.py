"""The database of calls: opened, brought to the newest revision, written and pruned.

Blocking: for the writer's thread and the command line. Only importing this loads SQLAlchemy, which costs
11 MB and 0.1 s.

SQLite runs in WAL mode with `synchronous=NORMAL`: a committed batch survives the end of the process
whenever it comes (https://www.sqlite.org/pragma.html#pragma_synchronous); after a power failure the last
ones may be missing, and the file is whole. Every transaction takes the write lock at its beginning
(`BEGIN IMMEDIATE`), so that two hubs on one file wait for each other rather than fail.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.pool import StaticPool

from hub.usage.records import Row
from hub.usage.tables import CALLS, REVISIONS

_PATIENCE = 2.0
"""Seconds to wait for another writer's lock."""
_ADVISORY_LOCK = 7_114_340_811
"""Any number that is ours: PostgreSQL lets one hub migrate at a time."""
_PRUNED_AT_ONCE = 1000
_POSTGRES_ROW = 400
"""Bytes that a row takes there, indexes included. Its tables do not shrink when rows are deleted, so their
size cannot say how many more to delete."""
_PRAGMAS: Mapping[str, object] = {
    "auto_vacuum": "INCREMENTAL",  # before the first table
    "journal_mode": "WAL",
    "synchronous": "NORMAL",
    "journal_size_limit": 16_000_000,
}


class UsageError(Exception):
    """The database cannot be used. The message says why, without the password."""


class Database:
    """An open database of the newest revision. Every method raises UsageError."""

    def __init__(self, url: str, *, pragmas: Mapping[str, object] | None = None) -> None:
        """`url` as in the settings. `pragmas` are SQLite's, beyond the usual ones."""
        self._url = _parsed(url)
        self._file = _file(self._url)
        self._engine = _engine(self._url, {**_PRAGMAS, **(pragmas or {})})
        try:
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._file.touch(mode=0o600)
            with self._engine.begin() as connection:
                _upgrade(connection)
            self._identity = self._inode()
        except (SQLAlchemyError, OSError) as error:
            self.close()
            raise self._error(error) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with suppress(SQLAlchemyError):
            self._engine.dispose()

    def write(self, rows: Sequence[Row]) -> int:
        """All rows in one transaction; how many of them no database can take and were left out."""
        if self._file is not None and self._inode() != self._identity:
            raise UsageError(f"{self._file} has been removed or replaced")
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(CALLS), list(rows))
        except (SQLAlchemyError, OverflowError, ValueError) as error:
            if not _is_of_the_rows(error):
                raise self._error(error) from error
            return self._write_singly(rows)
        return 0

    def _write_singly(self, rows: Sequence[Row]) -> int:
        refused = 0
        try:
            with self._engine.begin() as connection:
                for row in rows:
                    try:
                        with connection.begin_nested():
                            connection.execute(insert(CALLS), row)
                    except (SQLAlchemyError, OverflowError, ValueError) as error:
                        if not _is_of_the_rows(error):
                            raise
                        refused += 1
        except SQLAlchemyError as error:
            raise self._error(error) from error
        return refused

    def prune(self, before: float, max_size: int) -> bool:
        """One small step: delete up to 1,000 rows older than `before`, or the oldest while there is more than
        `max_size` bytes. Whether there may be more to delete."""
        try:
            with self._engine.begin() as connection:
                oldest = select(CALLS.c.id).order_by(CALLS.c.time).limit(_PRUNED_AT_ONCE)
                if not self._is_too_large(connection, max_size):
                    oldest = oldest.where(CALLS.c.time < before)
                gone = connection.execute(delete(CALLS).where(CALLS.c.id.in_(oldest))).rowcount
            if gone and self._file is not None:
                self._give_back()
        except SQLAlchemyError as error:
            raise self._error(error) from error
        return gone == _PRUNED_AT_ONCE

    def _is_too_large(self, connection: Connection, max_size: int) -> bool:
        if self._file is None:
            count = connection.execute(select(func.count()).select_from(CALLS)).scalar_one()
            return bool(count * _POSTGRES_ROW > max_size)
        pages, unused, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - unused) * size > max_size

    def _give_back(self) -> None:
        """Return the deleted rows' pages to the file system. As a script: `execute` frees one page alone."""
        with self._engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.executescript("PRAGMA incremental_vacuum")

    def _inode(self) -> tuple[int, int] | None:
        if self._file is None:
            return None
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _error(self, error: Exception) -> UsageError:
        return error_of(self._url, error)


def open_to_read(url: str) -> Engine | None:
    """For questions alone: nothing is created or changed. None: there is no such file yet.

    Raises UsageError."""
    parsed = _parsed(url)
    file = _file(parsed)
    if file is None:
        return _engine(parsed, {})
    if not file.exists():
        return None
    address = URL.create("sqlite", database=file.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    return _engine(address, {}, read_only=True)


def check_revision(connection: Connection) -> bool:
    """Whether the database is of the newest revision. Raises UsageError where it is a newer program's."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if current is not None and current not in REVISIONS:
        raise UsageError(
            f"the usage database is of revision {current}, newer than this hub's {REVISIONS[-1]}: "
            "use the newer hub, or name another file in `usage.url`"
        )
    return bool(current == REVISIONS[-1])


def error_of(url: str | URL, error: Exception) -> UsageError:
    """One line, without the password; SQLAlchemy's own has the statement and a link."""
    url = make_url(url)
    cause = getattr(error, "orig", None) or error
    told = str(cause).strip().splitlines() or [type(cause).__name__]
    return UsageError(f"{_described(url)}: {told[0]}")


def _described(url: URL) -> str:
    file = _file(url)
    return str(file) if file is not None else url.render_as_string(hide_password=True)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("`usage.url` is no address of a database") from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def _file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    return Path(url.database or "").expanduser()


def _engine(url: URL, pragmas: Mapping[str, object], *, read_only: bool = False) -> Engine:
    """One connection, for one thread at a time."""
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(
                url, pool_size=1, max_overflow=1, pool_pre_ping=True, connect_args={"connect_timeout": 5}
            )
        except (NoSuchModuleError, ImportError):
            raise UsageError(
                "PostgreSQL needs a driver that is not installed: pip install 'ccproxy-hub[postgres]'"
            ) from None
    if not read_only:
        url = url.set(database=str(_file(url)))
    engine = create_engine(
        url,
        poolclass=StaticPool,
        connect_args={"timeout": _PATIENCE, "check_same_thread": False, "isolation_level": None},
    )

    def prepare(connection: Any, _: object) -> None:
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name} = {value}")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    if check_revision(connection):
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_of_the_rows(error: Exception) -> bool:
    """Whether other rows might be written: a value was refused, not the database at fault."""
    if getattr(error, "connection_invalidated", False):
        return False
    if isinstance(error, DataError | IntegrityError | InterfaceError | OverflowError | ValueError):
        return True
    return type(error) is StatementError
