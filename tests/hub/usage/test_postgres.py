"""The same database in PostgreSQL: a server of its own for this test, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from hub.usage.database import Database, UsageError
from hub.usage.records import row_of
from hub.usage.report import BY, Filter, report, spent
from hub.usage.writer import UsageWriter
from tests.hub.mcp.harness import free_port
from tests.hub.usage.samples import NOW, QUICK, chat, database_settings, tool, until

EVER = Filter(0, NOW * 2)


def _programs() -> Path | None:
    """Debian keeps them out of the path, a folder for each version."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


PROGRAMS = _programs()
pytestmark = [
    pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL's `initdb` is not installed here"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs a Unix user to run as"),
]


class Server:
    """PostgreSQL refuses to run as root: it gets the user that its package has made."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAMS is not None
        self._programs = PROGRAMS
        self._data = folder / "data"
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
            self._as = {"user": "postgres"}
        self.port = free_port()
        self.url = f"postgresql+psycopg://hub@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "hub", "--no-sync")

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._data} -F"
        self._run("pg_ctl", "-D", str(self._data), "-o", options, "-l", f"{self._data}/log", "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / name), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=self._data.parent,
            timeout=60,
            **self._as,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # Not below pytest's folder, which root alone may enter.
    with TemporaryDirectory(prefix="hub-postgres-") as folder:
        running = Server(Path(folder))
        running.start()
        yield running
        running.stop()


async def test_calls_are_written_and_summed(server: Server) -> None:
    writer = UsageWriter(database_settings(server.url), pace=QUICK)
    writer.start()
    for number in range(60):
        writer.take(chat(number, client="with\0nul", model="\ud800"))
    for number in range(30):
        writer.take(tool(number))
    await until(lambda: writer.status().written == 90)
    await writer.close()
    for by in BY:
        total = report(server.url, by, EVER).total
        assert (total.requests, total.tool_calls) == (
            0 if by == "tool" else 60,
            0 if by in ("group", "model", "provider") else 30,
        )
    assert spent(server.url, "laptop", NOW + 30) == pytest.approx(0.30)


async def test_the_server_goes_away_and_comes_back(server: Server) -> None:
    writer = UsageWriter(database_settings(server.url), pace=QUICK)
    writer.start()
    await until(lambda: writer.status().state == "recording")
    server.stop()
    try:
        writer.take(chat())
        await until(lambda: writer.status().state == "failing")
        assert "hub@127.0.0.1" in str(writer.status().reason)
    finally:
        server.start()
    await until(lambda: writer.status().written == 1)
    assert writer.status().dropped == 0
    await writer.close()


def test_pruning_and_odd_rows(server: Server) -> None:
    database = Database(server.url)
    bad = row_of(chat()) | {"status": 2**40}
    assert database.write([row_of(chat(number, time=5.0)) for number in range(1500)] + [bad]) == 1
    assert [database.prune(6.0, 10**9) for _ in range(3)] == [True, False, False]
    assert report(server.url, "day", Filter(0, 6.0)).total.requests == 0
    database.close()


def test_a_database_that_is_not_there(server: Server) -> None:
    with pytest.raises(UsageError, match='database "nowhere" does not exist'):
        Database(server.url.replace("/postgres", "/nowhere"))
