"""Whatever bytes and JSON come in: typed errors and Failure events, nothing else; and any chunking.

The damage is random from a fixed seed, so that a failure comes again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.canonical import StreamEvent
from adapters.codec import Reply
from adapters.errors import InvalidRequest, InvalidResponse, Unsupported
from adapters.grammar import check
from adapters.registry import codec
from tests.adapters.matrix.cases import (
    MODELS,
    PROTOCOLS,
    Case,
    TargetModel,
    arrival,
    case,
    cases_with,
    frames,
    reply,
)
from tests.adapters.matrix.convert import decode_stream
from tests.adapters.matrix.mutations import mutated

BYTE_STRINGS = 10_000
MUTATIONS = 5_000
STREAM_MUTATIONS = 3_000

STREAMS = cases_with("stream")
TARGETS = {protocol: TargetModel(model) for protocol, model in MODELS.items()}
REPLIES: dict[str, Reply] = {protocol: reply(protocol, "tools", stream=True) for protocol in PROTOCOLS}


def _of(cases: list[Case], protocol: str) -> list[Case]:
    return [one for one in cases if one.protocol == protocol]


def _feed(protocol: str, pieces: list[bytes]) -> list[StreamEvent]:
    decoder = codec(protocol).stream_decoder()
    return check([*(event for piece in pieces for event in decoder.feed(piece)), *decoder.close()])


# ---------------------------------------------------------------- chunkings


@pytest.mark.parametrize("one", STREAMS, ids=lambda one: f"{one.protocol}-{one.feature}")
def test_any_size_of_chunks_gives_the_same_events(one: Case) -> None:
    data = frames(one.protocol, one.stream)
    want = decode_stream(one.protocol, data)
    for size in (1, 2, 3, 5, 16, 61, 1024):
        assert decode_stream(one.protocol, data, size) == want
    assert decode_stream(one.protocol, data.replace(b"\n", b"\r\n"), 1) == want


@given(st.sampled_from(STREAMS), st.lists(st.integers(min_value=1, max_value=200), min_size=1))
def test_any_chunking_gives_the_same_events(one: Case, sizes: list[int]) -> None:
    data = frames(one.protocol, one.stream)
    pieces, start, turn = [], 0, 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[start : start + size])
        start, turn = start + size, turn + 1
    assert _feed(one.protocol, pieces) == decode_stream(one.protocol, data)


# ---------------------------------------------------------------- random bytes


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_random_bytes_are_failures_at_worst(protocol: str) -> None:
    """Pure noise, noise within the protocol's framing, and a true stream with bytes changed."""
    random = Random(f"bytes of {protocol}")
    streams = [frames(protocol, one.stream) for one in _of(STREAMS, protocol)]
    makers: list[Callable[[], bytes]] = [
        lambda: random.randbytes(random.randrange(40)),
        lambda: b"data: " + random.randbytes(random.randrange(20)) + b"\n\n",
        lambda: b"data: " + _near_json(random) + b"\n\n" + _near_json(random) + b"\n",
        lambda: _changed(random.choice(streams), random),
    ]
    for number in range(BYTE_STRINGS):
        _feed(protocol, [makers[number % 4 if number % 100 == 3 else number % 3]()])


def _near_json(random: Random) -> bytes:
    return bytes(
        random.choice(b'{}[]":,.0123456789truefalsnI\\u \xc3\xa9') for _ in range(random.randrange(12))
    )


def _changed(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randrange(1, 6)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_errors_are_read_from_any_bytes(protocol: str) -> None:
    random = Random(f"errors of {protocol}")
    given_error = case(protocol, "error_before_stream").error
    assert given_error is not None
    for number in range(MUTATIONS):
        body = mutated(given_error["body"], random)
        data = json.dumps(body).encode() if number % 2 else random.randbytes(random.randrange(40))
        headers = {
            "retry-after": random.choice(["", "7", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "1e999"])
        }
        status = random.choice([400, 401, 404, 418, 429, 500, 502, 529, 599])
        error = codec(protocol).decode_error(status, headers, data)
        for client in PROTOCOLS:
            told, answer = codec(client).encode_error(error)
            assert 400 <= told < 600
            json.dumps(answer)


# ---------------------------------------------------------------- damaged JSON


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_damaged_requests_are_invalid_or_can_be_sent(protocol: str) -> None:
    random = Random(f"requests of {protocol}")
    cases, nowhere = _of(cases_with("request"), protocol), list[str]()
    for number in range(MUTATIONS):
        body = mutated(random.choice(cases).request, random)
        if not isinstance(body, dict):
            continue
        try:
            request = codec(protocol).decode_request(body, arrival(protocol))
            target = PROTOCOLS[number % len(PROTOCOLS)]
            codec(target).encode_request(request, TARGETS[target])
        except InvalidRequest as error:
            nowhere += [str(error)] if not error.where else []
        except Unsupported:
            pass
        except Exception as error:
            raise AssertionError(f"{body!r}") from error
    assert not nowhere, "an error says where it is"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_damaged_answers_are_invalid_or_can_be_given(protocol: str) -> None:
    random = Random(f"answers of {protocol}")
    cases = _of(cases_with("answer"), protocol)
    for number in range(MUTATIONS):
        body = mutated(random.choice(cases).answer, random)
        if not isinstance(body, dict):
            continue
        try:
            response = codec(protocol).decode_response(body)
            client = PROTOCOLS[number % len(PROTOCOLS)]
            answer, _ = codec(client).encode_response(response, REPLIES[client])
            json.dumps(answer)
        except InvalidResponse:
            pass
        except Exception as error:
            raise AssertionError(f"{body!r}") from error


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_damaged_streams_are_failures_at_worst(protocol: str) -> None:
    random = Random(f"streams of {protocol}")
    cases = _of(STREAMS, protocol)
    for number in range(STREAM_MUTATIONS):
        whole = mutated({"all": list(random.choice(cases).stream)}, random)
        documents = whole.get("all") if isinstance(whole, dict) else whole
        documents = documents if isinstance(documents, list) else [documents]
        named = [{"type": "x"} | one if isinstance(one, dict) else {"type": one} for one in documents]
        readable = [{**one, "type": str(one["type"]).encode("ascii", "replace").decode()} for one in named]
        data = _framed(protocol, documents, readable)
        try:
            events = _feed(protocol, [data])
            client = PROTOCOLS[number % len(PROTOCOLS)]
            codec(client).stream_encoder(REPLIES[client]).encode(events)
        except Exception as error:
            raise AssertionError(f"{documents!r}") from error


def _framed(protocol: str, documents: Any, readable: list[dict[str, Any]]) -> bytes:
    if protocol in ("anthropic", "openai-responses"):
        return b"".join(
            b"event: %b\ndata: %b\n\n" % (name["type"].encode(), json.dumps(one).encode())
            for one, name in zip(documents, readable, strict=True)
        )
    lines = [one if one == "[DONE]" else json.dumps(one) for one in documents]
    joined = "".join(f"{line}\n" if protocol == "ollama" else f"data: {line}\n\n" for line in lines)
    return joined.encode()
