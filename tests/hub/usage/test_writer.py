"""The queue and its thread: batches, trouble with the database, and the end."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from hub.settings.usage import UsageSettings
from hub.usage.report import spent
from hub.usage.writer import Pace, UsageWriter, default_url
from tests.hub.usage.samples import NOW, QUICK, chat, rows, settings, tool, until


@asynccontextmanager
async def writing(given: UsageSettings, pace: Pace = QUICK, **more: Any) -> AsyncIterator[UsageWriter]:
    writer = UsageWriter(given, pace=pace, **more)
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage.db"


async def test_what_is_taken_is_written_in_its_order(file: Path) -> None:
    async with writing(settings(file)) as writer:
        for number in range(95):
            writer.take(chat(number) if number % 2 else tool(number))
        await until(lambda: writer.status().written == 95)
        assert writer.status().state == "recording"
    assert rows(file, "time") == [(NOW + number,) for number in range(95)]


async def test_the_last_ones_are_written_at_the_end(file: Path) -> None:
    async with writing(settings(file), Pace(gather=3600)) as writer:
        writer.take(chat())
    assert len(rows(file)) == 1


async def test_without_calls_nothing_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with writing(UsageSettings()) as writer:
        assert writer.status().state == "waiting"
    assert list(tmp_path.iterdir()) == []
    async with writing(UsageSettings(keep=1e10)) as writer:
        writer.take(chat())
    assert len(rows(Path(default_url().removeprefix("sqlite:///")))) == 1


def test_the_start_loads_no_database_library() -> None:
    code = "import sys, hub.app; print([name for name in ('sqlalchemy', 'alembic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_off(file: Path) -> None:
    async with writing(settings(file, enabled=False)) as writer:
        writer.take(chat())
        assert writer.status().state == "off"
    assert not file.exists()


async def test_settings_are_followed(tmp_path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    async with writing(settings(first)) as writer:
        writer.take(chat(1))
        await until(lambda: writer.status().written == 1)
        writer.apply(settings(second))
        writer.take(chat(2))
        await until(lambda: writer.status().written == 2)
        writer.apply(settings(second, enabled=False))
        writer.take(chat(3))
    assert rows(first, "request_id") == [("r1",)]
    assert rows(second, "request_id") == [("r2",)]


async def test_a_locked_database(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hub.usage")
    async with writing(settings(file), pragmas={"busy_timeout": 10}) as writer:
        writer.take(chat(1))
        await until(lambda: writer.status().written == 1)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(2, 202):
                writer.take(chat(number))
            await until(lambda: writer.status().state == "failing")
            failing = writer.status()
            assert failing.reason is not None
            assert "database is locked" in failing.reason
            for number in range(202, 302):
                writer.take(chat(number))
            assert writer.status().queued <= QUICK.backlog + QUICK.batch
            assert writer.status().dropped >= 301 - 1 - QUICK.backlog - QUICK.batch
            other.execute("ROLLBACK")
        await until(lambda: writer.status().queued == 0)
        await until(lambda: writer.status().state == "recording")
        done = writer.status()
        assert done.written + done.dropped == 301
        assert done.written == len(rows(file))
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 2, "once when it begins, once when it is over"
    assert "usage is not being written" in told[0]
    assert f"{done.dropped} calls were left out" in told[1]


async def test_a_full_disk(file: Path) -> None:
    pragmas: dict[str, object] = {"max_page_count": 40}
    async with writing(settings(file), pragmas=pragmas) as writer:
        for _ in range(20):
            for number in range(QUICK.batch):
                writer.take(chat(number))
            await until(lambda: writer.status().queued == 0 or writer.status().state == "failing")
        assert "disk is full" in str(writer.status().reason)
        before = writer.status().written
        pragmas["max_page_count"] = 100_000
        await until(lambda: writer.status().state == "recording")
        await until(lambda: writer.status().queued == 0)
        assert writer.status().written > before
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file stands where the folder should be")
    file = blocked / "usage.db"
    async with writing(settings(file)) as writer:
        writer.take(chat())
        await until(lambda: writer.status().state == "failing")
        assert writer.status().queued == 1
        blocked.unlink()
        await until(lambda: writer.status().state == "recording")
    assert len(rows(file)) == 1


async def test_a_file_that_is_taken_away(file: Path) -> None:
    async with writing(settings(file)) as writer:
        writer.take(chat(1))
        await until(lambda: writer.status().written == 1)
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        writer.take(chat(2))
        await until(lambda: writer.status().written == 2)
    assert rows(file, "request_id") == [("r2",)]


async def test_a_database_of_a_newer_hub(file: Path) -> None:
    async with writing(settings(file)) as writer:
        writer.take(chat(1))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    async with writing(settings(file)) as writer:
        await until(lambda: writer.status().state == "failing")
        assert "newer than this hub's" in str(writer.status().reason)
        for number in range(QUICK.backlog + 5):
            writer.take(chat(number))
        assert writer.status().queued <= QUICK.backlog + QUICK.batch
    assert len(rows(file)) == 1


async def test_two_hubs_on_one_file(file: Path) -> None:
    roomy = Pace(gather=0.01, batch=20)
    async with writing(settings(file), roomy) as one, writing(settings(file), roomy) as other:
        for number in range(500):
            one.take(chat(number))
            other.take(tool(number))
        await until(lambda: one.status().written + other.status().written == 1000)
        assert (one.status().dropped, other.status().dropped) == (0, 0)
    assert rows(file, "sum(kind = 'chat'), sum(kind = 'tool')") == [(500, 500)]


async def test_old_calls_go_by_themselves(file: Path) -> None:
    async with writing(settings(file, keep="1h"), now=lambda: NOW + 10_000) as writer:
        writer.take(chat(0))
        writer.take(chat(9_000))
        await until(lambda: writer.status().written == 2)
        await until(lambda: len(rows(file)) == 1)
    assert rows(file, "request_id") == [("r9000",)]


async def test_what_a_key_has_spent(file: Path) -> None:
    async with writing(settings(file)) as writer:
        assert writer.spent("laptop", 0) == 0.0
        for number in range(10):
            writer.take(chat(number))
        writer.take(chat(11, cost=None))
        writer.take(chat(12, caller="other"))
        await until(lambda: writer.status().written == 12)
        assert writer.spent("laptop", 0) == pytest.approx(0.10)
        assert writer.spent("laptop", NOW + 5) == pytest.approx(0.05)
        assert writer.spent("nobody", 0) == 0.0
    assert spent(f"sqlite:///{file}", "other", 0) == pytest.approx(0.01)
