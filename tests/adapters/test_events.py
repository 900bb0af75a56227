"""The event grammar, and the three modules that reshape streams by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.assemble import Assembler
from adapters.canonical import (
    ChatError,
    ChatResponse,
    Choice,
    Failure,
    Finish,
    FinishReason,
    Media,
    Opaque,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Refusal,
    Signature,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    UrlSource,
    Usage,
    UsageUpdate,
)
from adapters.grammar import Grammar, GrammarError, check
from adapters.replay import replay
from adapters.sequence import Sequencer
from adapters.signatures import for_client, from_client

START, END = StreamStart("id", "model"), StreamEnd()
STOP = Finish(FinishReason("stop", "stop"))
CALL_A, CALL_B = ToolCall("a", "one"), ToolCall("b", "two")
INTERLEAVED: list[StreamEvent] = [
    START,
    PartStart(0, CALL_A),
    PartStart(1, CALL_B),
    PartDelta(1, "{"),
    PartDelta(0, '{"x":'),
    PartEnd(1),
    PartDelta(0, "1}"),
    PartEnd(0),
    STOP,
    END,
]

OUT_OF_ORDER: dict[str, list[StreamEvent]] = {
    "nothing": [],
    "no start": [PartStart(0, Text(""))],
    "two starts": [START, START],
    "no finish": [START, END],
    "no end": [START, STOP],
    "after the end": [START, STOP, END, UsageUpdate(Usage())],
    "after a failure": [START, Failure(ChatError("upstream", "cut", 502)), END],
    "index skipped": [START, PartStart(1, Text(""))],
    "index used twice": [START, PartStart(0, Text("")), PartEnd(0), PartStart(0, Text(""))],
    "delta without start": [START, PartDelta(0, "a")],
    "delta after end": [START, PartStart(0, Text("")), PartEnd(0), PartDelta(0, "a")],
    "delta for media": [START, PartStart(0, Media("image", UrlSource("x"))), PartDelta(0, "a")],
    "end twice": [START, PartStart(0, Text("")), PartEnd(0), PartEnd(0)],
    "finish with an open part": [START, PartStart(0, Text("")), STOP],
    "finish twice": [START, STOP, STOP],
    "part after finish": [START, STOP, PartStart(0, Text(""))],
    "skeleton with text": [START, PartStart(0, Text("a"))],
}


@pytest.mark.parametrize("name", OUT_OF_ORDER)
def test_out_of_order(name: str) -> None:
    with pytest.raises(GrammarError):
        check(OUT_OF_ORDER[name])


def test_interleaved_parts_are_in_order() -> None:
    assert check(INTERLEAVED) == INTERLEAVED


words = st.text(max_size=8)
signatures = st.none() | st.builds(Signature, st.text(min_size=1), st.just("gemini"))
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, words),
    st.builds(Refusal, words),
    st.builds(Thinking, words, signature=signatures),
    st.builds(ToolCall, words, words, words, signature=signatures),
    st.just(Media("image", UrlSource("http://127.0.0.1/a.png"))),
    st.just(Opaque("anthropic", "server_tool_use", {"id": "x"})),
)
responses = st.builds(
    ChatResponse,
    id=words,
    model=words,
    choices=st.lists(st.lists(parts, max_size=5), min_size=1, max_size=2).map(
        lambda choices: tuple(
            Choice(tuple(parts), FinishReason("stop", "stop"), index) for index, parts in enumerate(choices)
        )
    ),
    usage=st.none() | st.builds(Usage, st.integers(0), st.integers(0)),
)


@given(responses)
def test_replayed_and_assembled_again(response: ChatResponse) -> None:
    assembler = Assembler()
    assembler.feed(check(replay(response)))
    assert assembler.response == response


@given(st.data())
def test_sequencer_opens_one_part_at_a_time(data: st.DataObject) -> None:
    """Interleave parts at random; in sequence they are the same parts, one after the other."""
    texts = data.draw(st.lists(st.lists(words, max_size=4), max_size=4))
    queues: list[list[StreamEvent]] = [
        [PartStart(i, ToolCall(str(i), "f")), *(PartDelta(i, t) for t in deltas), PartEnd(i)]
        for i, deltas in enumerate(texts)
    ]
    mixed: list[StreamEvent] = [START]
    started = 0
    while any(queues):
        ready = [i for i, queue in enumerate(queues) if queue and (i <= started)]
        chosen = data.draw(st.sampled_from(ready))
        started = max(started, chosen + 1)
        mixed.append(queues[chosen].pop(0))
    mixed += [STOP, END]

    sequencer = Sequencer()
    out = [event for event in check(mixed) for event in sequencer.feed([event])]

    open_parts: set[int] = set()
    for event in check(out):
        if isinstance(event, PartStart):
            assert not open_parts
            open_parts.add(event.index)
        elif isinstance(event, PartEnd):
            open_parts.remove(event.index)
    before, after = Assembler(), Assembler()
    before.feed(mixed)
    after.feed(out)
    assert after.response == before.response


def test_nothing_waits_where_nothing_overlaps() -> None:
    sequencer = Sequencer()
    events: list[StreamEvent] = [START, PartStart(0, Text("")), PartDelta(0, "a"), PartEnd(0)]
    assert [sequencer.feed([event]) for event in events] == [[event] for event in events]


def test_what_waited_comes_out_before_a_failure() -> None:
    failure = Failure(ChatError("upstream", "cut", 502))
    out = Sequencer().feed([*INTERLEAVED[:5], failure])
    assert out == [
        START,
        PartStart(0, CALL_A),
        PartDelta(0, '{"x":'),
        PartEnd(0),
        PartStart(1, CALL_B),
        PartDelta(1, "{"),
        failure,
    ]


def test_assembler_keeps_what_comes_late() -> None:
    assembler = Assembler()
    assembler.feed(
        [
            START,
            PartStart(0, Thinking("")),
            PartDelta(0, "why"),
            PartUpdate(0, Signature("sig", "anthropic"), {"anthropic": {"a": [1]}}),
            PartUpdate(0, None, {"anthropic": {"a": [2], "b": 3}}),
            PartEnd(0),
            STOP,
        ]
    )
    assert assembler.response is None
    assembler.feed([END])
    assert assembler.response is not None
    assert assembler.response.choices[0].parts == (
        Thinking("why", Signature("sig", "anthropic"), extensions={"anthropic": {"a": [1, 2], "b": 3}}),
    )


def test_a_failed_stream_gives_no_answer() -> None:
    assembler, error = Assembler(), ChatError("upstream", "cut", 502)
    assembler.feed([START, Failure(error)])
    assert (assembler.response, assembler.error) == (None, error)


def test_grammar_table_names_every_event() -> None:
    import typing

    from adapters.grammar import NEXT

    assert {kind for row in NEXT.values() for kind in row} == set(typing.get_args(StreamEvent))
    assert Grammar().state in NEXT


@given(st.text(), st.sampled_from(["anthropic", "gemini", "openai-responses"]))
def test_signatures_survive_a_foreign_client(value: str, origin: str) -> None:
    signature = Signature(value, origin)
    carried = for_client(signature, "openai")
    assert carried.isascii()
    assert from_client(carried, "openai") == signature
    assert for_client(signature, origin) == value
