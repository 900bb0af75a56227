"""What a client of Chat Completions gets, read with the official SDK, and sends back the next turn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai._models import construct_type
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from adapters.canonical import (
    Base64Source,
    ChatError,
    ChatRequest,
    ChatResponse,
    Choice,
    Failure,
    FinishReason,
    KeepAlive,
    Media,
    Message,
    Opaque,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Refusal,
    Signature,
    StopReason,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    Tool,
    ToolCall,
    Usage,
)
from adapters.codec import ModelInfo, TargetModel
from adapters.openai_chat import CODEC
from adapters.replay import replay
from tests.adapters.openai_chat.samples import PNG, SCHEMA, USER, decode, reply, tool

STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
SIGNED = Thinking("hm", Signature("sig", "anthropic"))
REDACTED = Thinking("", Signature("blob", "anthropic"), redacted=True)
GEMINIS = ToolCall("a", "get_weather", '{"city":"Rome"}', signature=Signature("c2ln", "gemini"))
USAGE = Usage(12, 8, cached_tokens=5, cache_write_tokens=2, reasoning_tokens=3)


def response(*parts: Part, stop: StopReason = "stop", usage: Usage | None = USAGE) -> ChatResponse:
    return ChatResponse("msg_1", "a-model", (Choice(parts, FinishReason(stop)),), usage, created=9)


def whole(answer: ChatResponse, **body: Any) -> dict[str, Any]:
    out, _ = CODEC.encode_response(answer, reply(body))
    ChatCompletion.model_validate(out)
    return out


def chunks(raw: bytes) -> list[dict[str, Any]]:
    """The stream's documents; each has to fit the SDK's type."""
    lines = [line.removeprefix("data: ") for line in raw.decode().split("\n\n") if line.startswith("data: ")]
    found = [json.loads(line) for line in lines if line != "[DONE]"]
    for one in found:
        custom = "custom" in json.dumps(one)  # the SDK's type has no streamed calls of free-text tools yet
        if "error" not in one and not custom:
            ChatCompletionChunk.model_validate(one)
    return found


def streamed(events: list[StreamEvent], **body: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The answer as the SDK puts it together, and the chunks, sent event by event."""
    encoder = CODEC.stream_encoder(reply({**STREAMED, **body}))
    raw = b"".join(encoder.encode([event]) for event in events)
    assert raw.endswith(b"data: [DONE]\n\n")
    assert CODEC.stream_encoder(reply({**STREAMED, **body})).encode(events) == raw
    state, found = ChatCompletionStreamState(), chunks(raw)
    for one in found:
        state.handle_chunk(construct_type(type_=ChatCompletionChunk, value=one))  # type: ignore[arg-type]
    return state.current_completion_snapshot.to_dict(mode="json"), found


def bare(call: dict[str, Any]) -> dict[str, Any]:
    """A call without what the SDK's accumulator adds."""
    inner = {key: value for key, value in call["function"].items() if key != "parsed_arguments"}
    return {**{key: value for key, value in call.items() if key != "index"}, "function": inner}


ANSWERS: dict[str, ChatResponse] = {
    "text": response(Text("Hello "), Text("there")),
    "nothing": response(stop="length"),
    "refusal": response(Refusal("I cannot"), stop="refusal"),
    "calls": response(
        Text("Two."),
        ToolCall("a", "get_weather", '{"city":"Rome"}'),
        ToolCall("b", "get_weather", ""),
        stop="tool_calls",
    ),
    "thinking": response(Thinking("hm"), Text("Yes")),
    "signed": response(SIGNED, REDACTED, Text("Yes"), GEMINIS, stop="tool_calls"),
    "picture": response(Text("A cat."), Media("image", Base64Source(PNG), "image/png")),
    "no usage": response(Text("Hi"), usage=None),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_whole_and_streamed_answers_say_the_same(answer: ChatResponse) -> None:
    want = whole(answer)["choices"][0]
    got, found = streamed(replay(answer))
    message, told = want["message"], got["choices"][0]["message"]
    assert (told["content"] or None) == (message["content"] or None)
    assert told.get("refusal") == message["refusal"]
    for key in ("reasoning_content", "reasoning_details", "images"):
        assert told.get(key) == message.get(key)
    assert [bare(call) for call in told.get("tool_calls") or []] == message.get("tool_calls", [])
    assert got["choices"][0]["finish_reason"] == want["finish_reason"]
    assert (found[-1]["choices"] == []) is (answer.usage is not None)


def test_a_whole_answer_in_full() -> None:
    assert whole(response(Text("Hi"))) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 9,
        "model": "a-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 8,
            "total_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        "system_fingerprint": None,
    }


def test_what_an_answer_lacks_comes_from_the_hub() -> None:
    out = whole(ChatResponse("", "", (Choice((Text("Hi"),), FinishReason("stop")),)))
    assert (out["id"], out["created"], out["model"]) == (
        "chatcmpl-0123456789abcdef01234567",
        1_700_000_000,
        "client-model",
    )


@pytest.mark.parametrize(
    ("unified", "expected"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("context_window", "length"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("pause", "stop"),
        ("error", "stop"),
        ("other", "stop"),
    ],
)
def test_stop_reasons(unified: StopReason, expected: str) -> None:
    assert whole(response(Text("x"), stop=unified))["choices"][0]["finish_reason"] == expected


def test_usage_only_for_those_who_asked() -> None:
    encoder = CODEC.stream_encoder(reply({"stream": True}))
    found = chunks(encoder.encode(replay(response(Text("Hi")))))
    assert all("usage" not in one and one["choices"] for one in found)
    _, asked = streamed(replay(response(Text("Hi"))))
    assert [one["usage"] for one in asked[:-1]] == [None] * (len(asked) - 1)
    assert asked[-1]["usage"]["prompt_tokens"] == 12


def test_each_choice_begins_with_its_role_and_ends_once() -> None:
    answer = ChatResponse(
        "x", "m", tuple(Choice((Text(t),), FinishReason("stop"), i) for i, t in enumerate("ab")), USAGE
    )
    got, found = streamed(replay(answer))
    assert [choice["message"]["content"] for choice in got["choices"]] == ["a", "b"]
    firsts: dict[int, dict[str, Any]] = {}
    for one in found:
        for choice in one["choices"]:
            firsts.setdefault(choice["index"], choice["delta"])
    assert [delta["role"] for delta in firsts.values()] == ["assistant", "assistant"]


def test_interleaved_calls_keep_their_index_and_say_their_name_once() -> None:
    events: list[StreamEvent] = [
        StreamStart("x", "m"),
        PartStart(0, ToolCall("a", "f")),
        PartStart(1, ToolCall("b", "g")),
        PartDelta(1, '{"y"'),
        PartDelta(0, "{}"),
        PartDelta(1, ":1}"),
        PartEnd(0),
        PartEnd(1),
    ]
    raw = CODEC.stream_encoder(reply(STREAMED)).encode(events)
    deltas = [one["choices"][0]["delta"]["tool_calls"][0] for one in chunks(raw)[1:]]
    assert [delta["index"] for delta in deltas] == [0, 1, 1, 0, 1]
    assert [delta.get("id") for delta in deltas] == ["a", "b", None, None, None]
    assert [delta.get("type") for delta in deltas] == ["function", "function", None, None, None]
    assert ["name" in delta["function"] for delta in deltas] == [True, True, False, False, False]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    answer = response(ToolCall("a", "f"), stop="tool_calls")
    assert whole(answer)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"
    got, _ = streamed(replay(answer))
    assert got["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_failure_in_the_stream_is_an_error_object_and_no_end() -> None:
    encoder = CODEC.stream_encoder(reply(STREAMED))
    error = ChatError("rate_limit", "slow down", 429, code="rpm")
    raw = encoder.encode([StreamStart("x", "m"), PartStart(0, Text("")), PartDelta(0, "a"), Failure(error)])
    assert chunks(raw)[-1] == {
        "error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": "rpm"}
    }
    assert b"[DONE]" not in raw
    assert encoder.encode(replay(response(Text("more")))) == b""


def test_a_failure_before_anything_else() -> None:
    raw = CODEC.stream_encoder(reply()).encode([Failure(ChatError("upstream", "cut", 502))])
    assert chunks(raw) == [{"error": {"message": "cut", "type": "server_error", "param": None, "code": None}}]


def test_keep_alives_are_comments() -> None:
    assert CODEC.stream_encoder(reply()).encode([KeepAlive()]).startswith(b":")


def test_odd_text_arrives_whole() -> None:
    odd = 'line\u2028separator "quoted" \\ 😀 \x00 \r\n'
    got, _ = streamed(replay(response(Thinking(odd), Text(odd))))
    message = got["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == (odd, odd)


# ---------------------------------------------------------------- declared shapes come back

CUSTOM = {"type": "custom", "custom": {"name": "patch"}}


def test_a_free_text_tool_is_called_as_declared() -> None:
    answer = response(ToolCall("a", "patch", '{"input":"*** \\"x\\""}'), stop="tool_calls")
    want = {"id": "a", "type": "custom", "custom": {"name": "patch", "input": '*** "x"'}}
    assert whole(answer, tools=[CUSTOM])["choices"][0]["message"]["tool_calls"] == [want]
    raw = CODEC.stream_encoder(reply({**STREAMED, "tools": [CUSTOM]})).encode(replay(answer))
    deltas = [one["choices"][0]["delta"] for one in chunks(raw) if one["choices"]]
    told = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert (told[0]["type"], told[0]["custom"]["name"]) == ("custom", "patch")
    assert "".join(delta["custom"]["input"] for delta in told) == '*** "x"'


def test_legacy_functions_are_called_as_declared() -> None:
    legacy = {"functions": [{"name": "f", "parameters": SCHEMA}]}
    answer = response(ToolCall("a", "f", '{"x":1}'), stop="tool_calls")
    choice = whole(answer, **legacy)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert choice["finish_reason"] == "function_call"
    got, _ = streamed(replay(answer), **legacy)
    choice = got["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert choice["finish_reason"] == "function_call"


# ---------------------------------------------------------------- the next turn


def next_turn(message: dict[str, Any]) -> ChatRequest:
    kept = {key: value for key, value in message.items() if value is not None}
    return decode({"model": "m", "messages": [USER, kept, USER], "tools": [tool()]})


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_signatures_survive_the_client(way: str) -> None:
    parts = (SIGNED, REDACTED, Text("Yes"), GEMINIS)
    answer = response(*parts, stop="tool_calls")
    message = whole(answer)["choices"][0]["message"]
    if way == "stream":
        message = streamed(replay(answer))[0]["choices"][0]["message"]
    got = next_turn(message).messages[1].parts
    assert [(part.text, part.signature, part.redacted) for part in got if isinstance(part, Thinking)] == [
        ("hm", Signature("sig", "anthropic"), False),
        ("", Signature("blob", "anthropic"), True),
    ]
    assert [part.signature for part in got if isinstance(part, ToolCall)] == [Signature("c2ln", "gemini")]
    assert [part.text for part in got if isinstance(part, Text)] == ["Yes"]


def test_a_signature_that_comes_late_survives_too() -> None:
    events = [
        StreamStart("x", "m"),
        PartStart(0, Thinking("")),
        PartDelta(0, "a"),
        PartDelta(0, "b"),
        PartUpdate(0, Signature("sig", "anthropic")),
        PartEnd(0),
        PartStart(1, ToolCall("a", "get_weather")),
        PartDelta(1, "{}"),
        PartUpdate(1, Signature("c2ln", "gemini")),
        PartEnd(1),
        *replay(response(stop="tool_calls"))[1:],
    ]
    message = streamed(events)[0]["choices"][0]["message"]
    thought, call = next_turn(message).messages[1].parts
    assert isinstance(thought, Thinking)
    assert isinstance(call, ToolCall)
    assert (thought.text, thought.signature) == ("ab", Signature("sig", "anthropic"))
    assert call.signature == Signature("c2ln", "gemini")


def test_after_a_switch_of_models_no_foreign_signature_goes_out() -> None:
    answer = response(SIGNED, REDACTED, Text("Yes"), GEMINIS, stop="tool_calls")
    message = whole(answer)["choices"][0]["message"]
    request = next_turn(message)
    for provider in ("openai", "openrouter", "deepseek", "mistral", "vllm", "unheard-of"):
        body = json.dumps(CODEC.encode_request(request, TargetModel("a-model", provider)).body)
        assert "aHViLXNpZy8x" not in body  # how wrapped signatures begin
        assert '"sig"' not in body
        assert "encrypted" not in body


def test_openrouters_own_details_go_back_as_they_came() -> None:
    details = [
        {
            "type": "reasoning.text",
            "text": "hm",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "xx", "id": "r", "format": "openai-responses-v1", "index": 1},
    ]
    upstream = {
        "id": "gen-1",
        "model": "m",
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": "Yes",
                    "reasoning": "hm",
                    "reasoning_details": details,
                },
                "finish_reason": "stop",
            }
        ],
    }
    out, _ = CODEC.encode_response(CODEC.decode_response(upstream), reply())
    message = out["choices"][0]["message"]
    assert message["reasoning_details"] == details
    again = CODEC.encode_request(next_turn(message), TargetModel("m", "openrouter"))
    assert again.body["messages"][1] == {
        "role": "assistant",
        "content": "Yes",
        "reasoning": "hm",
        "reasoning_details": details,
        "annotations": [],
    }


@pytest.mark.parametrize(
    "slots",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning": "hm", "reasoning_content": "hm"},
        {"reasoning": "hm", "reasoning_content": "other"},
    ],
)
def test_a_clients_own_spelling_of_thinking_goes_back_to_an_unknown_server(slots: dict[str, str]) -> None:
    request = next_turn({"role": "assistant", "content": "Yes", **slots})
    body = CODEC.encode_request(request, TargetModel("a-model")).body
    assert body["messages"][1] == {"role": "assistant", "content": "Yes", **slots}


# ---------------------------------------------------------------- losses, lists


def test_losses_of_an_answer() -> None:
    answer = ChatResponse(
        "x",
        "m",
        (
            Choice(
                (Opaque("anthropic", "server_tool_use", {}), Text("a", {"anthropic": {"citations": []}})),
                FinishReason("stop_sequence", "stop_sequence", "END"),
            ),
        ),
    )
    _, losses = CODEC.encode_response(answer, reply())
    assert set(losses.codes) == {"item.server_tool_use", "citations", "stop_sequence"}


def test_a_chat_answer_loses_nothing_on_the_way_to_a_chat_client() -> None:
    upstream = {
        "id": "chatcmpl-9",
        "object": "chat.completion",
        "created": 3,
        "model": "gpt-x",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "See [1]",
                    "refusal": None,
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {"end_index": 1, "start_index": 0, "title": "t", "url": "u"},
                        }
                    ],
                    "an_unknown_field": {"a": 1},
                },
                "logprobs": {
                    "content": [{"token": "S", "logprob": -0.1, "bytes": None, "top_logprobs": []}],
                    "refusal": None,
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 1},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "another_unknown_field": [1],
    }
    out, losses = CODEC.encode_response(CODEC.decode_response(upstream), reply())
    assert out == upstream
    assert list(losses) == []


def test_model_lists() -> None:
    model = ModelInfo("kimi", 7, "hub", "Kimi")
    one = {"id": "kimi", "object": "model", "created": 7, "owned_by": "hub"}
    assert CODEC.encode_model(model) == one
    assert CODEC.encode_models([model]) == {"object": "list", "data": [one]}
    assert CODEC.encode_token_count(5) == {"input_tokens": 5}


def test_a_message_of_canonical_parts_comes_back_as_the_same_parts() -> None:
    request = ChatRequest(
        "m", (Message("user", (Text("Hi"),)), Message("assistant", (Text("Yes"),))), tools=(Tool("f"),)
    )
    again = decode(CODEC.encode_request(request, TargetModel("m")).body)
    assert (again.messages, again.tools) == (request.messages, request.tools)
