"""Whole answers and errors of many upstreams."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.canonical import ChatError, ErrorKind, Text, Thinking, ToolCall, Usage
from adapters.errors import InvalidResponse
from adapters.openai_chat import CODEC


def body(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {"id": "x-1", "model": "m", "choices": [{"message": message, "finish_reason": finish}], **more}


@pytest.mark.parametrize(
    ("raw", "has_calls", "unified"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("function_call", True, "tool_calls"),
        ("length", True, "length"),
        ("content_filter", False, "content_filter"),
        ("model_length", False, "context_window"),
        ("sensitive", False, "content_filter"),
        ("insufficient_system_resource", False, "error"),
        ("STOP", False, "stop"),
        ("whatever", False, "other"),
        ("whatever", True, "tool_calls"),
        (None, False, "other"),
    ],
)
def test_finish_reasons(raw: str | None, has_calls: bool, unified: str) -> None:
    calls = [{"id": "a", "function": {"name": "f", "arguments": "{}"}}] if has_calls else []
    (choice,) = CODEC.decode_response(body({"content": "x", "tool_calls": calls}, raw)).choices
    assert (choice.finish.unified, choice.finish.raw) == (unified, raw)


COUNTS = {"prompt_tokens": 9, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("given_usage", "expected"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(9, 5, cached_tokens=4, reasoning_tokens=2),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 4},
            Usage(9, 5, cached_tokens=4),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4}, Usage(9, 5, cached_tokens=4)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 21,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(9, 12, reasoning_tokens=7),
        ),
        ({"prompt_tokens": 9, "completion_tokens": None}, Usage(9, 0)),
        ({}, None),
        (None, None),
    ],
)
def test_usage(given_usage: Any, expected: Usage | None) -> None:
    found = CODEC.decode_response(body({"content": "x"}, usage=given_usage)).usage
    if expected is None or found is None:
        assert found is expected
    else:
        keys = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
        assert [getattr(found, key) for key in keys] == [getattr(expected, key) for key in keys]


def test_content_as_chunks() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    (choice,) = CODEC.decode_response(body({"content": [thought, {"type": "text", "text": "Yes"}]})).choices
    first, second = choice.parts
    assert isinstance(first, Thinking)
    assert (first.text, second) == ("hm", Text("Yes"))


def test_calls_of_careless_servers() -> None:
    calls = [
        {"function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "", "type": "function", "function": {"name": "f", "arguments": None}},
        {"id": "x", "function": {"name": "f", "arguments": "{bad"}},
        {"id": "x", "function": {"name": "f", "arguments": ""}},
    ]
    (choice,) = CODEC.decode_response(body({"content": "", "tool_calls": calls})).choices
    got = [(part.id, part.arguments) for part in choice.parts if isinstance(part, ToolCall)]
    assert got == [("call_x-1_0", '{"a":1}'), ("call_x-1_1", ""), ("x", "{bad"), ("call_x_3", "")]


@pytest.mark.parametrize(
    "answer",
    [{}, {"choices": None}, {"choices": [3]}, {"choices": [{}]}, {"choices": [{"message": []}]}, [], "x"],
)
def test_what_is_no_answer(answer: Any) -> None:
    with pytest.raises(InvalidResponse) as caught:
        CODEC.decode_response(answer)
    assert caught.value.error.status == 502


def test_an_error_of_status_200_keeps_its_kind() -> None:
    with pytest.raises(InvalidResponse) as caught:
        CODEC.decode_response({"error": {"message": "Rate limited", "code": 429}})
    assert (caught.value.error.kind, caught.value.error.status) == ("rate_limit", 429)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_KEYS = "content refusal tool_calls function_call reasoning_details reasoning audio images annotations"
_message = st.dictionaries(st.sampled_from(_KEYS.split()), _json | st.lists(_json, max_size=2))


@given(_message, _json, _json)
@settings(deadline=None, max_examples=300)
def test_any_json_is_an_answer_or_an_invalid_one(message: dict[str, Any], finish: Any, usage: Any) -> None:
    with contextlib.suppress(InvalidResponse):
        CODEC.decode_response(body(message, finish, usage=usage))


# ---------------------------------------------------------------- errors


REFUSED = "invalid_request"


@pytest.mark.parametrize(
    ("status", "answer", "kind", "message"),
    [
        (
            400,
            {"error": {"message": "bad", "type": "invalid_request_error", "param": "n"}},
            "invalid_request",
            "bad",
        ),
        (401, {"error": {"message": "key", "code": "invalid_api_key"}}, "authentication", "key"),
        (404, {"error": {"message": "no", "code": "model_not_found"}}, "not_found", "no"),
        (429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}, "rate_limit", "slow"),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, "billing", "pay"),
        (402, {"error": {"message": "pay", "code": 402}}, "billing", "pay"),
        (500, {"error": {"message": "oops", "type": "server_error"}}, "upstream", "oops"),
        (503, {"error": "busy"}, "overloaded", "busy"),
        (422, {"object": "error", "message": "no", "type": "x", "code": 3001}, REFUSED, "no"),
        (
            422,
            {"detail": [{"loc": ["body", "top_k"], "msg": "extra"}]},
            "invalid_request",
            "body.top_k: extra",
        ),
        (
            422,
            {"message": {"detail": [{"loc": ["body", "n"], "msg": "bad"}]}},
            "invalid_request",
            "body.n: bad",
        ),
        (
            400,
            [{"error": {"code": 400, "message": "bad", "status": "BAD"}}],
            "invalid_request",
            "bad",
        ),
        (
            400,
            {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "too long"}}},
            REFUSED,
            "Provider returned error: too long",
        ),
        (502, "<html>Bad gateway</html>", "upstream", "the upstream answered 502"),
        (500, "plain words", "upstream", "plain words"),
        (500, "", "upstream", "the upstream answered 500"),
    ],
)
def test_errors_of_upstreams(status: int, answer: Any, kind: ErrorKind, message: str) -> None:
    raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    error = CODEC.decode_error(status, {}, raw)
    assert (error.kind, error.message, error.status) == (kind, message, status)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_when_to_try_again(headers: dict[str, str], seconds: float | None) -> None:
    assert CODEC.decode_error(429, headers, b"{}").retry_after == seconds


@given(st.integers(400, 599), st.binary(max_size=80) | _json.map(lambda value: json.dumps(value).encode()))
@settings(deadline=None, max_examples=300)
def test_reading_an_error_never_fails(status: int, raw: bytes) -> None:
    error = CODEC.decode_error(status, {}, raw)
    assert error.message
    assert error.status == status


def test_errors_have_openais_shape() -> None:
    status, shown = CODEC.encode_error(ChatError(REFUSED, "n: bad", 400, where="n"))
    assert (status, shown) == (
        400,
        {"error": {"message": "n: bad", "type": "invalid_request_error", "param": "n", "code": None}},
    )
    assert CODEC.encode_error(ChatError("overloaded", "busy", 529))[0] == 503


def test_the_key_stands_in_a_header() -> None:
    assert CODEC.authorization("sk-1") == {"authorization": "Bearer sk-1"}
