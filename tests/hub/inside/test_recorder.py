"""Recordings: whole, masked, bounded, and never in the way."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.recorder.comparing import Told, agree, differences, told
from hub.recorder.document import body_of, document_of
from hub.recorder.recorder import Recorder
from hub.recorder.store import Store, entries, find
from hub.recorder.tape import Body, Tape
from hub.requests import Request
from hub.scrub import Scrubber
from hub.settings.observability import RecorderSettings
from routing.usage import Record
from tests.hub.inside.harness import ANSWER, STREAM, by_model, delta, serving, settings
from tests.routing.scripted_upstream import answers, scripted, streams


def until(done: Callable[[], bool]) -> None:
    """Recordings are written by a thread."""
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def recorded(file: Path, count: int) -> list[dict[str, Any]]:
    """So many documents, the oldest first."""
    until(lambda: file.exists() and _count(file) >= count)
    return [find(file, entry.id)[0] for entry in reversed(list(entries(file)))]


def _count(file: Path) -> int:
    try:
        return len(list(entries(file)))
    except sqlite3.OperationalError:  # it is being made
        return 0


async def test_an_exchange_is_kept_whole_on_both_sides(tmp_path: Path, state: Path) -> None:
    busy = answers({"error": {"message": "busy"}}, 429)
    async with (
        scripted(by_model(busy=busy)) as upstream,
        serving(tmp_path, settings(upstream.url, recorder={})) as hub,
    ):
        headers = {"authorization": "Bearer abc", "cookie": "a=b"}
        answer = await hub.chat("second", stream=True, headers=headers)
        (document,) = await asyncio.to_thread(recorded, state / "recordings.db", 1)
    request, (refused, asked), given = document["request"], document["attempts"], document["answer"]
    assert document["id"] == answer.headers["x-request-id"]
    assert request["path"] == "/second/v1/chat/completions"
    assert body_of(request) == answer.request.content
    assert request["headers"]["cookie"] == "***"
    assert "authorization" not in request["headers"]
    assert "Bearer abc" not in str(document)
    assert (refused["target"], refused["answer"]["status"]) == ("up/busy", 429)
    assert (asked["target"], asked["protocol"], asked["answer"]["status"]) == ("up/m", "openai", 200)
    assert asked["request"]["headers"]["authorization"] == "***"
    assert body_of(asked["request"]) == upstream.requests[1].body
    assert body_of(asked["answer"]) == b"".join(STREAM)
    assert body_of(given) == answer.content
    assert given["status"] == 200
    assert sum(size for _, size in given["times"]) == len(answer.content)
    assert document["outcome"].items() >= {"group": "second", "target": "up/m", "tokens_in": 5}.items()
    assert oct(os.stat(state / "recordings.db").st_mode & 0o777) == "0o600"


async def test_off_nothing_is_kept_and_groups_can_be_chosen(tmp_path: Path, state: Path) -> None:
    async with scripted(by_model()) as upstream:
        document = settings(upstream.url)
        async with serving(tmp_path, document) as hub:
            await hub.chat()
            assert not (state / "recordings.db").exists()
            await hub.reload({**document, "recorder": {"groups": ["sec*"]}})
            await hub.chat()
            await hub.chat("second")
            (kept,) = await asyncio.to_thread(recorded, state / "recordings.db", 1)
            await hub.reload({**document, "recorder": {"enabled": False}})
            await hub.chat("second")
        assert kept["outcome"]["group"] == "second"
        assert len(list(entries(state / "recordings.db"))) == 1


async def test_a_client_that_leaves_and_a_stream_that_breaks_are_kept(tmp_path: Path, state: Path) -> None:
    broken = streams(delta("Hel"), cut=True)
    endless = streams(delta("Hello"), stall=True)
    async with scripted(by_model(m=broken, endless=endless)) as upstream:
        document = settings(upstream.url, recorder={})
        document["groups"]["endless"] = {"provider": "up", "model": "endless"}
        async with serving(tmp_path, document) as hub:
            body = {
                "model": "x",
                "stream": True,
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "hi"}],
            }
            await hub.client.post(f"{hub.url}/g/v1/messages", json=body)
            async with hub.client.stream("POST", f"{hub.url}/endless/v1/messages", json=body) as answer:
                assert b"Hello" in await anext(answer.aiter_bytes())
            first, second = await asyncio.to_thread(recorded, state / "recordings.db", 2)
    assert first["attempts"][0]["error"] == "reset"
    assert b"error" in body_of(first["answer"])
    assert second["outcome"]["error"] == "the client went away"
    assert b"Hello" in body_of(second["answer"])


def tape(id: str = "request-1", text: str = "hi", limit: int = 1000, at: float | None = None) -> Tape:  # noqa: A002
    request = Request(id, "POST", "/g/v1/chat/completions")
    request.status = 200
    request.record = Record(id, "openai", "chat", 200, group="g", provider="up", model="m")
    scope = {"headers": [(b"content-type", b"application/json")], "query_string": b"a=b&api-key=abcdefgh"}
    made = Tape(request, scope, limit)
    made.body.add(text.encode())
    made.answer.add(b"answer")
    if at is not None:
        made.time = at
    return made


def test_secrets_and_own_patterns_are_masked() -> None:
    made = tape(
        text='{"content": "my-own-secret, customer-12, sk-ant-0123456789abcdefghij, Bearer abcdefghijkl"}'
    )
    scrubber = Scrubber(["my-own-secret"]).with_patterns([r"customer-\d+"])
    document = document_of(made, scrubber)
    assert document["request"]["body"] == '{"content": "***, ***, ***, Bearer ***"}'
    assert document["request"]["query"] == "a=b&api-key=***"


@pytest.mark.parametrize("limit", [0, 3, 6, 100])
def test_long_bodies_are_cut_and_say_so(limit: int) -> None:
    body = Body(limit, 0.0)
    for piece in (b"abc", b"", b"def"):
        body.add(piece)
    assert body.data == b"abcdef"[:limit]
    assert (body.size, body.complete) == (6, limit >= 6)


def test_bytes_that_are_no_text_come_back() -> None:
    made = tape()
    made.body.add(b"\xff\xfe\x00 my-own-secret")
    part = document_of(made, Scrubber(["my-own-secret"]))["request"]
    assert body_of(part) == b"hi\xff\xfe\x00 ***"


def test_the_oldest_go_first_by_age_and_by_size(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.db")
    noise = os.urandom(30_000).hex()
    scrubber = Scrubber()
    store.add([document_of(tape(f"old-{n}", at=100.0), scrubber) for n in range(3)])
    store.add([document_of(tape(f"new-{n}", noise, 10**6, at=1000.0 + n), scrubber) for n in range(20)])
    assert store.prune(before=500.0, max_size=10**9) == 3
    before = store.size()
    assert store.prune(before=500.0, max_size=before // 2) > 5
    assert store.size() <= before // 2
    store.close()
    kept = [entry.id for entry in entries(tmp_path / "r.db")]
    assert kept == [f"new-{n}" for n in range(19, 19 - len(kept), -1)]
    assert (tmp_path / "r.db").stat().st_size < before


def test_ids_are_found_by_their_beginning_and_are_no_patterns(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.db")
    store.add([document_of(tape(name), Scrubber()) for name in ("abc_1", "abcd1", "xyz")])
    store.close()
    assert [one["id"] for one in find(tmp_path / "r.db", "abc_")] == ["abc_1"]
    assert [one["id"] for one in find(tmp_path / "r.db", "abc")] == ["abcd1", "abc_1"]
    assert find(tmp_path / "r.db", "%") == []


def test_a_place_that_cannot_be_written_costs_recordings_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    recorder = Recorder(RecorderSettings(file=tmp_path / "file" / "r.db"), Scrubber())
    recorder.start()
    for number in range(3):
        recorder.take(tape(f"request-{number}"))
    recorder.close()
    warnings = [record.getMessage() for record in caplog.records if record.name == "hub.recorder"]
    assert len(warnings) == 1
    assert "serves on" in warnings[0]


def test_a_database_that_is_none_costs_recordings_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "r.db").write_bytes(b"this is no database, and long enough to be looked at" * 100)
    recorder = Recorder(RecorderSettings(file=tmp_path / "r.db"), Scrubber())
    recorder.start()
    recorder.take(tape())
    recorder.close()
    assert "not a database" in caplog.text


# ---------------------------------------------------------------- comparing


def test_a_whole_answer_and_a_stream_of_the_same_agree() -> None:
    import json

    from adapters.registry import codec

    openai = codec("openai")
    whole = told(openai, 200, "application/json", json.dumps(ANSWER).encode(), target="a/b")
    streamed = told(openai, 200, "text/event-stream", b"".join(STREAM), target="c/d", duration=2.0)
    assert (whole.text, whole.stop, whole.tokens_in, whole.tokens_out) == ("Hello there", "stop", 5, 2)
    assert agree(whole, streamed)
    assert [row.what for row in differences(whole, streamed) if not row.same] == []


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Told(200, "Hello", stop="length"), {"stop"}),
        (Told(200, "Hallo!", stop="stop"), {"text length"}),
        (Told(429, error="busy"), {"status", "error", "stop", "text length"}),
        (Told(200, "Hello", calls=(("look", {"a": 1}),), stop="stop"), {"tool calls"}),
        (Told(200, "Hello", stop="stop", tokens_out=9), {"tokens out"}),
    ],
)
def test_what_differs_is_named(other: Told, what: set[str]) -> None:
    one = Told(200, "Hello", stop="stop")
    assert {row.what for row in differences(one, other) if not row.same} == what
    assert agree(one, other) is (what == {"tokens out"})


def test_errors_and_broken_streams_are_read() -> None:
    from adapters.registry import codec

    openai = codec("openai")
    refused = told(openai, 429, "application/json", b'{"error": {"message": "slowly"}}')
    assert (refused.status, refused.error) == (429, "slowly")
    assert "end" in told(openai, 200, "text/event-stream", STREAM[0]).error
    assert told(openai, 200, "application/json", b"[1, 2").error
