"""The usage is found in a stream that passes through, in any chunking, and little of the stream is kept."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from adapters import registry
from routing.usage_watch import UsageWatch
from tests.routing.samples import SAMPLES, TEXT


def watched(pieces: list[bytes]) -> UsageWatch:
    watch = UsageWatch(pieces[0])
    for piece in pieces[1:]:
        watch.feed(piece)
    return watch


def long_stream(protocol: str, deltas: int) -> list[bytes]:
    """A sample with its first delta again and again."""
    events = list(SAMPLES[protocol].stream)
    at = next(index for index, event in enumerate(events) if TEXT.split()[0].encode() in event)
    return [*events[:at], *[events[at]] * deltas, *events[at:]]


@pytest.mark.parametrize("size", [None, 1, 7, 4096])
@pytest.mark.parametrize("protocol", SAMPLES)
def test_the_usage_of_a_long_stream(protocol: str, size: int | None) -> None:
    pieces = long_stream(protocol, 1_000)
    if size is not None:
        first, rest = pieces[0], b"".join(pieces[1:])  # a stream's first event comes at once
        pieces = [first, *(rest[start : start + size] for start in range(0, len(rest), size))]
    usage = watched(pieces).usage(registry.codec(protocol))
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (7, 3)


@pytest.mark.parametrize("length", [10_000, 50_000])
def test_the_last_event_of_responses_repeats_all(length: int) -> None:
    *events, last = SAMPLES["openai-responses"].stream
    document = json.loads(last.partition(b"data: ")[2])
    document["response"]["output"][0]["content"][0]["text"] = "x" * length
    last = b"event: response.completed\ndata: " + json.dumps(document).encode() + b"\n\n"
    pieces = [*events, *(last[start : start + 1000] for start in range(0, len(last), 1000))]
    usage = watched(pieces).usage(registry.codec("openai-responses"))
    assert usage is not None
    assert usage.output_tokens == 3


def test_one_long_line_without_an_end() -> None:
    line = json.dumps({"text": "x" * 20_000, "done": True, "prompt_eval_count": 7, "eval_count": 3}).encode()
    pieces = [line[start : start + 100] for start in range(0, len(line), 100)]
    assert watched(pieces).end() == line


@pytest.mark.parametrize("protocol", SAMPLES)
def test_what_is_kept_of_a_stream_is_bounded(protocol: str) -> None:
    pieces = long_stream(protocol, 5_000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        watch = UsageWatch(pieces[0])
        for piece in pieces[1:]:
            watch.feed(bytes(bytearray(piece)))  # its own memory, as a read's
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 32_000
    assert watch.size == sum(map(len, pieces))
