"""`hub usage`, with and without a running hub."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from hub.cli import usage as command
from hub.usage.database import Database
from hub.usage.records import row_of
from tests.hub.cli.conftest import Cli, RunningHub
from tests.hub.usage.samples import chat, tool

DAY = 86400.0


@pytest.fixture
def used(cli: Cli) -> Cli:
    """Calls of the last days in the usual place."""
    now = time.time()
    database = Database(f"sqlite:///{cli.folder / 'home/.local/state/ccproxy-hub/usage.db'}")
    calls = [
        chat(group="kimi", time=now - 60),
        chat(group="kimi", time=now - 3 * DAY, cost=0.25),
        chat(group="local", time=now - 60, cost=None, provider="far", client="=cmd()"),
        chat(group="old", time=now - 40 * DAY),
        tool(time=now - 60),
    ]
    database.write([row_of(call) for call in calls])
    database.close()
    return cli


def test_a_table(used: Cli) -> None:
    outcome = used("usage", "--by", "group")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.rows == [
        ["kimi", "2", "0", "0", "2000", "800", "200", "60", "0.26", "0.25", "1.5"],
        ["local", "1", "0", "0", "1000", "400", "100", "30", "", "0.25", "1.5"],
    ]


def test_by_day_is_the_default(used: Cli) -> None:
    rows = used("usage").rows
    assert len(rows) in (2, 3)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert sum(int(row[1]) for row in rows) == 3


@pytest.mark.parametrize(
    ("arguments", "requests"),
    [
        (("--since", "1d"), 2),
        (("--since", "90d"), 4),
        (("--since", "90d", "--until", "30d"), 1),
        (("--group", "kimi"), 2),
        (("--provider", "far"), 1),
        (("--model", "nope"), 0),
        (("--of-key", "laptop"), 3),
        (("--client", "=cmd()"), 1),
    ],
)
def test_what_is_chosen(used: Cli, arguments: tuple[str, ...], requests: int) -> None:
    assert used("usage", "--json", *arguments).json["total"]["requests"] == requests


def test_csv(used: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(used("usage", "--by", "client", "--csv").out)))
    assert [row["name"] for row in rows] == ["claude-cli", "'=cmd()", "an-ide"], (
        "no formulas for spreadsheets"
    )
    assert (rows[0]["requests"], rows[0]["cost"], rows[1]["cost"]) == ("2", "0.26", "")


def test_before_anything_was_used(cli: Cli) -> None:
    outcome = cli("usage")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.error().startswith("nothing was used since ")
    assert cli("usage", "--json").json["rows"] == []
    assert not (cli.folder / "home" / ".local").exists(), "reading makes nothing"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--by", "week"), 2, "week"),
        (("--since", "soon"), 2, "`soon` is no time: write it like 7d"),
        (("--json", "--csv"), 2, "give either --json or --csv"),
        (("--port", "1"), 1, "no hub runs at"),
    ],
)
def test_wrong_use_and_failure(cli: Cli, arguments: tuple[str, ...], status: int, words: str) -> None:
    outcome = cli("usage", *arguments)
    assert (outcome.status, outcome.out) == (status, "")
    assert words in outcome.error()


def test_a_database_that_cannot_be_read(cli: Cli) -> None:
    file = cli.folder / "broken.db"
    file.write_bytes(b"something else altogether" * 100)
    cli.write({"usage": {"url": f"sqlite:///{file}"}})
    outcome = cli("usage")
    assert (outcome.status, outcome.out) == (1, "")
    assert "broken.db: file is not a database" in outcome.error()


def test_of_a_running_hub(shared: tuple[Cli, RunningHub]) -> None:
    cli, hub = shared
    assert cli("chat", "answers", "Hello").status == 0
    assert cli("call", "example_add", '{"a": 1, "b": 2}').status == 0
    assert cli("chat", "refuses", "Hello").status == 1
    deadline = time.monotonic() + 20
    while True:
        asked: Any = cli("usage", "--by", "group", "--json", "--url", hub.url).json
        if len(asked["rows"]) == 2 or time.monotonic() > deadline:
            break
    assert {row["name"]: row["failed"] for row in asked["rows"]} == {"answers": 0, "refuses": 1}
    assert cli("usage", "--by", "group", "--json").json["rows"] == asked["rows"]
    assert cli("usage", "--by", "tool").rows[0][:3] == ["example/add", "0", "1"]
    assert cli("status", "--json").json["usage"]["state"] == "recording"


def test_a_chart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "on_terminal", lambda: True)
    monkeypatch.setattr("hub.cli.output.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    total = dict.fromkeys(
        ("tool_calls", "failed", "tokens_cached", "tokens_reasoning", "unpriced", "estimated"), 0
    )
    small = {**total, "name": "b", "requests": 1, "tokens_in": 9, "tokens_out": 1, "cost": 0.0125}
    small |= {"first_byte": 0.5, "duration": 1.25}
    large = {**small, "name": "a", "requests": 1234, "cost": 0.1, "unpriced": 3}
    rows = [large, small]
    command._print({"by": "group", "since": "2026", "rows": rows, "total": {**large, "name": "total"}})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == [
        "group",
        "requests",
        "tokens",
        "in",
        "out",
        "cost",
        "first",
        "byte",
        "duration",
        "cost",
    ]
    assert lines[2] == ["a", "1,234", "9", "1", "$0.1000+", "0.50", "s", "1.25", "s", "█" * 20]
    assert lines[3] == ["b", "1", "9", "1", "$0.0125", "0.50", "s", "1.25", "s", "██▌"]
    assert lines[4][0] == "total"


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(120, set()), (80, {"first", "byte"}), (60, {"first", "byte", "duration", "failed"})],
)
def test_a_chart_on_a_narrow_terminal(
    width: int, left_out: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns are left out rather than cells broken into lines."""
    monkeypatch.setattr(command, "on_terminal", lambda: True)
    monkeypatch.setattr("hub.cli.output.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    total = dict.fromkeys(("tool_calls", "tokens_cached", "tokens_reasoning", "unpriced"), 0)
    row = {
        **total,
        "name": "one/good",
        "requests": 1234,
        "failed": 5,
        "tokens_in": 123456,
        "tokens_out": 1234,
    }
    row |= {"cost": 12.5, "first_byte": 0.5, "duration": 1.25, "estimated": 0}
    rows = [row, {**row, "name": "two", "cost": 6.25}]
    command._print({"by": "model", "since": "2026", "rows": rows, "total": {**row, "name": "total"}})
    out = capsys.readouterr().out
    assert all(len(line.rstrip()) <= width for line in out.splitlines())
    heading, _, body = out.partition("─")
    words = {"requests", "failed", "tokens", "in", "out", "cost", "first", "byte", "duration", "model"}
    assert set(heading.split()) == words - left_out
    lines = [line.split() for line in body.splitlines()[1:] if line.strip()]
    assert [line[0] for line in lines] == ["one/good", "two", "total"]
    bars = [line[-1].count("█") for line in lines[:2]]
    assert bars[0] >= 6
    assert bars[1] == bars[0] // 2


def test_help_names_the_columns(cli: Cli) -> None:
    told = cli("usage", "--help").out
    for option in ("--by", "--since", "--until", "--group", "--json", "--csv"):
        assert option in told


def test_settings_elsewhere(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.db"
    database = Database(f"sqlite:///{file}")
    database.write([row_of(chat(time=time.time() - 5))])
    database.close()
    settings = cli.write({"usage": {"url": f"sqlite:///{file}", "enabled": False}}, "other.yaml")
    outcome = cli("usage", "--config", str(settings), "--json")
    assert json.loads(outcome.out)["total"]["requests"] == 1
    assert "`usage.enabled` is false" in outcome.err
