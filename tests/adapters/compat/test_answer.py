"""Answers and streams of which text becomes calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.assemble import Assembler
from adapters.canonical import (
    ChatError,
    ChatResponse,
    Choice,
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    StopReason,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from adapters.compat import CallsInStream, response_with_calls
from adapters.compat.calls import Call
from adapters.grammar import Grammar, check
from adapters.replay import replay
from tests.adapters.compat.forms import FORMS, NOT_CALLS, ROME, TAG, TIME, TIME_TAG, TOOLS

USAGE = Usage(10, 5, cached_tokens=2)


def answer(*parts: Part, stop: StopReason = "stop", **more: Any) -> ChatResponse:
    finish = FinishReason(stop, raw="raw", **more)
    return ChatResponse("id", "model", (Choice(parts, finish),), USAGE, created=9)


def expected(items: list[str | Call]) -> tuple[Part, ...]:
    parts: list[Part] = []
    calls = 0
    for item in items:
        if isinstance(item, str):
            parts.append(Text(item))
        else:
            parts.append(ToolCall(f"call_stem_{calls}", item.name, item.arguments))
            calls += 1
    return tuple(parts)


def read(response: ChatResponse) -> ChatResponse:
    return response_with_calls(response, TOOLS, "stem")


def cut(events: list[StreamEvent], sizes: list[int]) -> list[list[StreamEvent]]:
    """The stream with its text in pieces of these sizes, each event a read of its own."""
    out: list[list[StreamEvent]] = []
    for event in events:
        if not isinstance(event, PartDelta):
            out.append([event])
            continue
        rest = event.text
        for size in sizes:
            if rest:
                out.append([replace(event, text=rest[:size])])
                rest = rest[size:]
        out.append([replace(event, text=rest)])
    return out


def streamed(response: ChatResponse, sizes: list[int]) -> ChatResponse:
    calls, assembler, seen = CallsInStream(TOOLS, "stem"), Assembler(), []
    for events in cut(replay(response), sizes):
        seen += calls.feed(events)
    assembler.feed(check(seen))
    assert assembler.response is not None
    return assembler.response


@pytest.mark.parametrize("name", FORMS)
def test_calls_stand_in_the_place_of_their_text(name: str) -> None:
    text, items = FORMS[name]
    response = read(answer(Text(text)))
    assert response.choices[0].parts == expected(items)
    assert response.choices[0].finish == FinishReason("tool_calls")
    assert response.usage == USAGE


@pytest.mark.parametrize("name", NOT_CALLS)
def test_an_answer_without_calls_is_the_same(name: str) -> None:
    response = answer(Thinking("hm"), Text(NOT_CALLS[name], {"openai": {"annotations": [1]}}))
    assert read(response) == response
    assert streamed(response, [3, 1, 4, 1, 5]) == response


@given(
    st.lists(st.sampled_from([text for text, _ in FORMS.values()] + list(NOT_CALLS.values())), max_size=4),
    st.lists(st.integers(0, 25), max_size=15),
)
@settings(max_examples=300, deadline=None)
def test_a_stream_gives_what_the_whole_answer_gives(texts: list[str], sizes: list[int]) -> None:
    response = answer(*map(Text, texts))
    assert streamed(response, sizes) == read(response)


@pytest.mark.parametrize(
    ("stop", "after"),
    [
        ("stop", "tool_calls"),
        ("stop_sequence", "tool_calls"),
        ("other", "tool_calls"),
        ("tool_calls", "tool_calls"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("context_window", "context_window"),
    ],
)
def test_the_stop_reason(stop: StopReason, after: StopReason) -> None:
    response = answer(Text(TAG), stop=stop)
    assert read(response).choices[0].finish.unified == after
    assert streamed(response, [7]).choices[0].finish == read(response).choices[0].finish
    assert read(answer(Text("x"), stop=stop)) == answer(Text("x"), stop=stop)


def test_the_hubs_own_stop_sequence_is_none_of_the_clients() -> None:
    stopped = answer(Text("x"), stop="stop_sequence", stop_sequence="<tool_response")
    assert read(stopped).choices[0].finish == FinishReason("stop")
    others = answer(Text("x"), stop="stop_sequence", stop_sequence="END")
    assert read(others) == others


def test_native_calls_and_thoughts_stay() -> None:
    native = ToolCall("a", "now", "{}")
    response = read(answer(Thinking(TAG), Text(TIME_TAG), native))
    assert response.choices[0].parts == (Thinking(TAG), *expected([TIME]), native)
    assert streamed(answer(Thinking(TAG), Text(TIME_TAG), native), [5]) == response


def test_ids_count_over_all_choices() -> None:
    choices = tuple(Choice((Text(TAG),), FinishReason("stop"), index) for index in range(2))
    response = ChatResponse("id", "model", choices)
    ids = [
        part.id for choice in read(response).choices for part in choice.parts if isinstance(part, ToolCall)
    ]
    assert ids == ["call_stem_0", "call_stem_1"]
    assert streamed(response, [4]) == read(response)


def test_parts_that_overlap() -> None:
    events: list[StreamEvent] = [
        StreamStart("id", "m"),
        PartStart(0, Text("")),
        PartDelta(0, "Hm <tool"),
        PartStart(1, ToolCall("a", "now")),
        PartDelta(1, "{}"),
        PartDelta(0, "s>."),
        PartEnd(1),
        PartEnd(0),
        Finish(FinishReason("tool_calls")),
        StreamEnd(),
    ]
    assembler = Assembler()
    assembler.feed(check(CallsInStream(TOOLS, "stem").feed(events)))
    assert assembler.response is not None
    assert assembler.response.choices[0].parts == (Text("Hm <tools>."), ToolCall("a", "now", "{}"))


def test_what_belongs_to_text_stays_with_it() -> None:
    probability, citation = {"openai": {"logprobs": [1]}}, {"openai": {"annotations": [2]}}
    events: list[StreamEvent] = [
        StreamStart("id", "m"),
        PartStart(0, Text("", {"anthropic": {"x": 1}})),
        PartDelta(0, "a <", extensions=probability),
        PartDelta(0, "b", extensions=probability),
        PartUpdate(0, extensions=citation),
        PartDelta(0, "<", extensions=probability),
        PartEnd(0),
        Finish(FinishReason("stop")),
        UsageUpdate(USAGE),
        StreamEnd(),
    ]
    plain, passed = Assembler(), Assembler()
    plain.feed(events)
    passed.feed(check(CallsInStream(TOOLS, "stem").feed(events)))
    assert passed.response == plain.response


def test_a_broken_stream_keeps_what_was_held_back() -> None:
    calls, grammar = CallsInStream(TOOLS, "stem"), Grammar()
    failure = Failure(ChatError("upstream", "cut", 502))
    events = calls.feed(
        [StreamStart("id", "m"), PartStart(0, Text("")), PartDelta(0, "a <tool_call>{"), failure]
    )
    for event in events:
        grammar.feed(event)
    assert [event.text for event in events if isinstance(event, PartDelta)] == ["a ", "<tool_call>{"]
    assert events[-1] == failure


def test_a_long_call_gives_signs_of_life() -> None:
    calls = CallsInStream(TOOLS, "stem")
    calls.feed([StreamStart("id", "m"), PartStart(0, Text(""))])
    calls.feed([PartDelta(0, '<tool_call>{"name": "get_weather", "arguments": {"city": "')])
    events = [event for _ in range(100) for event in calls.feed([PartDelta(0, "x" * 100)])]
    assert events == [KeepAlive()] * (10_000 // 1024)
    events = calls.feed([PartDelta(0, '"}}</tool_call>')])
    assert [type(event) for event in events] == [PartStart, PartDelta, PartEnd]


def test_the_first_words_come_at_once() -> None:
    calls = CallsInStream(TOOLS, "stem")
    calls.feed([StreamStart("id", "m"), PartStart(0, Text(""))])
    assert calls.feed([PartDelta(0, "I ")]) == [PartStart(0, Text("")), PartDelta(0, "I ")]
    assert calls.feed([PartDelta(0, "look <")]) == [PartDelta(0, "look ")]
    assert calls.feed([PartDelta(0, f"{TAG[1:]}\nx")])[-1] == PartDelta(2, "\nx")
    assert ROME.name == "get_weather"
