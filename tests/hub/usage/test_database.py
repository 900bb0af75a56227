"""Opening, migrating, writing, pruning."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from adapters.canonical import Usage
from hub.usage.database import Database, UsageError
from hub.usage.records import row_of
from hub.usage.tables import CALLS, METADATA, REVISIONS
from tests.hub.usage.samples import NOW, chat, rows, tool

MIGRATIONS = Path(__file__).parents[3] / "hub" / "usage" / "migrations"
FOR_EVER = 10**12


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "usage.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{file}")
    yield opened
    opened.close()


def migrate(file: Path, revision: str) -> None:
    """What an older program has left."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_every_column_is_written(database: Database, file: Path) -> None:
    given = chat(
        estimated=True, stream=True, bytes_in=7, bytes_out=8, status=502, error_kind="upstream", error="words"
    )
    called = tool(error_kind="tool", bytes_in=1, bytes_out=2, arguments_hash="ab", arguments='{"a":"\0"}')
    database.write([row_of(given), row_of(called)])
    names = [column.name for column in CALLS.columns if column.name != "id"]
    a_chat, a_tool = (dict(zip(names, row, strict=True)) for row in rows(file, ", ".join(names)))
    assert a_chat == {
        "time": NOW, "request_id": "r0", "kind": "chat", "key_name": "laptop", "client": "claude-cli",
        "group_name": "g", "provider": "up", "model": "m", "client_protocol": "openai",
        "target_protocol": "anthropic", "profile": "", "server": "", "tool": "", "status": 502, "stream": 1,
        "tokens_in": 1000, "tokens_cached": 400, "tokens_cache_write": 50, "tokens_out": 100,
        "tokens_reasoning": 30, "estimated": 1, "first_byte": 0.25, "duration": 1.5, "bytes_in": 7,
        "bytes_out": 8, "losses": "seed,logprobs", "retries": 1, "cost": 0.01, "error_kind": "upstream",
        "arguments_hash": "", "arguments": None,
    }  # fmt: skip
    assert a_tool == {
        "time": NOW, "request_id": "", "kind": "tool", "key_name": "laptop", "client": "an-ide",
        "group_name": "", "provider": "", "model": "", "client_protocol": "", "target_protocol": "",
        "profile": "p", "server": "files", "tool": "read", "status": None, "stream": 0, "tokens_in": None,
        "tokens_cached": None, "tokens_cache_write": None, "tokens_out": None, "tokens_reasoning": None,
        "estimated": 0, "first_byte": None, "duration": 0.5, "bytes_in": 1, "bytes_out": 2, "losses": "",
        "retries": 0, "cost": None, "error_kind": "tool", "arguments_hash": "ab", "arguments": '{"a":""}',
    }  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [
        {"client": "a\0b"},
        {"model": "\ud800"},
        {"group": "x" * 100_000},
        {"usage": Usage(10**40, -5, 10**30)},
        {"losses": tuple("abcdefghi" * 50)},
    ],
)
def test_what_others_send_is_made_to_fit(database: Database, file: Path, odd: dict[str, Any]) -> None:
    assert database.write([row_of(chat(**odd))]) == 0
    assert len(rows(file)) == 1


def test_a_row_that_no_database_takes_does_not_keep_others_back(database: Database, file: Path) -> None:
    bad = row_of(chat(2)) | {"time": None}
    assert database.write([row_of(chat(1)), bad, row_of(chat(3))]) == 1
    assert rows(file, "request_id") == [("r1",), ("r3",)]


def test_the_file_is_for_its_user_alone(database: Database, file: Path) -> None:
    if sys.platform == "win32":
        assert file.exists()
        return
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


# ---------------------------------------------------------------- migrations


def test_the_revisions_are_those_of_the_folder() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS
    assert len(REVISIONS) >= 2


def test_migrations_make_the_table(database: Database, file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_an_older_database_is_upgraded_with_its_rows(tmp_path: Path, revision: str) -> None:
    file = tmp_path / "usage.db"
    migrate(file, revision)
    old = row_of(chat(7))
    with closing(sqlite3.connect(file)) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(calls)") if name != "id"]
        marks = ", ".join("?" * len(columns))
        connection.execute(
            f"INSERT INTO calls ({', '.join(columns)}) VALUES ({marks})", [old[name] for name in columns]
        )
        connection.commit()
    database = Database(f"sqlite:///{file}")
    database.write([row_of(tool(8))])
    database.close()
    assert rows(file, "request_id, kind, profile") == [("r7", "chat", ""), ("", "tool", "p")]
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "usage.db"
    Database(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        before = list(connection.iterdump())
    with pytest.raises(UsageError, match=r"revision 9999, newer than this hub's \d+: use the newer hub"):
        Database(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        assert list(connection.iterdump()) == before


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "usage.db"
    file.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(UsageError, match=r"usage\.db: file is not a database"):
        Database(f"sqlite:///{file}")
    assert file.read_bytes().startswith(b"not a database")


def test_passwords_stay_out_of_errors() -> None:
    with pytest.raises(UsageError) as raised:
        Database("postgresql://hub:planted-secret@127.0.0.1:1/usage")
    assert "planted-secret" not in str(raised.value)
    assert "postgresql+psycopg://hub:***@127.0.0.1:1/usage" in str(raised.value)
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------- pruning


def test_what_is_too_old_goes_in_small_steps(database: Database, file: Path) -> None:
    database.write([row_of(chat(number)) for number in range(2500)])
    assert [database.prune(NOW + 2400, FOR_EVER) for _ in range(4)] == [True, True, False, False]
    assert rows(file, "min(time), count(*)") == [(NOW + 2400, 100)]


def test_what_is_too_much_goes_the_oldest_first(database: Database, file: Path) -> None:
    database.write([row_of(chat(number)) for number in range(10_000)])
    size = _size(file)
    limit = size // 2
    steps = 0
    while database.prune(0, limit):
        steps += 1
        assert steps < 20
    ((oldest, newest, count),) = rows(file, "min(time), max(time), count(*)")
    assert newest == NOW + 9_999
    assert oldest == NOW + 10_000 - count
    assert 3_000 < count < 6_000
    database.close()
    assert os.stat(file).st_size < limit * 1.1, "the file itself has become smaller"


def _size(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        ((pages,), (size,)) = (
            connection.execute(f"PRAGMA {one}").fetchone() for one in ("page_count", "page_size")
        )
    return int(pages * size)
