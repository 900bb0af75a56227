"""Streams, both ways: any chunking, the order of events, and what the SDK makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.anthropic import CODEC
from adapters.anthropic.names import OUTPUT_TOOL
from adapters.assemble import Assembler
from adapters.canonical import (
    ChatError,
    ChatResponse,
    Choice,
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
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
    Usage,
    UsageUpdate,
)
from adapters.grammar import check
from adapters.replay import replay
from tests.adapters.anthropic.support import (
    accumulated,
    answer,
    body,
    decode,
    decode_stream,
    encode_stream,
    frames,
    parsed,
    reply,
)
from tests.adapters.anthropic.test_response import MESSAGE

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        **{key: MESSAGE[key] for key in ("id", "type", "role", "model")},
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 4,
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
}
STOP = {"type": "message_stop"}


def block_start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def block_stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    counts = {"output_tokens": 12, **usage}
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": counts}


def text_block(index: int, *pieces: str) -> list[dict[str, Any]]:
    return [
        block_start(index, {"type": "text", "text": ""}),
        *(delta(index, "text_delta", text=piece) for piece in pieces),
        block_stop(index),
    ]


CITATION = {
    "type": "web_search_result_location",
    "cited_text": "c",
    "encrypted_index": "i",
    "title": "T",
    "url": "https://example.com",
}

WHOLE = [
    START,
    {"type": "ping"},
    block_start(0, {"type": "thinking", "thinking": "", "signature": ""}),
    delta(0, "thinking_delta", thinking="Hm "),
    delta(0, "thinking_delta", thinking="\u2028 so 🌧"),
    delta(0, "signature_delta", signature="sig"),
    block_stop(0),
    block_start(1, {"type": "redacted_thinking", "data": "data"}),
    block_stop(1),
    block_start(2, {"type": "text", "text": "", "citations": []}),
    delta(2, "text_delta", text="It ü"),
    delta(2, "citations_delta", citation=CITATION),
    delta(2, "text_delta", text=" rains"),
    block_stop(2),
    block_start(3, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
    delta(3, "input_json_delta", partial_json='{"query"'),
    delta(3, "input_json_delta", partial_json=':"x"}'),
    block_stop(3),
    block_start(4, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
    block_stop(4),
    block_start(5, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}),
    delta(5, "input_json_delta", partial_json=""),
    delta(5, "input_json_delta", partial_json='{"a": '),
    delta(5, "input_json_delta", partial_json="1}"),
    block_stop(5),
    block_start(6, {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}),
    block_stop(6),
    end("tool_use", server_tool_use={"web_search_requests": 1, "web_fetch_requests": 0}),
    STOP,
]


def assembled(events: list[StreamEvent]) -> ChatResponse:
    assembler = Assembler()
    assembler.feed(check(events))
    assert assembler.response is not None
    return assembler.response


# ---------------------------------------------------------------- decoding


def test_events_of_a_whole_stream() -> None:
    found = assembled(decode_stream(frames(*WHOLE)))
    thinking, redacted, text, call, result, first, second = found.choices[0].parts
    assert thinking == Thinking("Hm \u2028 so 🌧", Signature("sig", "anthropic"))
    assert redacted == Thinking("", Signature("data", "anthropic"), redacted=True)
    assert text == Text("It ü rains", {"anthropic": {"citations": [CITATION]}})
    assert isinstance(call, Opaque)
    assert call.value["input"] == {"query": "x"}
    assert isinstance(result, Opaque)
    assert result.kind == "web_search_tool_result"
    assert first == ToolCall("toolu_1", "look", '{"a": 1}')
    assert second == ToolCall("toolu_2", "now", "")
    assert found.choices[0].finish.unified == "tool_calls"
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.cached_tokens) == (13, 12, 4)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_any_chunking_gives_the_same_events(size: int, newline: bytes) -> None:
    data = frames(*WHOLE).replace(b"\n", newline)
    assert decode_stream(data, size) == decode_stream(frames(*WHOLE))


def test_text_comes_at_once() -> None:
    decoder = CODEC.stream_decoder()
    decoder.feed(frames(START, block_start(0, {"type": "text", "text": ""})))
    assert decoder.feed(frames(delta(0, "text_delta", text="Hi"))) == [PartDelta(0, "Hi")]


def test_pings_are_signs_of_life() -> None:
    assert decode_stream(frames(START, {"type": "ping"}))[1] == KeepAlive()


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "before its answer was complete"),
        ([START], "before its answer was complete"),
        ([START, *text_block(0, "Hi")], "before its answer was complete"),
        ([START, *text_block(0, "Hi"), STOP], "without a stop reason"),
    ],
)
def test_a_stream_that_is_cut_is_a_failure(events: list[dict[str, Any]], message: str) -> None:
    last = decode_stream(frames(*events))[-1]
    assert isinstance(last, Failure)
    assert message in last.error.message
    assert last.error.kind == "upstream"


def test_an_error_in_the_stream() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    events = decode_stream(frames(START, block_start(0, {"type": "text", "text": ""}), error))
    assert events[-1] == Failure(ChatError("overloaded", "Overloaded", 529, code="overloaded_error"))
    assert sum(isinstance(event, Failure) for event in events) == 1
    (only,) = decode_stream(b'data: {"error": {"message": "out of memory"}}\n\n')
    assert isinstance(only, Failure)
    assert only.error.message == "out of memory"


def test_invalid_json_is_a_failure_and_the_last_event() -> None:
    events = decode_stream(frames(START) + b"data: {oops\n\n" + frames(*text_block(0, "Hi"), end(), STOP))
    assert isinstance(events[-1], Failure)
    assert len(events) == 2


def test_a_missing_last_event_or_line_is_forgiven() -> None:
    whole = frames(START, *text_block(0, "Hi"), end(), STOP)
    assert decode_stream(whole.rstrip(b"\n")) == decode_stream(whole)
    assert decode_stream(frames(START, *text_block(0, "Hi"), end())) == decode_stream(whole)
    assert decode_stream(whole + b"data: [DONE]\n\n") == decode_stream(whole)


def test_odd_servers() -> None:
    """No indexes, text and input in the start, no stops, unknown events, two message_deltas."""
    found = assembled(
        decode_stream(
            frames(
                START,
                {"type": "content_block_start", "content_block": {"type": "text", "text": "He"}},
                {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "y"}},
                {"type": "content_block_stop"},
                {"type": "rate_limits", "left": 3},
                block_start(1, {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}),
                end("tool_use"),
                end("tool_use", output_tokens=15),
                STOP,
            )
        )
    )
    assert found.choices[0].parts == (Text("Hey"), ToolCall("a", "f", '{"x":1}'))
    assert found.usage is not None
    assert found.usage.output_tokens == 15


def test_a_structured_answer_that_comes_as_a_call_is_text() -> None:
    found = assembled(
        decode_stream(
            frames(
                START,
                block_start(0, {"type": "tool_use", "id": "a", "name": OUTPUT_TOOL, "input": {}}),
                delta(0, "input_json_delta", partial_json='{"n":'),
                delta(0, "input_json_delta", partial_json="1}"),
                block_stop(0),
                end("tool_use"),
                STOP,
            )
        )
    )
    assert found.choices[0].parts == (Text('{"n":1}'),)
    assert found.choices[0].finish.unified == "stop"


@given(st.binary(max_size=200), st.integers(1, 9))
def test_random_bytes_never_raise(data: bytes, size: int) -> None:
    events = decode_stream(data, size)
    assert isinstance(events[-1], Failure)


_value = (
    st.none()
    | st.integers()
    | st.text(max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)
_wild = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
                "ping",
                "error",
                "new",
            ]
        )
    },
    optional={
        "index": _value,
        "message": _value,
        "content_block": _value
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "tool_use", "thinking", "server_tool_use", "compaction"])},
            optional=dict.fromkeys(["text", "id", "name", "input", "thinking", "signature"], _value),
        ),
        "delta": _value
        | st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(
                    ["text_delta", "input_json_delta", "signature_delta", "citations_delta", 5]
                )
                | st.just("compaction_delta"),
                "text": _value,
                "partial_json": _value,
                "signature": _value,
                "citation": _value,
                "content": _value,
                "stop_reason": _value,
            },
        ),
        "usage": _value,
        "error": _value,
    },
)


@given(st.lists(_wild, max_size=12))
def test_wild_events_keep_the_grammar(events: list[dict[str, Any]]) -> None:
    found = decode_stream(frames(*events))
    check(found)
    encode_stream(found)


# ---------------------------------------------------------------- encoding


def test_the_same_protocol_gives_the_same_message() -> None:
    assert accumulated(encode_stream(decode_stream(frames(*WHOLE)))) == accumulated(frames(*WHOLE))


def shape(data: bytes) -> list[str]:
    """A stream in short: types of events, blocks and deltas."""
    out = []
    for event in parsed(data):
        inner = event.get("content_block") or event.get("delta") or {}
        at = f" {event['index']}" if "index" in event else ""
        out.append(f"{event['type']}{at} {inner.get('type', '')}".strip())
    return out


def test_events_and_their_order() -> None:
    response = ChatResponse(
        "x",
        "m",
        (
            Choice(
                (
                    Thinking("a", Signature("s", "gemini")),
                    Text("b"),
                    Refusal("c"),
                    Thinking("", Signature("o", "openai-responses"), redacted=True),
                    ToolCall("t", "f", "{}", signature=Signature("s", "gemini")),
                ),
                FinishReason("tool_calls"),
            ),
        ),
        Usage(30, 5, cached_tokens=10),
    )
    data = encode_stream(replay(response))
    assert shape(data) == [
        "message_start",
        "content_block_start 0 thinking",
        "content_block_delta 0 thinking_delta",
        "content_block_delta 0 signature_delta",
        "content_block_stop 0",
        "content_block_start 1 text",
        "content_block_delta 1 text_delta",
        "content_block_stop 1",
        "content_block_start 2 text",
        "content_block_delta 2 text_delta",
        "content_block_stop 2",
        "content_block_start 3 redacted_thinking",
        "content_block_stop 3",
        "content_block_start 4 redacted_thinking",
        "content_block_stop 4",
        "content_block_start 5 tool_use",
        "content_block_delta 5 input_json_delta",
        "content_block_stop 5",
        "message_delta",
        "message_stop",
    ]
    message = accumulated(data)
    whole = answer(response)
    assert message["content"] == whole["content"]
    assert (message["stop_reason"], message["usage"]) == (whole["stop_reason"], whole["usage"])


def started(*events: StreamEvent) -> list[StreamEvent]:
    return [StreamStart("x", "m"), *events]


FINISHED: list[StreamEvent] = [Finish(FinishReason("tool_calls")), UsageUpdate(Usage(7, 3)), StreamEnd()]


def test_interleaved_calls_are_one_block_after_another() -> None:
    events = started(
        PartStart(0, ToolCall("a", "f")),
        PartStart(1, ToolCall("b", "g")),
        PartDelta(0, '{"x"'),
        PartDelta(1, '{"y"'),
        PartDelta(0, ":1}"),
        PartDelta(1, ":2}"),
        PartEnd(0),
        PartEnd(1),
        *FINISHED,
    )
    content = accumulated(encode_stream(events))["content"]
    assert [(block["id"], block["input"]) for block in content] == [("a", {"x": 1}), ("b", {"y": 2})]


def test_only_the_first_choice_is_told() -> None:
    events = started(
        PartStart(0, Text("")),
        PartStart(0, Text(""), choice=1),
        PartDelta(0, "one"),
        PartDelta(0, "two", choice=1),
        PartEnd(0, choice=1),
        PartEnd(0),
        Finish(FinishReason("length"), choice=1),
        Finish(FinishReason("stop")),
        StreamEnd(),
    )
    message = accumulated(encode_stream(events))
    assert [block["text"] for block in message["content"]] == ["one"]
    assert message["stop_reason"] == "end_turn"


def test_the_start_tells_an_estimate_and_the_end_the_truth() -> None:
    request = decode(body("word " * 400))
    events = started(PartStart(0, Text("")), PartEnd(0), Finish(FinishReason("stop")))
    first = parsed(encode_stream(events, request))[0]["message"]["usage"]["input_tokens"]
    assert 200 < first < 1000
    told = accumulated(encode_stream([*events, UsageUpdate(Usage(510, 3, 10)), StreamEnd()], request))
    assert (told["usage"]["input_tokens"], told["usage"]["cache_read_input_tokens"]) == (500, 10)
    assert accumulated(encode_stream([*events, StreamEnd()], request))["usage"]["input_tokens"] == first


def test_signatures_that_come_late() -> None:
    events = started(
        PartStart(0, Thinking("")),
        PartDelta(0, "a"),
        PartUpdate(0, Signature("first", "anthropic")),
        PartUpdate(0, Signature("last", "anthropic")),
        PartEnd(0),
        PartStart(1, ToolCall("t", "f")),
        PartDelta(1, "{}"),
        PartUpdate(1, Signature("call", "gemini")),
        PartEnd(1),
        *FINISHED,
    )
    message = accumulated(encode_stream(events))
    assert message["content"][0] == {"type": "thinking", "thinking": "a", "signature": "last"}
    turn = {"role": "assistant", "content": message["content"]}
    replayed = decode(body([{"role": "user", "content": "x"}, turn])).messages[1].parts
    assert replayed[1] == ToolCall("t", "f", "{}", signature=Signature("call", "gemini"))


def test_free_text_of_a_custom_call_is_an_object() -> None:
    events = started(
        PartStart(0, ToolCall("t", "patch", kind="custom")),
        PartDelta(0, 'say "hi"\n'),
        PartDelta(0, "\\ ü"),
        PartEnd(0),
        *FINISHED,
    )
    (block,) = accumulated(encode_stream(events))["content"]
    assert block["input"] == {"input": 'say "hi"\n\\ ü'}


def test_a_call_without_id_gets_one() -> None:
    events = started(PartStart(0, ToolCall("", "f")), PartEnd(0), *FINISHED)
    (block,) = accumulated(encode_stream(events))["content"]
    assert (block["id"], block["input"]) == ("toolu_abc1230", {})


def test_keep_alive_is_a_ping() -> None:
    assert parsed(encode_stream([KeepAlive()])) == [{"type": "ping"}]


def test_a_failure_is_the_last_word() -> None:
    error = ChatError("rate_limit", "Slow down", 429)
    events = started(PartStart(0, Text("")), PartDelta(0, "Hi"), Failure(error), PartDelta(0, "!"), *FINISHED)
    found = parsed(encode_stream(events))
    assert found[-1] == {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}
    assert "message_stop" not in [event["type"] for event in found]


def test_one_event_at_a_time_gives_the_same_bytes() -> None:
    events = decode_stream(frames(*WHOLE))
    encoder = CODEC.stream_encoder(reply())
    assert b"".join(encoder.encode([event]) for event in events) == encode_stream(events)


_parts = st.lists(
    st.one_of(
        st.builds(Text, st.text(max_size=6)),
        st.builds(
            Thinking, st.text(max_size=6), st.none() | st.builds(Signature, st.text(min_size=1), st.just("x"))
        ),
        st.builds(
            ToolCall,
            st.sampled_from(["a", "b-c", ""]),
            st.just("f"),
            st.sampled_from(["", "{}", '{"a":"\\n"}']),
            signature=st.none() | st.builds(Signature, st.just("s"), st.just("gemini")),
        ),
    ),
    max_size=5,
)


@given(_parts)
def test_a_stream_says_the_same_as_the_whole_answer(parts: list[Part]) -> None:
    response = ChatResponse("x", "m", (Choice(tuple(parts), FinishReason("stop")),), Usage(9, 4))
    message = accumulated(encode_stream(replay(response)))
    whole = answer(response)
    ids = [block.pop("id", None) for block in message["content"]]
    assert [block.pop("id", None) for block in whole["content"]] == ids
    assert message["content"] == whole["content"]
    assert message["stop_reason"] == whole["stop_reason"]
