"""The benchmarks measure what they say."""

from __future__ import annotations

import pytest

from adapters.jsontext import dump_bytes
from adapters.registry import BUILT_IN, codec
from bench import conversion, guard

SIZES = {"1 KB": (900, 1_400), "20 KB": (18_000, 24_000), "200 KB": (190_000, 220_000)}


@pytest.mark.parametrize("protocol", BUILT_IN)
@pytest.mark.parametrize("size", conversion.SIZES)
def test_requests_have_the_size_of_their_heading(protocol: str, size: str) -> None:
    request = conversion.request(*conversion.SIZES[size])
    body = dump_bytes(codec(protocol).encode_request(request, conversion.TARGET).body)
    least, most = SIZES[size]
    assert least <= len(body) <= most


def test_every_pair_is_measured() -> None:
    rows = list(conversion.run(rounds=1, seconds=1e-6))
    assert {(row.client, row.target) for row in rows} == {(one, two) for one in BUILT_IN for two in BUILT_IN}
    assert all(len(row.requests) == len(conversion.SIZES) for row in rows)
    most = conversion.worst(rows)
    assert most.chunk == max(row.chunk for row in rows if row.client != row.target)


def test_the_guard_tells_what_grew() -> None:
    recorded = {"instructions": 10_000, "c_calls": 100, "bytes": 1_000}
    assert guard.grown("x", recorded, recorded) == []
    assert guard.grown("x", {"instructions": 10_500, "c_calls": 105, "bytes": 1_100}, recorded) == []
    assert guard.grown("x", {**recorded, "instructions": 10_600}, recorded) == [
        "x: instructions grew by 6% to 10,600 (recorded 10,000, allowed 5%)"
    ]
    assert len(guard.grown("x", {"instructions": 20_000, "c_calls": 200, "bytes": 2_000}, recorded)) == 3


def test_the_guard_counts_the_same_each_time() -> None:
    name = "passthrough, small, 32 connections"
    first, second = guard.measure(name), guard.measure(name)
    assert (first["instructions"], first["c_calls"]) == (second["instructions"], second["c_calls"])
    assert first["instructions"] > 1_000
