"""A request that comes and goes in this protocol is the same request."""

from __future__ import annotations

import contextlib
import json
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from adapters.codec import Arrival
from adapters.errors import AdapterError, InvalidRequest
from adapters.openai_chat import CODEC
from tests.adapters.openai_chat.samples import PARAMETERS, REQUESTS, USER, decode, encode, file, tool, user


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
def test_a_request_comes_out_as_it_came_in(body: dict[str, Any]) -> None:
    body = {"model": "gpt-4o", **body}
    encoded = encode(decode(body))
    assert json.loads(json.dumps(encoded.body)) == body
    assert list(encoded.losses) == []
    assert encoded.path == "/chat/completions"


@pytest.mark.parametrize("key", PARAMETERS)
def test_a_parameter_comes_out_as_it_came_in(key: str) -> None:
    body = {"model": "gpt-4o", "messages": [USER], key: PARAMETERS[key]}
    if key in ("tool_choice", "parallel_tool_calls"):
        body["tools"] = [tool()]
    encoded = encode(decode(body))
    assert encoded.body == body
    assert list(encoded.losses) == []


def test_every_parameter_of_the_sdk_is_tried() -> None:
    elsewhere = {
        "messages",
        "model",
        "functions",
        "function_call",
        "max_tokens",
        "stream_options",
        "reasoning_effort",
    }
    assert set(get_type_hints(CompletionCreateParamsBase)) == {*PARAMETERS, *elsewhere}


def test_all_parameters_together() -> None:
    body = {"model": "gpt-4o", "messages": [USER], **PARAMETERS}
    assert encode(decode(body)).body == body


@pytest.mark.parametrize("effort", ["none", "low", "medium", "high", "xhigh", "max"])
def test_efforts_come_out_as_they_came_in(effort: str) -> None:
    body = {"model": "gpt-5.6", "messages": [USER], "reasoning_effort": effort}
    assert encode(decode(body), "gpt-5.6").body == body


def test_streams_always_ask_for_usage() -> None:
    body = {"model": "gpt-4o", "messages": [USER], "stream": True}
    request = decode(body)
    assert request.stream
    assert request.stream_usage is None
    assert encode(request).body == {**body, "stream_options": {"include_usage": True}}
    options = {"include_usage": False, "include_obfuscation": False}
    request = decode({**body, "stream_options": options})
    assert request.stream_usage is False
    assert encode(request).body["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_without_a_stream_there_are_no_stream_options() -> None:
    body = {"model": "m", "messages": [USER], "stream": False, "stream_options": {"include_usage": True}}
    assert encode(decode(body)).body == {"model": "gpt-4o", "messages": [USER]}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "user", "content": 5}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [user(file())]},
            "messages[0].content[0].file",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]},
            "messages[0].tool_calls[0].id",
        ),
        ({"model": 3}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"n": True}, "n"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": 1}}]}, "tools[0].function.name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"reasoning": 3}, "reasoning"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(change: dict[str, Any], where: str) -> None:
    body = {"model": "m", "messages": [USER], **change}
    if body["messages"] is None:
        del body["messages"]
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert caught.value.where == where
    assert CODEC.encode_error(caught.value.error)[1]["error"]["param"] == where


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_part = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "input_audio", "refusal", "thinking"])},
    optional=dict.fromkeys(("text", "image_url", "file", "input_audio", "refusal", "thinking"), _json),
)
_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "function"])},
    optional={
        "content": _json | st.lists(_part, max_size=3),
        "tool_calls": _json | st.lists(st.fixed_dictionaries({"id": _json, "function": _json}), max_size=2),
        "function_call": _json,
        "tool_call_id": _json,
        "name": _json,
        "reasoning_content": _json,
        "reasoning_details": _json | st.lists(_json, max_size=2),
        "refusal": _json,
    },
)
_OTHERS = ("functions", "function_call", "stream", "stream_options", "reasoning", "thinking")
_body = st.fixed_dictionaries(
    {"messages": st.lists(_message | _json, max_size=4)},
    optional=dict.fromkeys((*PARAMETERS, *_OTHERS), _json),
)


@given(_body | st.dictionaries(st.text(max_size=8), _json, max_size=4))
@settings(max_examples=400, deadline=None)
def test_any_json_is_taken_or_refused_with_a_reason(body: dict[str, Any]) -> None:
    with contextlib.suppress(AdapterError):
        request = CODEC.decode_request(body, Arrival())
        for provider in ("openai", "openrouter", "deepseek", "mistral", "elsewhere"):
            json.dumps(encode(request, "some-model", provider).body)
