"""The client's stream, event by event."""

from adapters.canonical import (
    ChatError,
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Signature,
    StreamEnd,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from adapters.openai_responses import CODEC

from .support import decoded, reply, stream

START = StreamStart("msg_1", "claude")
END = [Finish(FinishReason("stop")), UsageUpdate(Usage(1, 2)), StreamEnd()]


def kinds(events):
    return [event["type"].removeprefix("response.") for event in events]


def test_the_order_of_the_events():
    events = stream(
        [
            START,
            PartStart(0, Thinking("")),
            PartDelta(0, "hm"),
            PartUpdate(0, Signature("s", "anthropic")),
            PartEnd(0),
            PartStart(1, Text("")),
            PartDelta(1, "a"),
            PartDelta(1, "b"),
            PartEnd(1),
            PartStart(2, ToolCall("c1", "f")),
            PartDelta(2, "{}"),
            PartEnd(2),
            *END,
        ]
    )
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert events[10]["logprobs"] == events[12]["logprobs"] == []
    assert [event["output_index"] for event in events if "output_index" in event] == [0] * 6 + [1] * 7 + [
        2
    ] * 4
    assert events[0]["response"]["id"] == events[-1]["response"]["id"] == "resp_0123abcd"
    assert (events[0]["response"]["status"], events[0]["response"]["model"]) == ("in_progress", "claude")


def test_text_is_sent_at_once():
    encoder = CODEC.stream_encoder(reply())
    encoder.encode([START, PartStart(0, Text(""))])
    assert b'"delta":"hi"' in encoder.encode([PartDelta(0, "hi")])


def test_parts_that_overlap_come_one_after_the_other():
    events = stream(
        [
            START,
            PartStart(0, ToolCall("c0", "f")),
            PartStart(1, ToolCall("c1", "f")),
            PartDelta(1, "{1}"),
            PartDelta(0, "{0}"),
            PartEnd(0),
            PartEnd(1),
            *END,
        ]
    )
    output = events[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [("c0", "{0}"), ("c1", "{1}")]


def test_only_the_first_of_several_answers():
    events = stream(
        [
            START,
            PartStart(0, Text(""), 1),
            PartDelta(0, "other", 1),
            PartStart(0, Text("")),
            PartDelta(0, "first"),
            PartEnd(0),
            PartEnd(0, 1),
            Finish(FinishReason("length"), 1),
            *END,
        ]
    )
    assert events[-1]["type"] == "response.completed"
    assert [item["content"][0]["text"] for item in events[-1]["response"]["output"]] == ["first"]


def test_a_late_signature_follows_its_call_and_is_read_back():
    events = stream(
        [
            START,
            PartStart(0, ToolCall("c1", "f")),
            PartDelta(0, "{}"),
            PartUpdate(0, Signature("s", "gemini")),
            PartEnd(0),
            *END,
        ]
    )
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["function_call", "reasoning"]
    (message,) = decoded({"input": output}).messages
    assert message.parts[0].signature == Signature("s", "gemini")


def test_free_text_streams_as_free_text():
    request = decoded({"input": "x", "tools": [{"type": "custom", "name": "patch"}]})
    events = stream(
        [
            START,
            PartStart(0, ToolCall("c1", "patch")),
            PartDelta(0, '{"input": "a'),
            PartDelta(0, '\\nb"}'),
            PartEnd(0),
            *END,
        ],
        request,
    )
    deltas = [event["delta"] for event in events if event["type"].endswith("input.delta")]
    assert deltas == ["a", "\nb"]
    assert events[-1]["response"]["output"][0]["input"] == "a\nb"


def test_a_failure_is_the_last_event():
    events = stream(
        [
            START,
            PartStart(0, Text("")),
            PartDelta(0, "half"),
            Failure(ChatError("overloaded", "too busy", 529)),
            PartEnd(0),
            *END,
        ]
    )
    assert events[-1]["type"] == "response.failed"
    response = events[-1]["response"]
    assert response["status"] == "failed"
    assert response["error"]["message"] == "too busy"


def test_a_failure_before_the_start_has_a_start():
    assert kinds(stream([Failure(ChatError("upstream", "no", 502))])) == ["created", "in_progress", "failed"]


def test_a_sign_of_life_is_a_comment():
    encoder = CODEC.stream_encoder(reply())
    assert encoder.encode([START, KeepAlive()]).endswith(b": keep-alive\n\n")


def test_an_answer_without_usage_has_zeros():
    events = stream([START, Finish(FinishReason("stop")), StreamEnd()])
    assert events[-1]["response"]["usage"]["total_tokens"] == 0
    assert events[-1]["response"]["output"] == []
