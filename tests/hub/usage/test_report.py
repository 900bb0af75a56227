"""Sums of calls by what they have in common."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.canonical import Usage
from hub.usage.database import Database
from hub.usage.moments import moment
from hub.usage.records import row_of
from hub.usage.report import BY, By, Filter, Report, report
from tests.hub.usage.samples import NOW, chat, tool

EVER = Filter(0, NOW * 2)
CALLS = (
    chat(1),
    chat(2, group="h", provider="local", cost=0.0, caller="", client="curl"),
    chat(3, model="n", cost=None, first_byte=0.75, estimated=True),
    chat(4, status=502, usage=None, cost=None, first_byte=None, error_kind="upstream", attempts=3),
    tool(5),
    tool(6, error_kind="tool", server="clock", tool="now", caller="other"),
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    address = f"sqlite:///{tmp_path / 'usage.db'}"
    database = Database(address)
    database.write([row_of(call) for call in CALLS])
    database.close()
    return address


def names(found: Report) -> list[str]:
    return [row.name for row in found.rows]


def test_sums(url: str) -> None:
    (row,) = report(url, "day", EVER, ZoneInfo("UTC")).rows
    assert row.plain() == {
        "name": "2025-11-24",
        "requests": 4,
        "tool_calls": 2,
        "failed": 2,
        "retries": 5,
        "tokens_in": 3000,
        "tokens_cached": 1200,
        "tokens_cache_write": 150,
        "tokens_out": 300,
        "tokens_reasoning": 90,
        "estimated": 1,
        "cost": 0.01,
        "unpriced": 1,
        "first_byte": pytest.approx((0.25 + 0.25 + 0.75) / 3, abs=1e-4),
        "duration": pytest.approx((4 * 1.5 + 2 * 0.5) / 6, abs=1e-4),
        "bytes_in": 0,
        "bytes_out": 0,
    }


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("group", {"g": 3, "h": 1}),
        ("model", {"up/m": 2, "up/n": 1, "local/m": 1}),
        ("provider", {"up": 3, "local": 1}),
        ("key", {"laptop": 4, "": 1, "other": 1}),
        ("client", {"claude-cli": 3, "curl": 1, "an-ide": 2}),
        ("tool", {"files/read": 1, "clock/now": 1}),
    ],
)
def test_by(url: str, by: By, expected: dict[str, int]) -> None:
    found = report(url, by, EVER)
    assert {row.name: row.requests + row.tool_calls for row in found.rows} == expected
    assert found.total.requests + found.total.tool_calls == sum(expected.values())


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"group": "h"}, 1),
        ({"group": "H"}, 0),
        ({"model": "n"}, 1),
        ({"provider": "up"}, 3),
        ({"key": "laptop"}, 4),
        ({"client": "an-ide"}, 2),
        ({"key": "' OR 1=1 --"}, 0),
        ({"since": NOW + 3}, 4),
        ({"until": NOW + 3}, 2),
    ],
)
def test_filters(url: str, given: dict[str, object], count: int) -> None:
    total = report(url, "day", dataclasses.replace(EVER, **given)).total  # type: ignore[arg-type]
    assert total.requests + total.tool_calls == count


def test_the_dearest_come_first(url: str) -> None:
    assert names(report(url, "provider", EVER)) == ["up", "local"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns", "Europe/Berlin"])
def test_days_are_those_of_the_clock_on_the_wall(tmp_path: Path, zone: str) -> None:
    """Also where a day has 23 or 25 hours, or begins at a quarter of one."""
    url, place = f"sqlite:///{tmp_path / 'usage.db'}", ZoneInfo(zone)
    moments = [
        datetime.fromisoformat(text).replace(tzinfo=place)
        for day in ("2026-03-29", "2026-10-25")
        for text in (f"{day}T00:00:01", f"{day}T23:59:58")
    ]
    database = Database(url)
    database.write([row_of(chat(time=each.timestamp())) for each in moments])
    database.close()
    found = report(url, "day", EVER, place)
    assert [(row.name, row.requests) for row in found.rows] == [("2026-03-29", 2), ("2026-10-25", 2)]


def test_before_anything_was_written(tmp_path: Path) -> None:
    for by in BY:
        found = report(f"sqlite:///{tmp_path / 'none.db'}", by, EVER)
        assert (found.rows, found.total.requests) == ((), 0)
    assert list(tmp_path.iterdir()) == []


def test_it_is_json(url: str) -> None:
    document = json.loads(json.dumps(report(url, "group", EVER).plain()))
    assert [row["name"] for row in document["rows"]] == ["g", "h"]
    assert document["total"]["tokens_in"] == 3000
    assert document["since"].startswith("1970-01-01T00:00:00")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7d", NOW - 604800), ("12h", NOW - 43200), ("90", NOW - 90), ("2025-11-24T16:00:00+00:00", NOW)],
)
def test_moments(text: str, seconds: float) -> None:
    assert moment(text, NOW) == seconds


def test_a_date_begins_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moment("2026-11-22", NOW) == datetime(2026, 11, 22).timestamp()
    with pytest.raises(ValueError, match="`soon` is no time: write it like 7d"):
        moment("soon", NOW)


def test_sums_with_no_usage_have_no_cost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    database = Database(url)
    database.write([row_of(chat(cost=None, usage=Usage(1, 1)))])
    database.close()
    total = report(url, "day", EVER).total
    assert (total.cost, total.unpriced) == (None, 1)
