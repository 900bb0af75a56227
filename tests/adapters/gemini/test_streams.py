"""Streams, both ways: events of any chunking, and chunks that Google's SDK reads."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from google.genai import types as genai
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.assemble import Assembler
from adapters.canonical import (
    Base64Source,
    ChatError,
    ChatResponse,
    Choice,
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
    Media,
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
    Tool,
    ToolCall,
    Usage,
    UsageUpdate,
)
from adapters.gemini import CODEC
from adapters.replay import replay
from adapters.tool_names import flat_name
from tests.adapters.gemini.support import (
    ARRAY,
    as_array,
    as_sse,
    asked,
    chunk,
    chunks_of,
    events_of,
    reply,
    streamed,
)

USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 14}

ANSWER = [
    chunk({"text": "I ", "thought": True}, usageMetadata={"promptTokenCount": 9}),
    chunk({"text": "think", "thought": True}),
    chunk({"text": "Grüße "}),
    chunk(
        {"text": '\u2028 {}[]\\"'},
        {"functionCall": {"name": "f", "args": {"q": "}]"}}, "thoughtSignature": "czE="},
    ),
    chunk({"functionCall": {"name": "f", "args": {}}}),
    chunk({"text": ""}, finishReason="STOP", usageMetadata=USAGE),
]


def whole(events: list[StreamEvent]) -> ChatResponse:
    assembler = Assembler()
    assembler.feed(events)
    assert assembler.response is not None, assembler.error
    return assembler.response


def test_a_stream_says_what_the_whole_answer_says() -> None:
    response = whole(events_of(as_sse(ANSWER)))
    thought, text, first, second = response.choices[0].parts
    assert thought == Thinking("I think")
    assert text == Text('Grüße \u2028 {}[]\\"')
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert (first.arguments, first.signature) == ('{"q":"}]"}', Signature("czE=", "gemini"))
    assert (second.arguments, second.signature) == ("{}", None)
    assert first.id != second.id
    assert response.choices[0].finish == FinishReason("tool_calls", "STOP")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (9, 5)
    assert (response.id, response.model) == ("R-1", "gemini-2.5-flash")


def test_what_is_known_of_the_input_is_told_at_the_start() -> None:
    start = events_of(as_sse(ANSWER))[0]
    assert isinstance(start, StreamStart)
    assert start.usage is not None
    assert start.usage.input_tokens == 9


@pytest.mark.parametrize(
    "data", [as_sse(ANSWER), as_sse(ANSWER, "\n\n"), as_sse(ANSWER, "\r\r"), as_array(ANSWER)]
)
@pytest.mark.parametrize("step", [1, 2, 7, 64])
def test_any_chunking_gives_the_same_events(data: bytes, step: int) -> None:
    assert events_of(data, step) == events_of(as_sse(ANSWER))


@given(st.lists(st.integers(0, len(as_array(ANSWER))), max_size=12), st.booleans())
@settings(max_examples=60)
def test_random_chunkings(cuts: list[int], array: bool) -> None:
    data = as_array(ANSWER) if array else as_sse(ANSWER)
    decoder = CODEC.stream_decoder()
    events: list[StreamEvent] = []
    places = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(places):
        events += decoder.feed(data[start:end])
    assert [*events, *decoder.close()] == events_of(as_sse(ANSWER))


def test_text_is_told_at_once() -> None:
    decoder = CODEC.stream_decoder()
    events = decoder.feed(as_sse([chunk({"text": "He"})]))
    assert events[-1] == PartDelta(0, "He")


def test_a_stop_in_every_chunk_is_one_stop() -> None:
    events = events_of(as_sse([chunk({"text": word}, finishReason="STOP") for word in "abc"]))
    assert whole(events).choices[0].parts == (Text("abc"),)
    assert sum(isinstance(event, Finish) for event in events) == 1


def test_text_thought_and_text_are_three_parts() -> None:
    chunks = [
        chunk({"text": "a"}),
        chunk({"text": "b", "thought": True}),
        chunk({"text": "c"}, finishReason="STOP"),
    ]
    assert whole(events_of(as_sse(chunks))).choices[0].parts == (Text("a"), Thinking("b"), Text("c"))


def test_a_signature_ends_its_part() -> None:
    chunks = [
        chunk({"text": "a"}),
        chunk({"text": "", "thoughtSignature": "czE="}),
        chunk({"text": "b"}, finishReason="STOP"),
    ]
    first, second = whole(events_of(as_sse(chunks))).choices[0].parts
    assert first == Text("a", {"gemini": {"thoughtSignature": "czE="}})
    assert second == Text("b")


def test_candidates_do_not_mix() -> None:
    def both(a: str, b: str, **more: Any) -> dict[str, Any]:
        one, two = chunk({"text": a}, **more), chunk({"text": b}, **more)
        two["candidates"][0]["index"] = 1
        return {**one, "candidates": [*one["candidates"], *two["candidates"]]}

    response = whole(events_of(as_sse([both("a", "x"), both("b", "y", finishReason="STOP")])))
    assert [choice.parts for choice in response.choices] == [(Text("ab"),), (Text("xy"),)]


def test_grounding_of_the_last_chunk_wins_over_empty_ones() -> None:
    found = {"webSearchQueries": ["q"]}
    chunks = [
        chunk({"text": "a"}, groundingMetadata=found),
        chunk({"text": "b"}, finishReason="STOP", groundingMetadata={}),
    ]
    assert whole(events_of(as_sse(chunks))).choices[0].extensions == {"gemini": {"groundingMetadata": found}}


def test_arguments_in_pieces() -> None:
    def piece(*pieces: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"functionCall": {**({"partialArgs": list(pieces)} if pieces else {}), **more}}

    chunks = [
        chunk(piece(name="f", id="x", willContinue=True)),
        chunk(piece({"jsonPath": "$.city", "stringValue": "New ", "willContinue": True}, willContinue=True)),
        chunk(piece({"jsonPath": "$.city", "stringValue": "York"}, willContinue=True)),
        chunk(
            piece(
                {"jsonPath": "$.days[0].n", "numberValue": 2},
                {"jsonPath": "$.days[1]['n']", "nullValue": "NULL_VALUE"},
                {"jsonPath": "$.now", "boolValue": True},
                willContinue=True,
            )
        ),
        chunk({"functionCall": {}}),
        chunk({"text": "so"}, finishReason="STOP"),
    ]
    call, text = whole(events_of(as_sse(chunks))).choices[0].parts
    assert isinstance(call, ToolCall)
    assert (call.id, call.name) == ("x", "f")
    assert json.loads(call.arguments) == {"city": "New York", "days": [{"n": 2}, {"n": None}], "now": True}
    assert text == Text("so")


def test_long_integers_keep_their_digits() -> None:
    number = 12345678901234567890123
    data = as_sse([chunk({"functionCall": {"name": "f", "args": {"n": number}}}, finishReason="STOP")])
    call = whole(events_of(data)).choices[0].parts[0]
    assert isinstance(call, ToolCall)
    assert call.arguments == f'{{"n":{number}}}'


def test_a_blocked_prompt() -> None:
    events = events_of(
        as_sse([{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE}])
    )
    assert whole(events).choices[0].finish == FinishReason("content_filter", "PROHIBITED_CONTENT")


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        as_sse(ANSWER[:3]),
        as_array(ANSWER)[:-200],
        as_sse(ANSWER)[:-100],
        b"data: {broken\n\n",
        b"data: 5\n\n",
        b"[5]",
        b'data: {"candidates": [5]}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":5}}]}}]}\n\n',
        as_sse([{"usageMetadata": USAGE}]),
    ],
)
def test_a_stream_without_its_end_is_a_failure(data: bytes) -> None:
    last = events_of(data)[-1]
    assert isinstance(last, Failure)
    assert last.error.kind == "upstream"


@pytest.mark.parametrize("write", [as_sse, as_array])
def test_an_error_within_the_stream(write: Any) -> None:
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    last = events_of(write([*ANSWER[:2], error]))[-1]
    assert isinstance(last, Failure)
    assert (last.error.kind, last.error.status, last.error.message) == ("overloaded", 503, "overloaded")


# ---------------------------------------------------------------- to a client

EVENTS: list[StreamEvent] = [
    StreamStart("chatcmpl-1", "gpt-x", usage=Usage(5)),
    PartStart(0, Thinking("")),
    PartDelta(0, "hm"),
    PartUpdate(0, Signature("YQ==", "anthropic")),
    PartEnd(0),
    PartStart(1, Text("")),
    PartDelta(1, "Hello "),
    PartDelta(1, "wörld"),
    PartEnd(1),
    PartStart(2, ToolCall("c1", "f")),
    PartStart(3, ToolCall("c2", "g")),
    PartDelta(2, '{"a"'),
    PartDelta(3, ""),
    PartDelta(2, ":1}"),
    PartEnd(2),
    PartEnd(3),
    Finish(FinishReason("tool_calls", "tool_calls")),
    UsageUpdate(Usage(10, 7, 4, None, 3)),
    StreamEnd(),
]


def parts_of(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for one in chunks:
        genai.GenerateContentResponse.model_validate(one)
    return [part for one in chunks for part in one["candidates"][0]["content"]["parts"]]


def test_chunks_for_a_client() -> None:
    chunks = chunks_of(streamed(EVENTS))
    thought, signature, hello, world, first, second, end = parts_of(chunks)
    assert thought == {"text": "hm", "thought": True}
    assert signature.keys() == {"text", "thought", "thoughtSignature"}
    assert (hello, world) == ({"text": "Hello "}, {"text": "wörld"})
    assert first["functionCall"] == {"name": "f", "args": {"a": 1}, "id": "c1"}
    assert second["functionCall"] == {"name": "g", "args": {}, "id": "c2"}
    assert end == {"text": ""}
    assert all("finishReason" not in one["candidates"][0] for one in chunks[:-1])
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert chunks[-1]["usageMetadata"] == {
        "promptTokenCount": 10,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 17,
        "cachedContentTokenCount": 4,
    }
    assert {(one["responseId"], one["modelVersion"]) for one in chunks} == {("chatcmpl-1", "gpt-x")}


def test_all_events_at_once_are_two_chunks_at_most() -> None:
    encoder = CODEC.stream_encoder(reply())
    chunks = chunks_of(encoder.encode(EVENTS))
    assert len(chunks) <= 2
    assert {"text": "Hello wörld"} in parts_of(chunks)


def test_text_goes_out_at_once_and_calls_when_they_are_whole() -> None:
    encoder = CODEC.stream_encoder(reply())
    encoder.encode([StreamStart("r", "m")])
    assert encoder.encode([PartStart(0, Text("")), PartDelta(0, "a")])
    assert encoder.encode([PartEnd(0), PartStart(1, ToolCall("c", "f")), PartDelta(1, "{")]) == b""
    assert encoder.encode([PartDelta(1, "}"), PartEnd(1)])


def test_an_array_where_the_client_asked_for_none_of_sse() -> None:
    chunks = json.loads(streamed(EVENTS, ARRAY))
    assert parts_of(chunks) == parts_of(chunks_of(streamed(EVENTS)))


@pytest.mark.parametrize("action", ["streamGenerateContent?alt=sse", ARRAY])
def test_a_failure_is_said_and_nothing_after_it(action: str) -> None:
    failure = Failure(ChatError("overloaded", "too much", 529, retry_after=3))
    data = streamed([*EVENTS[:7], failure, *EVENTS[7:]], action)
    chunks = json.loads(data) if action == ARRAY else chunks_of(data)
    assert chunks[-1]["error"] == {
        "code": 503,
        "message": "too much",
        "status": "UNAVAILABLE",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}],
    }
    assert "finishReason" not in data.decode()
    assert isinstance(events_of(data)[-1], Failure)


def test_a_sign_of_life_is_nothing_that_sdks_take_for_data() -> None:
    data = streamed([EVENTS[0], KeepAlive(), *EVENTS[1:5], KeepAlive(), *EVENTS[5:]])
    assert chunks_of(data) == chunks_of(streamed(EVENTS))
    assert json.loads(streamed([EVENTS[0], KeepAlive(), *EVENTS[1:]], ARRAY))
    assert not [line for line in data.split(b"\n") if line and not line.startswith(b"data: ")]


def test_calls_come_back_under_their_declared_names() -> None:
    events: list[StreamEvent] = [
        StreamStart("r", "m"),
        PartStart(0, ToolCall("c", flat_name("do.it"))),
        PartEnd(0),
        Finish(FinishReason("tool_calls")),
        StreamEnd(),
    ]
    part = parts_of(chunks_of(streamed(events, request=asked(tools=(Tool("do.it"),)))))[0]
    assert part["functionCall"]["name"] == "do.it"


PARTS = st.one_of(
    st.text(min_size=1, max_size=20).map(Text),
    st.text(min_size=1, max_size=20).map(Thinking),
    st.builds(
        ToolCall,
        st.text("abc123", min_size=1, max_size=8),
        st.text("fgh_", min_size=1, max_size=8),
        st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=3).map(json.dumps),
    ),
    st.just(Media("image", Base64Source("aaaa"), "image/png")),
)


@given(st.lists(PARTS, max_size=6), st.sampled_from(["stop", "length", "content_filter"]), st.booleans())
@settings(max_examples=150)
def test_what_is_encoded_is_decoded_again(parts: list[Any], stop: Any, array: bool) -> None:
    """Neighbouring texts of one kind become one: Gemini cannot tell them apart."""
    calls = any(isinstance(part, ToolCall) for part in parts)
    reason = "tool_calls" if stop == "stop" and calls else stop
    answer = ChatResponse("r", "m", (Choice(tuple(parts), FinishReason(reason)),), Usage(3, 4))
    data = streamed(replay(answer), ARRAY if array else "streamGenerateContent?alt=sse")
    again = whole(events_of(data))
    assert shape(again.choices[0].parts) == shape(parts)
    assert again.choices[0].finish.unified == reason
    assert again.usage is not None
    assert (again.usage.input_tokens, again.usage.output_tokens) == (3, 4)


def shape(parts: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for part in parts:
        match part:
            case Text() | Thinking():
                if found and found[-1][0] == part.tag:
                    found[-1] = (part.tag, found[-1][1] + part.text)
                else:
                    found.append((part.tag, part.text))
            case ToolCall():
                found.append((part.tag, part.id, part.name, json.loads(part.arguments)))
            case _:
                found.append((part.tag,))
    return found
