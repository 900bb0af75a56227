"""An upstream's stream: any chunking, any omission that servers are known for, any failure."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.assemble import Assembler
from adapters.canonical import (
    Failure,
    Finish,
    FinishReason,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Refusal,
    Signature,
    StreamEnd,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)
from adapters.grammar import check
from adapters.openai_responses import CODEC
from adapters.replay import replay

from .support import decoded, reply, sse, stream
from .test_answers import ANSWER, OUTPUT

CREATED = {
    "type": "response.created",
    "response": {**ANSWER, "status": "in_progress", "output": [], "usage": None},
}


def at(kind, index, fields):
    """An event of the item at `index`."""
    return {"type": f"response.{kind}", "output_index": index, **fields}


def whole(*chunks):
    decoder = CODEC.stream_decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close()


def assembled(events):
    assembler = Assembler()
    assembler.feed(check(events))
    assert assembler.error is None
    return assembler.response


RECORDING = sse(*stream(replay(CODEC.decode_response(ANSWER)), decoded({"input": "hi"})))


def test_a_stream_assembles_to_the_whole_answer():
    response = assembled(whole(RECORDING))
    want = CODEC.decode_response(ANSWER)
    assert [type(part) for part in response.choices[0].parts] == [
        type(part) for part in want.choices[0].parts
    ]
    assert response.choices[0].finish == want.choices[0].finish
    assert response.usage == want.usage
    body, _ = CODEC.encode_response(response, reply())
    assert body["output"][1:] == OUTPUT[1:]
    assert body["output"][0]["encrypted_content"] == "gAAA"


def test_any_chunking_gives_the_same_events():
    want = whole(RECORDING)
    assert whole(*(RECORDING[at : at + 1] for at in range(len(RECORDING)))) == want
    dice = random.Random(7)
    for _ in range(5):
        cuts = sorted(dice.sample(range(len(RECORDING)), 40))
        assert (
            whole(*(RECORDING[a:b] for a, b in zip([0, *cuts], [*cuts, len(RECORDING)], strict=True))) == want
        )


def test_parallel_calls_that_interleave():
    calls = [
        {"type": "function_call", "id": f"fc_{n}", "call_id": f"c{n}", "name": "f", "arguments": ""}
        for n in (0, 1)
    ]
    events = whole(
        sse(
            CREATED,
            at("output_item.added", 0, {"item": calls[0]}),
            at("output_item.added", 1, {"item": calls[1]}),
            {
                "type": "response.function_call_arguments.delta",
                "output_index": 1,
                "item_id": "fc_1",
                "delta": "{1",
            },
            {
                "type": "response.function_call_arguments.delta",
                "output_index": 0,
                "item_id": "fc_0",
                "delta": "{0}",
            },
            {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": "}"},
            {
                "type": "response.output_item.done",
                "output_index": 1,
                "item": {**calls[1], "arguments": "{1}"},
            },
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {**calls[0], "arguments": "{0}"},
            },
            {"type": "response.completed", "response": {**ANSWER, "output": []}},
        )
    )
    parts = assembled(events).choices[0].parts
    assert [(part.id, part.arguments) for part in parts] == [("c0", "{0}"), ("c1", "{1}")]


MESSAGE = OUTPUT[2]
CALL = OUTPUT[3]
FINISHED = {"type": "response.completed", "response": {**ANSWER, "output": [MESSAGE, CALL]}}

SPARSE = {
    "only the end": [FINISHED],
    "only done items": [
        CREATED,
        at("output_item.done", 0, {"item": MESSAGE}),
        at("output_item.done", 1, {"item": CALL}),
        FINISHED,
    ],
    "done items without numbers": [
        CREATED,
        {"type": "response.output_item.done", "item": MESSAGE},
        {"type": "response.output_item.done", "item": CALL},
        FINISHED,
    ],
    "deltas without added": [
        CREATED,
        at("output_text.delta", 0, {"content_index": 0, "delta": "See "}),
        at("output_text.delta", 0, {"content_index": 0, "delta": "A."}),
        at("output_item.done", 0, {"item": MESSAGE}),
        at("output_item.added", 1, {"item": CALL}),
        FINISHED,
    ],
    "no created, unknown events, nulls": [
        {"type": "response.telepathy", "wave": 1},
        at("output_item.added", 0, {"item": {**MESSAGE, "content": None}}),
        {
            "type": "response.content_part.added",
            "output_index": 0,
            "content_index": 0,
            "part": {"type": "output_text"},
        },
        at("output_text.delta", 0, {"content_index": 0, "delta": None}),
        at("output_text.done", 0, {"content_index": 0, "text": "See A."}),
        at("output_item.done", 0, {"item": MESSAGE}),
        FINISHED,
    ],
}


@pytest.mark.parametrize("events", SPARSE.values(), ids=SPARSE)
def test_what_servers_leave_out(events):
    response = assembled(whole(sse(*events)))
    text, refusal, call = response.choices[0].parts
    assert (text.text, refusal.text) == ("See A.", "No more.")
    assert (call.id, call.arguments) == ("call_1", '{"a":1}')
    assert response.choices[0].finish.unified == "tool_calls"
    assert response.usage.input_tokens == 10


def test_the_events_of_a_plain_answer():
    events = whole(
        sse(
            CREATED,
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {"type": "message", "role": "assistant"},
            },
            {
                "type": "response.content_part.added",
                "output_index": 0,
                "content_index": 0,
                "part": {"type": "output_text", "text": ""},
            },
            at("output_text.delta", 0, {"content_index": 0, "delta": "hi"}),
            {
                "type": "response.content_part.done",
                "output_index": 0,
                "content_index": 0,
                "part": {"type": "output_text", "text": "hi"},
            },
            {
                "type": "response.incomplete",
                "response": {
                    "id": "resp_1",
                    "status": "incomplete",
                    "incomplete_details": {"reason": "max_output_tokens"},
                    "usage": {"input_tokens": 1, "output_tokens": 2},
                },
            },
        )
    )
    start, *rest = events
    assert isinstance(start, StreamStart)
    assert (start.id, start.model, start.created) == ("resp_1", "gpt-5.2-2025-12-11", 1_700_000_001)
    assert rest[:4] == [
        PartStart(0, Text("")),
        PartDelta(0, "hi"),
        PartEnd(0),
        Finish(FinishReason("length", "max_output_tokens")),
    ]
    assert isinstance(rest[4], UsageUpdate)
    assert isinstance(rest[5], StreamEnd)


def test_reasoning_with_several_sections():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    sections = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    events = whole(
        sse(
            CREATED,
            at("output_item.added", 0, {"item": item}),
            {
                "type": "response.reasoning_summary_text.delta",
                "output_index": 0,
                "summary_index": 0,
                "delta": "a",
            },
            {
                "type": "response.reasoning_summary_text.delta",
                "output_index": 0,
                "summary_index": 1,
                "delta": "b",
            },
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {**item, "summary": sections, "encrypted_content": "gAAA"},
            },
            {"type": "response.completed", "response": {**ANSWER, "output": []}},
        )
    )
    (thinking,) = assembled(events).choices[0].parts
    assert (thinking.text, thinking.signature) == ("a\n\nb", Signature("gAAA", "openai-responses"))
    items = stream(events)[-1]["response"]["output"]
    assert items == [{**item, "summary": sections, "encrypted_content": "gAAA"}]


def test_thoughts_in_words_come_once():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    events = whole(
        sse(
            CREATED,
            at("output_item.added", 0, {"item": item}),
            {
                "type": "response.reasoning_text.delta",
                "output_index": 0,
                "content_index": 0,
                "delta": "thought",
            },
            {
                "type": "response.reasoning_summary_text.delta",
                "output_index": 0,
                "summary_index": 0,
                "delta": "told",
            },
            at("output_item.done", 0, {"item": item}),
            {"type": "response.completed", "response": {**ANSWER, "output": []}},
        )
    )
    assert [part.text for part in assembled(events).choices[0].parts] == ["thought"]


def test_ciphertext_alone_is_redacted_from_the_start():
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    events = whole(
        sse(
            CREATED,
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**item, "encrypted_content": "gB"},
            },
            at("output_item.done", 0, {"item": item}),
            {"type": "response.completed", "response": {**ANSWER, "output": []}},
        )
    )
    started = next(event.part for event in events if isinstance(event, PartStart))
    assert isinstance(started, Thinking)
    assert (started.redacted, started.signature.value) == (True, "gAAA")


def test_citations_arrive_and_leave():
    note = MESSAGE["content"][0]["annotations"][0]
    events = whole(
        sse(
            CREATED,
            at("output_item.added", 0, {"item": {**MESSAGE, "content": []}}),
            at("output_text.delta", 0, {"content_index": 0, "delta": "See A."}),
            {
                "type": "response.output_text.annotation.added",
                "output_index": 0,
                "content_index": 0,
                "annotation_index": 0,
                "annotation": note,
            },
            at("output_item.done", 0, {"item": MESSAGE}),
            {"type": "response.completed", "response": {**ANSWER, "output": [MESSAGE]}},
        )
    )
    assert [event.extensions for event in events if isinstance(event, PartUpdate)] == [
        {"openai-responses": {"annotations": [note]}}
    ]
    assert stream(events)[-1]["response"]["output"] == [MESSAGE]


SLOW_DOWN = {"code": "rate_limit_exceeded", "message": "slow down"}
FAILURES = {
    "cut": (sse(CREATED), "upstream", "ended before"),
    "nothing": (b"", "upstream", "ended before"),
    "done without an end": (sse(CREATED) + b"data: [DONE]\n\n", "upstream", "ended before"),
    "no JSON": (sse(CREATED) + b"data: {oops\n\n", "upstream", "no JSON"),
    "failed": (
        sse(
            CREATED,
            {
                "type": "response.failed",
                "response": {
                    "status": "failed",
                    "error": {"code": "rate_limit_exceeded", "message": "slow down"},
                },
            },
        ),
        "rate_limit",
        "slow down",
    ),
    "failed in the end": (
        sse({"type": "response.completed", "response": {"status": "failed", "error": {"message": "broken"}}}),
        "upstream",
        "broken",
    ),
    "error": (sse({"type": "error", "code": "server_error", "message": "oh"}), "upstream", "oh"),
    "error inside": (
        sse({"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}}),
        "invalid_request",
        "bad",
    ),
    "another server's error": (
        b'data: {"error": {"message": "no", "code": 401}}\n\n',
        "authentication",
        "no",
    ),
    "an item that is none": (
        sse(CREATED, at("output_item.done", 0, {"item": {"type": 3}})),
        "upstream",
        "cannot be read",
    ),
}


@pytest.mark.parametrize(("raw", "kind", "message"), FAILURES.values(), ids=FAILURES)
def test_failures_are_the_last_event(raw, kind, message):
    events = check(whole(raw, sse(FINISHED)) if kind != "upstream" or "ended" not in message else whole(raw))
    assert isinstance(events[-1], Failure)
    assert events[-1].error.kind == kind
    assert message in events[-1].error.message
    written = stream([StreamStart("", ""), *events] if not isinstance(events[0], StreamStart) else events)
    assert written[-1]["type"] == "response.failed"
    assert written[-1]["response"]["error"]["message"] == events[-1].error.message


def test_nothing_is_told_after_the_end():
    events = whole(sse(FINISHED, CREATED, FINISHED))
    assert [type(event) for event in events].count(StreamEnd) == 1
    assert isinstance(events[-1], StreamEnd)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TYPES = [
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.annotation.added",
    "response.refusal.delta",
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
    "response.completed",
    "error",
]
ITEM_TYPES = ["message", "reasoning", "function_call", "custom_tool_call", "web_search_call"]
ANY_TEXT = st.fixed_dictionaries({"type": st.just("output_text"), "text": JSON})
ANY_ITEM = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["message", "reasoning", "function_call", "custom_tool_call", "web_search_call"]
        )
        | JSON
    },
    optional={
        "id": st.sampled_from(["a", "b"]) | JSON,
        "content": JSON
        | st.lists(st.fixed_dictionaries({"type": st.just("output_text"), "text": JSON}), max_size=2),
        "summary": JSON,
        "encrypted_content": JSON,
        "arguments": JSON,
        "input": JSON,
        "name": JSON,
        "namespace": JSON,
        "call_id": JSON,
        "status": JSON,
        "role": JSON,
    },
)
ANY_RESPONSE = st.fixed_dictionaries({"output": st.lists(ANY_ITEM, max_size=2) | JSON, "usage": JSON})
ANY_EVENT = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={
        "output_index": st.integers(-1, 2) | JSON,
        "content_index": st.integers(0, 1) | JSON,
        "summary_index": st.integers(0, 1) | JSON,
        "item_id": st.sampled_from(["a", "b"]) | JSON,
        "item": ANY_ITEM | JSON,
        "part": JSON | st.fixed_dictionaries({"type": st.sampled_from(["output_text", "refusal"])}),
        "delta": st.text(max_size=4) | JSON,
        "annotation": JSON,
        "response": JSON
        | st.fixed_dictionaries({"output": st.lists(ANY_ITEM, max_size=2) | JSON, "usage": JSON}),
        "error": JSON,
    },
)


@settings(max_examples=300)
@given(st.lists(ANY_EVENT, max_size=8))
def test_any_events_give_a_stream_of_the_grammar(events):
    decoded_events = check(whole(sse(*events)))
    assert isinstance(decoded_events[-1], StreamEnd | Failure)
    encoder = CODEC.stream_encoder(reply())
    encoder.encode(decoded_events)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_failure(raw):
    assert isinstance(whole(raw)[-1], Failure)


def test_the_kinds_of_parts():
    events = whole(RECORDING)
    kinds = [type(event.part) for event in events if isinstance(event, PartStart)]
    assert kinds[0] is Thinking
    assert kinds[2:] == [Text, Refusal, ToolCall, ToolCall]
