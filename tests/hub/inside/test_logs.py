"""The log: what is written, where, and how it is read again."""

from __future__ import annotations

import io
import itertools
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.logs.files import LogFile, aside
from hub.logs.pipeline import LogPipeline
from hub.logs.reading import Wanted, follow, read
from hub.requests import REQUEST, Request
from hub.scrub import Scrubber
from hub.settings.observability import LogSettings
from tests.hub.inside.harness import by_model, serving, settings
from tests.routing.scripted_upstream import answers, scripted

EVERYTHING = Wanted()


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def make(tmp_path: Path, said: io.StringIO) -> Iterator[Callable[..., LogPipeline]]:
    """Pipelines that are closed at the end; the root logger is as it was then."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    made: list[LogPipeline] = []

    def start(**more: Any) -> LogPipeline:
        options = {"file": tmp_path / "hub.jsonl", **more}
        pipeline = LogPipeline(LogSettings(**options), "info", 1, stream=said)
        pipeline.start()
        made.append(pipeline)
        return pipeline

    yield start
    for pipeline in made:
        pipeline.close()
    root.handlers[:] = before
    root.setLevel(level)
    for name in ("hub", "routing", "adapters"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_a_chat_is_one_line_and_so_is_a_refusal(
    tmp_path: Path, make: Callable[..., LogPipeline], said: io.StringIO
) -> None:
    pipeline = make()
    refusing = answers({"error": {"message": "no such thing: provider-key-1234"}}, 400)
    async with scripted(by_model(bad=refusing)) as upstream:
        document = settings(upstream.url)
        document["groups"]["bad"] = {"provider": "up", "model": "bad"}
        async with serving(tmp_path, document, pipeline) as hub:
            good = await hub.chat(headers={"user-agent": "tester/1"})
            bad = await hub.chat("bad")
            gone = await hub.client.get(f"{hub.url}/no/such/path")
            assert (await hub.client.get(f"{hub.url}/healthz")).status_code == 200
    pipeline.close()
    found = lines(tmp_path / "hub.jsonl")
    access = {line["request"]: line for line in found if line["logger"] == "hub.access"}
    assert list(access) == [answer.headers["x-request-id"] for answer in (good, bad, gone)]
    first, second, third = access.values()
    assert first.items() >= {
        "level": "info", "kind": "chat", "group": "g", "target": "up/m", "status": 200, "protocol": "openai",
        "tokens_in": 5, "tokens_out": 2, "stream": False,
    }.items()  # fmt: skip
    assert 0 < first["first_byte"] <= first["duration"] < 30
    assert (second["level"], second["status"]) == ("warning", 400)
    assert second["error"] == "no such thing: ***"
    assert third.items() >= {"kind": "http", "path": "/no/such/path", "status": 404}.items()
    assert "hub.access" not in said.getvalue()


async def test_who_is_refused_at_the_door_is_told(tmp_path: Path, make: Callable[..., LogPipeline]) -> None:
    """Without the key itself, and without a name where the key is nobody's."""
    pipeline = make()
    keys = {"narrow": "narrow-key-0123456789", "few": "few-key-0123456789", "old": "old-key-0123456789"}
    async with scripted(by_model()) as upstream:
        document = settings(upstream.url)
        document["keys"] = {
            "narrow": {"key": keys["narrow"], "groups": []},
            "few": {"key": keys["few"], "rpm": 1},
            "old": {"key": keys["old"], "expires": "2020-01-01"},
        }
        async with serving(tmp_path, document, pipeline) as hub:
            for key in (keys["few"], keys["few"], keys["narrow"], keys["old"], "somebody-else"):
                await hub.client.post(
                    f"{hub.url}/g/v1/chat/completions",
                    json={"messages": [{"role": "user", "content": "hi"}]},
                    headers={"authorization": f"Bearer {key}"},
                )
    pipeline.close()
    found = [line for line in lines(tmp_path / "hub.jsonl") if line["logger"] == "hub.access"]
    assert [(line["kind"], line["status"], line.get("key")) for line in found] == [
        ("chat", 200, "few"),
        ("http", 429, "few"),
        ("http", 403, "narrow"),
        ("http", 401, "old"),
        ("http", 401, None),
    ]
    assert not any(key in (tmp_path / "hub.jsonl").read_text() for key in keys.values())


def test_an_event_has_the_id_of_its_request_and_no_secret(
    tmp_path: Path, make: Callable[..., LogPipeline], said: io.StringIO
) -> None:
    pipeline = make()
    pipeline.scrubber = Scrubber(["the-secret-value"])
    token = REQUEST.set(Request("request-77", "POST", "/x"))
    logging.getLogger("hub.some").warning("it says %s", "the-secret-value")
    REQUEST.reset(token)
    logging.getLogger("hub.some").debug("too little")
    logging.getLogger("elsewhere").warning("and a line of a library")
    try:
        raise ValueError("with the-secret-value")
    except ValueError:
        logging.getLogger("routing").exception("failed")
    pipeline.close()
    first, library, failed = lines(tmp_path / "hub.jsonl")
    assert (first["request"], first["message"], first["level"]) == ("request-77", "it says ***", "warning")
    assert library["logger"] == "elsewhere"
    assert "ValueError: with ***" in failed["trace"]
    shown = said.getvalue().splitlines()
    assert shown[0].endswith("WARNING hub.some: it says *** [request-77]")
    assert "the-secret-value" not in said.getvalue()


def test_no_pattern_can_break_a_line(tmp_path: Path, make: Callable[..., LogPipeline]) -> None:
    pipeline = make()
    pipeline.scrubber = Scrubber(["message"], [r'"logger":.*', r"customer.*"])
    logging.getLogger("hub").warning("the message is: customer-12")
    pipeline.close()
    (line,) = lines(tmp_path / "hub.jsonl")
    assert line["message"] == "the *** is: ***"
    assert line["logger"] == "hub"


def test_standard_error_can_have_json_and_without_a_file_it_has_everything(
    tmp_path: Path, make: Callable[..., LogPipeline], said: io.StringIO
) -> None:
    pipeline = make(file=False, format="json")
    refused = Request("request-78", "GET", "/nothing")
    refused.status = 404
    pipeline.done(refused)
    logging.getLogger("hub").warning("an event")
    pipeline.close()
    (first, second) = (json.loads(line) for line in said.getvalue().splitlines())
    assert (first["logger"], first["path"]) == ("hub.access", "/nothing")
    assert second["message"] == "an event"
    assert not (tmp_path / "hub.jsonl").exists()


def test_new_settings_hold_at_once(tmp_path: Path, make: Callable[..., LogPipeline]) -> None:
    pipeline = make()
    logging.getLogger("hub").info("first")
    pipeline.follow(LogSettings(file=tmp_path / "other.jsonl", level="warning"), "info")
    logging.getLogger("hub").info("not this")
    logging.getLogger("hub").warning("second")
    pipeline.close()
    assert [line["message"] for line in lines(tmp_path / "other.jsonl")][-1] == "second"
    everything = (tmp_path / "other.jsonl").read_text()
    assert "not this" not in everything


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
def test_a_full_disk_is_told_once_and_stops_nothing(
    make: Callable[..., LogPipeline], said: io.StringIO, tmp_path: Path
) -> None:
    full = tmp_path / "full.jsonl"
    full.symlink_to("/dev/full")
    pipeline = make(file=full)
    for number in range(3):
        logging.getLogger("hub").warning("event %d", number)
        deadline = time.monotonic() + 10
        while f"event {number}" not in said.getvalue():
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
    pipeline.close()
    assert said.getvalue().count("cannot be written") == 1


def test_files_are_bounded_and_private(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "logs" / "x.jsonl", 100, 2)
    for number in range(30):
        file.write(b'{"number": %02d, "level": "info"}\n' % number)
    file.close()
    names = sorted(path.name for path in file.path.parent.iterdir())
    assert names == ["x.jsonl", "x.jsonl.1", "x.jsonl.2"]
    assert all(path.stat().st_size <= 100 for path in file.path.parent.iterdir())
    assert {oct(os.stat(path).st_mode & 0o777) for path in file.path.parent.iterdir()} == {"0o600"}
    numbers = [line["number"] for line in read(file.path, EVERYTHING)]
    assert numbers == list(range(numbers[0], 30))
    assert len(numbers) > 3


@pytest.mark.parametrize("keep", [0, 1])
def test_few_are_kept(tmp_path: Path, keep: int) -> None:
    file = LogFile(tmp_path / "x.jsonl", 10, keep)
    for _ in range(5):
        file.write(b"123456789\n")
    file.close()
    assert len(list(tmp_path.iterdir())) == keep + 1


LINES = [
    {"time": "2026-01-01T10:00:00.000Z", "level": "debug", "request": "request-1", "group": "g"},
    {
        "time": "2026-01-01T11:00:00.000Z",
        "level": "warning",
        "message": "request request-1: up did not answer",
    },
    {"time": "2026-01-01T12:00:00.000Z", "level": "error", "request": "request-2", "group": "h"},
]


@pytest.mark.parametrize(
    ("wanted", "which"),
    [
        (Wanted(), [0, 1, 2]),
        (Wanted(request="request-1"), [0, 1]),
        (Wanted(level="warning"), [1, 2]),
        (Wanted(level="error"), [2]),
        (Wanted(group="h"), [2]),
        (Wanted(since=1767265200.0), [1, 2]),
        (Wanted(request="request-1", level="error"), []),
    ],
)
def test_lines_are_chosen(tmp_path: Path, wanted: Wanted, which: list[int]) -> None:
    file = tmp_path / "x.jsonl"
    text = "".join(json.dumps(line) + "\n" for line in LINES)
    file.write_text(text + 'half of a li\n[1]\n{"time": "2026')
    assert list(read(file, wanted)) == [LINES[number] for number in which]


def test_a_file_that_grows_is_followed_over_its_end(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "x.jsonl", 200, 3)
    numbers, written = itertools.count(), itertools.count()

    def write(_: float) -> None:
        """In place of waiting: one to three lines more."""
        for _ in range(1 + next(numbers) % 3):
            file.write(b'{"number": %d, "level": "info"}\n' % next(written))

    file.write(b'{"number": -1, "level": "info"}\n')
    found = follow(file.path, EVERYTHING, pause=write)
    assert [next(found)["number"] for _ in range(100)] == list(range(100))
    found.close()
    assert aside(file.path, 3).exists()
    file.close()
