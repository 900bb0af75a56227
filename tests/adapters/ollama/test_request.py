"""Ollama's requests, both ways."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.canonical import (
    Base64Source,
    ChatRequest,
    Media,
    Message,
    OutputFormat,
    PlainTextSource,
    ProviderTool,
    Reasoning,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    UrlSource,
)
from adapters.codec import Arrival, TargetModel
from adapters.errors import InvalidRequest
from adapters.ollama import CODEC

CHAT, GENERATE = Arrival("chat"), Arrival("generate")
QWEN = TargetModel("qwen3:8b")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

WHOLE = {
    "model": "qwen3:8b",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is this?", "images": [PIXEL]},
        {
            "role": "assistant",
            "content": "Let me see.",
            "thinking": "A picture.",
            "tool_calls": [
                {"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"x": 1, "note": "ü"}}},
                {"id": "c2", "function": {"index": 1, "name": "look", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "a pixel", "tool_name": "look", "tool_call_id": "c1"},
        {"role": "tool", "content": "nothing", "tool_name": "look", "tool_call_id": "c2"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "look", "description": "Looks", "parameters": {"type": "object"}},
        }
    ],
    "stream": False,
    "format": {"type": "object", "properties": {"a": {"type": "string"}}},
    "think": True,
    "keep_alive": "5m",
    "options": {
        "num_predict": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": ["END"],
        "num_ctx": 4096,
        "min_p": 0.05,
    },
    "logprobs": True,
    "top_logprobs": 3,
    "something_new": {"kept": [1]},
}


def test_the_same_protocol_is_the_identity() -> None:
    encoded = CODEC.encode_request(CODEC.decode_request(WHOLE, CHAT), QWEN)
    assert encoded.body == WHOLE
    assert encoded.path == "/api/chat"
    assert encoded.losses.codes == ()


def test_streaming_is_the_default() -> None:
    assert CODEC.decode_request({"model": "m", "messages": []}, CHAT).stream


@pytest.mark.parametrize("limit", [-1, -2])
def test_no_limit_is_no_limit_elsewhere_and_stays_here(limit: int) -> None:
    body = {"model": "m", "messages": [], "options": {"num_predict": limit}}
    request = CODEC.decode_request(body, CHAT)
    assert request.max_tokens is None
    assert CODEC.encode_request(request, QWEN).body["options"] == {"num_predict": limit}


def test_generate_becomes_a_conversation() -> None:
    body = {"model": "m", "prompt": "Hello", "system": "Be brief.", "images": [PIXEL], "raw": True}
    request = CODEC.decode_request(body, GENERATE)
    assert request.messages == (
        Message("system", (Text("Be brief."),)),
        Message("user", (Media("image", Base64Source(PIXEL), "image/png"), Text("Hello"))),
    )
    encoded = CODEC.encode_request(request, QWEN)
    assert "raw" not in encoded.body
    assert encoded.losses.codes == ("raw",)


def results(*messages: dict) -> list[tuple[str, str]]:
    """(call id, content) of each result, after calls of `a`, `b` and `a` again, without ids."""
    calls = [{"function": {"name": name, "arguments": {}}} for name in ("a", "b", "a")]
    body = {"model": "m", "messages": [{"role": "assistant", "tool_calls": calls}, *messages]}
    request = CODEC.decode_request(body, CHAT)
    return [
        (part.call_id, part.content[0].text)
        for message in request.messages
        for part in message.parts
        if isinstance(part, ToolResult)
    ]


def test_results_find_their_calls_by_name_and_order() -> None:
    tool = {"role": "tool"}
    assert results(
        {**tool, "tool_name": "b", "content": "1"},
        {**tool, "tool_name": "a", "content": "2"},
        {**tool, "tool_name": "a", "content": "3"},
    ) == [("call_2", "1"), ("call_1", "2"), ("call_3", "3")]
    assert results({**tool, "content": "1"}, {**tool, "content": "2"}) == [("call_1", "1"), ("call_2", "2")]


def test_what_ollama_cannot_say_is_reported() -> None:
    request = ChatRequest(
        model="any",
        messages=(
            Message(
                "user",
                (
                    Text("See"),
                    Media("image", UrlSource("http://127.0.0.1/a.png"), "image/png"),
                    Media("document", PlainTextSource("the text"), "text/plain", name="notes.txt"),
                    Media("document", Base64Source("JVBERi0="), "application/pdf", name="a.pdf"),
                ),
            ),
            Message(
                "assistant",
                (Thinking("why", Signature("s", "anthropic")), ToolCall("c", "f", "{broken", signature=None)),
            ),
            Message("tool", (ToolResult("c", (Text("bad"),), is_error=True),)),
        ),
        instructions=(Text("Be brief."),),
        tools=(
            Tool("f", strict=True),
            Tool("g"),
            ProviderTool("anthropic", "web_search_20250305", {"type": "web_search_20250305"}),
        ),
        tool_choice=ToolChoice("named", ("f",)),
        parallel_tool_calls=False,
        n=2,
        user="me",
        reasoning=Reasoning(enabled=True, budget=2000),
        extensions={"anthropic": {"context_management": {}}},
    )
    encoded = CODEC.encode_request(request, QWEN)
    assert encoded.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": "See\n\n[image http://127.0.0.1/a.png cannot be shown to this model]\n\n"
            "notes.txt:\nthe text\n\n[document a.pdf cannot be shown to this model]",
        },
        {
            "role": "assistant",
            "content": "",
            "thinking": "why",
            "tool_calls": [
                {"id": "c", "function": {"index": 0, "name": "f", "arguments": {"arguments": "{broken"}}}
            ],
        },
        {"role": "tool", "content": "Error: bad", "tool_name": "f", "tool_call_id": "c"},
    ]
    assert [tool["function"]["name"] for tool in encoded.body["tools"]] == ["f"]
    assert encoded.body["think"] is True
    assert set(encoded.losses.codes) == {
        "context_management",
        "media.document",
        "media.image",
        "n",
        "parallel_tool_calls",
        "reasoning.budget",
        "thinking.signature",
        "tool.strict",
        "tool.web_search_20250305",
        "tool_call.arguments",
        "tool_choice",
        "tool_result.is_error",
        "user",
    }


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        (OutputFormat("json"), "json"),
        (OutputFormat("json_schema", schema={"type": "object"}, name="x", strict=True), {"type": "object"}),
        (OutputFormat("text"), None),
    ],
)
def test_output_formats(wanted: OutputFormat, written: object) -> None:
    request = ChatRequest("m", (Message("user", (Text("a"),)),), output_format=wanted)
    assert CODEC.encode_request(request, QWEN).body.get("format") == written


@pytest.mark.parametrize(("model", "think"), [("gpt-oss:20b", "high"), ("qwen3:8b", True)])
def test_effort_is_a_level_only_where_the_model_has_levels(model: str, think: object) -> None:
    request = ChatRequest(
        "m", (Message("user", (Text("a"),)),), reasoning=Reasoning(enabled=True, effort="high")
    )
    assert CODEC.encode_request(request, TargetModel(model)).body["think"] == think


WRONG = [
    ({}, "model"),
    ({"model": 3}, "model"),
    ({"model": "m", "messages": {}}, "messages"),
    ({"model": "m", "messages": [3]}, "messages[0]"),
    ({"model": "m", "messages": [{"role": "robot"}]}, "messages[0].role"),
    ({"model": "m", "messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"model": "m", "messages": [{"role": "user", "images": [1]}]}, "messages[0].images[0]"),
    (
        {"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}, {}]}]},
        "messages[0].tool_calls[1].function",
    ),
    ({"model": "m", "tools": [{}]}, "tools[0].function"),
    ({"model": "m", "options": {"stop": [1]}}, "options.stop[0]"),
    ({"model": "m", "options": {"temperature": "hot"}}, "options.temperature"),
    ({"model": "m", "format": 3}, "format"),
    ({"model": "m", "think": "hard"}, "think"),
    ({"model": "m", "stream": "yes"}, "stream"),
]


@pytest.mark.parametrize(("body", "where"), WRONG)
def test_wrong_bodies_are_told_where(body: dict, where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.decode_request(body, CHAT)
    assert caught.value.where == where


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(WHOLE)), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*sorted(WHOLE), "prompt", "system", "images"]), values))
def test_any_json_is_read_or_refused(body: dict) -> None:
    for arrival in (CHAT, GENERATE):
        try:
            request = CODEC.decode_request(body, arrival)
        except InvalidRequest:
            continue
        json.dumps(CODEC.encode_request(request, QWEN).body)


def test_a_turn_of_nothing_that_ollama_can_be_told_goes() -> None:
    turns = (
        Message("user", (Text("Hi"),)),
        Message("assistant", (Thinking("", Signature("s", "openai-responses")),)),
        Message("user", (Text("More"),)),
    )
    sent = CODEC.encode_request(ChatRequest("m", turns), QWEN)
    assert [turn["content"] for turn in sent.body["messages"]] == ["Hi", "More"]
    assert sent.losses.codes == ("thinking.signature",)
