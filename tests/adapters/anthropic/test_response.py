"""Whole answers, both ways: the official SDK reads all that a client gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.anthropic import CODEC
from adapters.anthropic.names import OUTPUT_TOOL
from adapters.canonical import (
    Base64Source,
    ChatResponse,
    Choice,
    FinishReason,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from adapters.codec import Arrival
from adapters.errors import InvalidResponse
from tests.adapters.anthropic.support import answer, body, decode, reply

MESSAGE: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "data"},
        {
            "type": "text",
            "text": "It rains.",
            "citations": [
                {
                    "type": "char_location",
                    "cited_text": "rain",
                    "document_index": 0,
                    "document_title": None,
                    "start_char_index": 0,
                    "end_char_index": 4,
                    "file_id": None,
                }
            ],
        },
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"b": 1, "a": 2}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 6},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        "service_tier": "standard",
    },
    "container": {"id": "c", "expires_at": "2026-01-01T00:00:00Z"},
}


def response(*parts: Part, stop: StopReason = "stop", usage: Usage | None = None) -> ChatResponse:
    return ChatResponse("chatcmpl-1", "gpt-5", (Choice(parts, FinishReason(stop)),), usage)


def test_an_answer_to_a_client_of_the_same_protocol_is_the_same() -> None:
    assert answer(CODEC.decode_response(MESSAGE)) == MESSAGE


def test_an_answer_in_the_canonical_model() -> None:
    found = CODEC.decode_response(MESSAGE)
    thinking, redacted, text, *_, call = found.choices[0].parts
    assert thinking == Thinking("Hm.", Signature("sig", "anthropic"))
    assert redacted == Thinking("", Signature("data", "anthropic"), redacted=True)
    assert isinstance(text, Text)
    assert text.text == "It rains."
    assert call == ToolCall("toolu_1", "look", '{"b":1,"a":2}')
    assert found.choices[0].finish.unified == "tool_calls"
    usage = found.usage
    assert usage is not None
    assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (22, 7, 5)
    assert (usage.output_tokens, usage.reasoning_tokens, found.service_tier) == (20, 6, "default")


@pytest.mark.parametrize(
    ("raw", "unified"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("model_context_window_exceeded", "context_window"),
        ("something_new", "other"),
        (None, "other"),
    ],
)
def test_stop_reasons_of_the_api(raw: str | None, unified: str) -> None:
    sequence = "END" if raw == "stop_sequence" else None
    content = [block for block in MESSAGE["content"] if block["type"] != "tool_use" or raw == "tool_use"]
    found = CODEC.decode_response(
        {**MESSAGE, "content": content, "stop_reason": raw, "stop_sequence": sequence}
    )
    assert found.choices[0].finish.unified == unified
    assert found.choices[0].finish.stop_sequence == sequence


def test_a_turn_with_calls_is_no_end_whatever_a_compatible_server_says() -> None:
    found = CODEC.decode_response({**MESSAGE, "stop_reason": "end_turn"})
    assert found.choices[0].finish.unified == "tool_calls"
    assert CODEC.encode_response(found, reply())[0]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("unified", "raw"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("context_window", "model_context_window_exceeded"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
        ("error", "refusal"),
        ("other", "end_turn"),
    ],
)
def test_stop_reasons_for_clients(unified: StopReason, raw: str) -> None:
    assert answer(response(Text("x"), stop=unified))["stop_reason"] == raw


@pytest.mark.parametrize("said", ["stop", "tool_calls", "other"])
def test_a_turn_with_calls_never_just_ends(said: StopReason) -> None:
    assert answer(response(ToolCall("a", "f", "{}"), stop=said))["stop_reason"] == "tool_use"


def test_a_stop_sequence_is_named_or_not_claimed() -> None:
    named = ChatResponse("x", "m", (Choice((Text("a"),), FinishReason("stop_sequence", None, "END")),))
    assert (answer(named)["stop_reason"], answer(named)["stop_sequence"]) == ("stop_sequence", "END")
    assert answer(response(Text("a"), stop="stop_sequence"))["stop_reason"] == "end_turn"


def test_usage_without_the_cached_part() -> None:
    usage = Usage(100, 20, cached_tokens=60, cache_write_tokens=10, reasoning_tokens=5)
    assert answer(response(Text("x"), usage=usage))["usage"] == {
        "input_tokens": 30,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 60,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    assert answer(response(Text("x")))["usage"]["input_tokens"] == 0


def test_parts_that_other_protocols_have() -> None:
    document, losses = CODEC.encode_response(
        response(
            Thinking("unsigned"),
            Refusal("No."),
            Media("image", Base64Source("AAAA"), "image/png"),
            Opaque("openai-responses", "web_search_call", {}, ""),
            ToolCall("", "f", ""),
        ),
        reply(),
    )
    assert document["content"] == [
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        {"type": "text", "text": "No."},
        {"type": "tool_use", "id": "toolu_abc1234", "name": "f", "input": {}},
    ]
    assert losses.codes == ("refusal", "media.image", "item.web_search_call")
    assert document["id"] == "msg_abc123"


def test_arguments_that_are_no_object_come_back_as_they_were() -> None:
    document = answer(response(ToolCall("a", "f", '{"x": ')))
    assert document["content"][0]["input"] == {"INVALID_JSON": '{"x": '}
    turn = {"role": "assistant", "content": document["content"]}
    (call,) = decode(body([{"role": "user", "content": "x"}, turn])).messages[1].parts
    assert call == ToolCall("a", "f", '{"x": ')


@pytest.mark.parametrize("origin", ["gemini", "openai-responses", "openai", "anthropic"])
def test_signatures_survive_the_client(origin: str) -> None:
    """A client of this protocol replays the answer; each maker gets its own back."""
    thought_id = None if origin == "anthropic" else "rs_1"
    parts = (
        Thinking("a", Signature("sig/+=1", origin), id=thought_id),
        Thinking("", Signature("opaque", origin), redacted=True),
        ToolCall("call@1", "f", "{}", signature=None if origin == "anthropic" else Signature("s2", origin)),
        ToolCall("call_2", "f", "{}"),
    )
    document = answer(response(*parts))
    turn = {"role": "assistant", "content": document["content"]}
    replayed = decode(body([{"role": "user", "content": "x"}, turn])).messages[1].parts
    assert replayed == parts


def test_a_structured_answer_that_came_as_a_call_is_text() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": OUTPUT_TOOL, "input": {"n": 1}}
    found = CODEC.decode_response({**MESSAGE, "content": [call]})
    assert found.choices[0].parts == (Text('{"n":1}'),)
    assert found.choices[0].finish.unified == "stop"


def test_lenient_with_what_other_servers_leave_out() -> None:
    found = CODEC.decode_response(
        {
            "content": [{"type": "text", "text": None}, {"type": "tool_use", "name": "f", "input": None}],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": None, "output_tokens": 3.0},
        }
    )
    assert found.choices[0].parts == (Text(""), ToolCall("call_1", "f", ""))
    assert found.usage == Usage(0, 3)
    assert CODEC.decode_response({"content": None, "stop_reason": "end_turn"}).choices[0].parts == ()


@pytest.mark.parametrize("document", [{}, {"content": "x"}, {"content": [1]}, {"content": [{"text": "x"}]}])
def test_what_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidResponse):
        CODEC.decode_response(document)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_KEYS = "type text thinking signature data id name input tool_use_id content citations"
_keys = _KEYS.split()
_block = st.fixed_dictionaries({}, optional=dict.fromkeys(_keys, _json)) | st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "x"])},
    optional=dict.fromkeys(_keys[1:], _json),
)
_TOP = "id model usage stop_reason stop_sequence stop_details role"
_document = st.fixed_dictionaries(
    {"content": st.lists(_block, max_size=3) | _json},
    optional=dict.fromkeys(_TOP.split(), _json),
)


@given(_document)
def test_any_json_is_an_answer_or_refused(document: dict[str, Any]) -> None:
    try:
        found = CODEC.decode_response(document)
    except InvalidResponse:
        return
    CODEC.encode_response(found, reply(CODEC.decode_request(body(), Arrival())))
