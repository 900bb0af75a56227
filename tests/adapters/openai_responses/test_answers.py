"""Whole answers: an upstream's, and those for the client, which the official SDK reads."""

import pytest
from openai.types.responses import Response
from openai.types.responses.compacted_response import CompactedResponse

from adapters.canonical import (
    Base64Source,
    ChatError,
    ChatResponse,
    Choice,
    FinishReason,
    Media,
    Opaque,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from adapters.codec import Arrival, ModelInfo, Reply, TargetModel
from adapters.errors import InvalidResponse
from adapters.openai_responses import CODEC
from adapters.replay import replay

from .support import accumulated, decoded, reply, stream

OUTPUT = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
        "encrypted_content": "gAAA",
    },
    {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
    {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "phase": "final_answer",
        "content": [
            {
                "type": "output_text",
                "text": "See A.",
                "logprobs": [],
                "annotations": [
                    {
                        "type": "url_citation",
                        "url": "http://a",
                        "title": "A",
                        "start_index": 0,
                        "end_index": 3,
                    }
                ],
            },
            {"type": "refusal", "refusal": "No more."},
        ],
    },
    {
        "id": "fc_1",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "f",
        "arguments": '{"a":1}',
    },
    {
        "id": "ctc_1",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_2",
        "name": "p",
        "input": "*** x",
    },
]
ANSWER = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_700_000_001,
    "status": "completed",
    "model": "gpt-5.2-2025-12-11",
    "output": OUTPUT,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "service_tier": "flex",
    "completed_at": 1_700_000_002,
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 17,
    },
}


def answer(*parts, finish="stop", **rest):
    return ChatResponse("chatcmpl-1", "m", (Choice(parts, FinishReason(finish)),), **rest)


def encoded(response, request=None):
    body, losses = CODEC.encode_response(response, reply(request))
    Response.model_validate(body)
    return body, losses.codes


def test_an_answer_is_read():
    response = CODEC.decode_response(ANSWER)
    thinking, search, text, refusal, call, custom = response.choices[0].parts
    assert (thinking.text, thinking.signature) == ("a\n\nb", Signature("gAAA", "openai-responses"))
    assert isinstance(search, Opaque)
    assert (text.text, refusal.text) == ("See A.", "No more.")
    assert (call.id, call.name, call.arguments, call.kind) == ("call_1", "f", '{"a":1}', "function")
    assert (custom.arguments, custom.kind) == ("*** x", "custom")
    assert response.choices[0].finish == FinishReason("tool_calls", "completed")
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens) == (
        10,
        7,
        4,
        3,
    )
    assert (response.created, response.service_tier) == (1_700_000_001, "flex")


def test_an_answer_comes_back_as_it_was():
    body, losses = encoded(CODEC.decode_response(ANSWER), decoded({"input": "hi"}))
    assert losses == ()
    assert {key: body[key] for key in ANSWER} == ANSWER


@pytest.mark.parametrize(
    ("outcome", "finish"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "other"),
        ({"status": "cancelled"}, "other"),
        ({}, "tool_calls"),
    ],
)
def test_how_it_ended(outcome, finish):
    body = {**ANSWER, **outcome}
    assert CODEC.decode_response(body).choices[0].finish.unified == finish


def test_a_server_may_leave_things_out():
    response = CODEC.decode_response(
        {
            "output": [
                {"type": "message", "content": None},
                {"type": "function_call", "name": "f", "arguments": None},
            ]
        }
    )
    (call,) = response.choices[0].parts
    assert (call.id, call.arguments, response.usage) == ("call_1", "", None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output": None},
        {"output": [3]},
        {"output": [{"type": 3}]},
        {"output": [{"type": "message", "content": [{"type": "output_text"}]}]},
        {"status": "failed", "output": [], "error": {"code": "server_error", "message": "broken"}},
        {"error": {"message": "no"}},
    ],
)
def test_what_cannot_be_read_is_the_upstreams_fault(body):
    with pytest.raises(InvalidResponse):
        CODEC.decode_response(body)


# ---------------------------------------------------------------- for the client

PARTS = {
    "text": (Text("hello"),),
    "texts": (Text("one"), Text("two")),
    "refusal": (Text("well"), Refusal("no")),
    "thinking": (Thinking("hm", Signature("s", "anthropic")), Text("so")),
    "redacted": (Thinking("", Signature("s", "anthropic"), redacted=True), Text("so")),
    "thinking without proof": (Thinking("hm"), Text("so")),
    "calls": (Text("x"), ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "f", "")),
    "signed call": (ToolCall("c1", "f", "{}", signature=Signature("s", "gemini")),),
    "image": (Media("image", Base64Source("AAAA"), "image/webp"),),
    "opaque": (Opaque("anthropic", "server_tool_use", {}, "searched"), Text("x")),
    "nothing": (),
    "text around a call": (Text("a"), ToolCall("c1", "f", "{}"), Text("b")),
}


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls", "refusal", "pause"])
@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_a_stream_says_the_same_as_the_whole(parts, finish):
    response = answer(*parts, finish=finish, usage=Usage(1, 2, 3))
    body, _ = encoded(response)
    events = stream(replay(response))
    assert events[-1]["response"]["output"] == body["output"]
    assert events[-1]["response"] == body
    if body["status"] == "completed":
        assert accumulated(events) == body["output"]


def test_ids_and_shapes():
    response = answer(
        Thinking("hm"), Text("a"), Refusal("b"), ToolCall("c1", "f", ""), usage=Usage(5, 6, 1, 2, 3)
    )
    body, losses = encoded(response)
    assert losses == ()
    assert body["id"] == "resp_0123abcd"
    reasoning, message, call = body["output"]
    assert reasoning == {
        "id": reasoning["id"],
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
    }
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert message["content"][0] == {"type": "output_text", "text": "a", "annotations": [], "logprobs": []}
    assert (call["call_id"], call["arguments"]) == ("c1", "{}")
    assert len({item["id"] for item in body["output"]}) == 3
    assert body["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 11,
    }


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("stop_sequence", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("context_window", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_the_reason_of_the_end(finish, status, reason):
    body, _ = encoded(answer(Text("x"), finish=finish))
    assert body["status"] == status
    assert (body["incomplete_details"] or {}).get("reason") == reason
    assert body["output"][-1]["status"] == status


def test_signatures_survive_the_client():
    parts = (
        Thinking("hm", Signature("s1", "anthropic")),
        Thinking("", Signature("s2", "anthropic"), redacted=True),
        ToolCall("c1", "f", "{}", signature=Signature("s3", "gemini")),
    )
    body, _ = encoded(answer(*parts))
    request = decoded({"input": body["output"]})
    back = [part for message in request.messages for part in message.parts]
    assert [part.signature for part in back] == [part.signature for part in parts]
    assert [getattr(part, "redacted", None) for part in back] == [False, True, None]


def test_the_request_is_echoed():
    request = decoded(
        {
            "input": "hi",
            "instructions": "be brief",
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "tool_choice": {"type": "function", "name": "f"},
            "temperature": 0.3,
            "metadata": {"a": "b"},
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_object"}},
            "prompt_cache_key": "k",
            "truncation": "auto",
        }
    )
    body, _ = encoded(answer(Text("x")), request)
    assert (body["instructions"], body["temperature"], body["metadata"]) == ("be brief", 0.3, {"a": "b"})
    assert body["tools"][0]["strict"] is True
    assert body["tool_choice"] == {"type": "function", "name": "f"}
    assert (body["text"]["format"], body["reasoning"]["effort"]) == ({"type": "json_object"}, "low")
    assert (body["prompt_cache_key"], body["truncation"]) == ("k", "auto")


# ---------------------------------------------------------------- the shapes that the client declared

DECLARED = {
    "tools": [
        {
            "type": "custom",
            "name": "apply_patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
        },
        {
            "type": "namespace",
            "name": "mcp__mock",
            "description": "d",
            "tools": [
                {"type": "function", "name": "echo", "parameters": {"type": "object"}, "strict": False}
            ],
        },
        {"type": "tool_search", "execution": "client", "description": "d", "parameters": {"type": "object"}},
        {"type": "local_shell"},
        {"type": "shell"},
    ],
    "input": "hi",
}
CODEX = {
    "free text": (
        ToolCall("c1", "apply_patch", '{"input":"*** Begin\\n"}'),
        {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin\n"},
    ),
    "namespace": (
        ToolCall("c1", "mcp__mock__echo", '{"a":1}'),
        {"type": "function_call", "name": "echo", "namespace": "mcp__mock", "arguments": '{"a":1}'},
    ),
    "search": (
        ToolCall("c1", "tool_search", '{"query":"q"}'),
        {
            "type": "tool_search_call",
            "execution": "client",
            "arguments": {"query": "q"},
            "status": "completed",
        },
    ),
    "local shell": (
        ToolCall("c1", "local_shell", '{"command":["ls"]}'),
        {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    ),
    "shell": (
        ToolCall("c1", "shell", '{"commands":["ls"]}'),
        {"type": "shell_call", "action": {"commands": ["ls"], "timeout_ms": None, "max_output_length": None}},
    ),
    "undeclared": (
        ToolCall("c1", "other", "{}"),
        {"type": "function_call", "name": "other", "arguments": "{}"},
    ),
}


@pytest.mark.parametrize(("call", "item"), CODEX.values(), ids=CODEX)
def test_calls_come_in_the_shape_that_the_client_declared(call, item):
    request = decoded(DECLARED)
    response = answer(call, finish="tool_calls")
    body, _ = encoded(response, request)
    (written,) = body["output"]
    assert item.items() <= written.items()
    assert written["call_id"] == "c1"
    events = stream(replay(response), request)
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == [written]


def test_the_calls_that_came_back_are_read_again():
    request = decoded(DECLARED)
    for call, _ in CODEX.values():
        body, _ = encoded(answer(call), request)
        again = decoded({**DECLARED, "input": body["output"]})
        (read,) = again.messages[0].parts
        assert (read.id, read.name) == ("c1", call.name.removeprefix("mcp__mock__"))


# ---------------------------------------------------------------- compaction, errors, models


def test_a_summary_stands_for_the_conversation():
    body = {
        "model": "m",
        "input": [{"role": "user", "content": "do it"}, {"role": "assistant", "content": "done"}],
    }
    request = CODEC.decode_request(body, Arrival(action="compact"))
    assert request.messages[-1].role == "user"
    assert "summary" in request.messages[-1].parts[0].text
    compacted, _ = CODEC.encode_response(answer(Text("It is done.")), Reply(request, "0123", 1, "compact"))
    assert set(compacted) == {
        name for name, one in CompactedResponse.model_fields.items() if one.is_required()
    }
    assert [item["type"] for item in compacted["output"]] == ["message", "compaction"]
    again = decoded({"input": compacted["output"]})
    assert [message.role for message in again.messages] == ["user", "user"]
    assert again.messages[1].parts[0].text.endswith("It is done.")


def test_an_upstream_that_compacts_is_asked_to():
    body = {"model": "m", "input": [{"role": "user", "content": "do it"}], "instructions": "i"}
    request = CODEC.decode_request(body, Arrival(action="compact"))
    sent = CODEC.encode_request(request, TargetModel("gpt-5.2"))
    assert (sent.path, sent.body) == ("/responses/compact", {**body, "model": "gpt-5.2"})
    blob = {"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAA"}
    upstream = CODEC.decode_response({"id": "resp_1", "object": "response.compaction", "output": [blob]})
    compacted, _ = CODEC.encode_response(upstream, Reply(request, "0123", 1, "compact"))
    assert compacted["output"] == [blob]


def test_errors_have_openais_shape():
    status, body = CODEC.encode_error(ChatError("rate_limit", "slow down", 429))
    assert status == 429
    assert body["error"]["message"] == "slow down"
    error = CODEC.decode_error(
        429, {"retry-after": "7"}, b'{"error":{"message":"m","code":"rate_limit_exceeded"}}'
    )
    assert (error.kind, error.message, error.retry_after) == ("rate_limit", "m", 7.0)


def test_models():
    body = CODEC.encode_models([ModelInfo("m", 1, "o", "M")])
    assert body == {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "o"}]}
    assert CODEC.encode_token_count(3) == {"object": "response.input_tokens", "input_tokens": 3}
