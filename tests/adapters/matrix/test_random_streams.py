"""Random streams by the event grammar, through each encoder and that protocol's decoder: the same meaning.

Parts overlap as those of parallel calls do, text comes in any pieces, keep-alives and counts stand anywhere,
signatures come early or late; the encoder gets the events in any batches, the decoder its bytes in any.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.assemble import Assembler
from adapters.canonical import (
    ChatError,
    ChatResponse,
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Signature,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from adapters.grammar import check
from adapters.jsontext import dump
from adapters.registry import codec
from tests.adapters.matrix import allowed, facts
from tests.adapters.matrix.cases import PROTOCOLS, reply
from tests.adapters.matrix.conversations import arguments, names, words
from tests.adapters.matrix.convert import decode_stream

quickly = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def one_part(draw: st.DrawFn, index: int, maker: str) -> list[StreamEvent]:
    """All events of a part, in their order."""
    kind = draw(st.sampled_from(["text", "thinking", "call", "call"]))
    part: Part = Text("")
    text = draw(words)
    late: list[StreamEvent] = []
    if kind == "thinking":
        signed = maker != "ollama" and draw(st.booleans())  # it has no place for signatures
        signature = Signature("c2lnbmVk", maker) if signed else None
        is_late = draw(st.booleans())
        part = Thinking("", None if is_late else signature)
        late = [PartUpdate(index, signature)] if signature and is_late else []
    elif kind == "call":
        part, text = ToolCall(f"call_{index}", draw(names)), dump(draw(arguments))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return [PartStart(index, part), *(PartDelta(index, piece) for piece in pieces), *late, PartEnd(index)]


@st.composite
def streams(draw: st.DrawFn, maker: str = "anthropic") -> list[StreamEvent]:
    """A whole stream of one answer. Only calls overlap: nobody talks while thinking."""
    running: list[list[StreamEvent]] = []
    events: list[StreamEvent] = [StreamStart("resp1", "m", 1_700_000_000)]
    between = st.sampled_from([None, None, None, KeepAlive(), UsageUpdate(Usage(3, 1))])
    called = False
    for index in range(draw(st.integers(1, 5))):
        mine = draw(one_part(index, maker))
        start = mine[0]
        assert isinstance(start, PartStart)
        is_call = isinstance(start.part, ToolCall)
        called = called or is_call
        if not is_call:
            events += [event for one in running for event in one]
            running = []
        events.append(mine.pop(0))
        running.append(mine)
        for _ in range(draw(st.integers(0, 6))):
            if waiting := [one for one in running if one]:
                events.append(draw(st.sampled_from(waiting)).pop(0))
            if (other := draw(between)) is not None:
                events.append(other)
        if not is_call:
            events += running.pop()
    events += [event for one in running for event in one]
    reason = FinishReason("tool_calls" if called else draw(st.sampled_from(["stop", "length"])))
    counts = Usage(draw(st.integers(1, 99)), draw(st.integers(1, 99)))
    return check([*events, Finish(reason), UsageUpdate(counts), StreamEnd()])


def _encoded(protocol: str, events: list[StreamEvent], sizes: list[int]) -> tuple[bytes, tuple[str, ...]]:
    encoder = codec(protocol).stream_encoder(reply(protocol, "text", stream=True))
    out, at, turn = b"", 0, 0
    while at < len(events):
        size = sizes[turn % len(sizes)]
        out += encoder.encode(events[at : at + size])
        at, turn = at + size, turn + 1
    return out, tuple(loss.code for loss in encoder.losses.taken())


def _whole(events: list[StreamEvent]) -> ChatResponse:
    assembler = Assembler()
    assembler.feed(events)
    assert assembler.response is not None
    return assembler.response


sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=st.data(), batches=sizes)
@quickly
def test_a_stream_means_the_same_behind_encoder_and_decoder(
    protocol: str, data: st.DataObject, batches: list[int]
) -> None:
    events = data.draw(streams(protocol))
    raw, codes = _encoded(protocol, events, batches)
    want, got = _whole(events), _whole(decode_stream(protocol, raw))
    lost = {name for row in allowed.rows("silent") if protocol in row.clients for name in row.names}
    told = {row.fact for row in allowed.told() if {*row.by} & {*codes}}
    changed = facts.differences(facts.of_response(want), facts.of_response(got))
    assert not [one for one in changed if one.kind not in lost | told | {*codes}]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(events=streams(), batches=sizes, size=st.integers(1, 70))
@quickly
def test_any_chunking_of_what_is_emitted_gives_the_same_events(
    protocol: str, events: list[StreamEvent], batches: list[int], size: int
) -> None:
    raw, _ = _encoded(protocol, events, batches)
    want = decode_stream(protocol, raw)
    assert decode_stream(protocol, raw, 1) == want
    assert decode_stream(protocol, raw, size) == want


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(events=streams(), batches=sizes, data=st.data())
@quickly
def test_a_broken_stream_ends_as_a_failure_and_never_clean(
    protocol: str, events: list[StreamEvent], batches: list[int], data: st.DataObject
) -> None:
    at = data.draw(st.integers(1, len(events) - 1))
    broken: list[StreamEvent] = [*events[:at], Failure(ChatError("overloaded", "too busy", 529))]
    raw, _ = _encoded(protocol, broken, batches)
    last = decode_stream(protocol, raw)[-1]
    assert isinstance(last, Failure)
    assert "too busy" in last.error.message


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(events=streams(), batches=sizes, data=st.data())
@quickly
def test_a_cut_stream_is_never_taken_for_whole(
    protocol: str, events: list[StreamEvent], batches: list[int], data: st.DataObject
) -> None:
    """Cut before the choice finished, between any two events."""
    finish = next(at for at, event in enumerate(events) if isinstance(event, Finish))
    raw, _ = _encoded(protocol, events[: data.draw(st.integers(0, finish))], batches)
    decoder = codec(protocol).stream_decoder()
    seen = check([*decoder.feed(raw), *decoder.close()])
    assert isinstance(seen[-1], Failure)
    assert seen[-1].error.status == 502
