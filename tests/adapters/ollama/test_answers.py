"""Ollama's answers and streams: read in any chunking, written so that its own SDK reads them."""

from __future__ import annotations

import itertools
import json

import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.assemble import Assembler
from adapters.canonical import (
    ChatError,
    ChatRequest,
    ChatResponse,
    Choice,
    Failure,
    FinishReason,
    Message,
    StopReason,
    Text,
    Thinking,
    Tool,
    ToolCall,
    Usage,
)
from adapters.codec import ModelInfo, Reply, TargetModel
from adapters.errors import InvalidResponse
from adapters.grammar import check
from adapters.ollama import CODEC
from adapters.ollama.response import DONE_REASONS
from adapters.replay import replay

REQUEST = ChatRequest("my-model", (Message("user", (Text("Hi"),)),))
REPLY = Reply(REQUEST, "abc", 1_790_000_000, "chat")
ANSWER = ChatResponse(
    id="x",
    model="qwen3:8b",
    choices=(
        Choice(
            (
                Thinking("Hm, ünïcode \U0001f600"),
                Text("Let me look."),
                ToolCall("c1", "look", '{"x":1}'),
                ToolCall("c2", "list", "{}"),
            ),
            FinishReason("tool_calls", "stop"),
        ),
    ),
    usage=Usage(12, 34),
)
STREAM = b"""\
{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}
{"model":"m","message":{"role":"assistant","content":"","thinking":", \xc3\xbc"},"done":false}
{"model":"m","message":{"role":"assistant","content":"Let "},"done":false}

{"model":"m","message":{"role":"assistant","content":"me."},"done":false}\r
{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"look","arguments":{"x":1}}}]},"done":false}
{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"id":"c2","function":{"name":"list","arguments":{}}}]},"done":false}
{"model":"m","message":{"role":"assistant","content":"."},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":6}"""


def decoded(chunks: list[bytes]) -> list:
    decoder = CODEC.stream_decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return check(events + decoder.close())


def assembled(events: list) -> ChatResponse | None:
    assembler = Assembler()
    assembler.feed(events)
    return assembler.response


def test_a_stream_is_read() -> None:
    answer = assembled(decoded([STREAM]))
    assert answer is not None
    minted = answer.choices[0].parts[2]
    assert isinstance(minted, ToolCall)
    assert minted.id.startswith("call_")
    assert answer.choices[0].parts == (
        Thinking("Hm, ü"),
        Text("Let me."),
        ToolCall(minted.id, "look", '{"x":1}'),
        ToolCall("c2", "list", "{}"),
        Text("."),
    )
    assert answer.choices[0].finish == FinishReason("tool_calls", "stop")
    assert answer.usage == Usage(5, 6)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_chunking_gives_the_same_answer(cuts: list[int]) -> None:
    places = sorted({0, *cuts, len(STREAM)})
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(places)]
    assert assembled(decoded(chunks)) == assembled(decoded([STREAM]))
    assert assembled(decoded([bytes([byte]) for byte in STREAM])) == assembled(decoded([STREAM]))


def test_minted_ids_differ_between_calls_and_answers() -> None:
    call = {"function": {"name": "look", "arguments": {}}}
    ids = [
        part.id
        for moment in ("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.2Z")
        for part in CODEC.decode_response({"created_at": moment, "message": {"tool_calls": [call, call]}})
        .choices[0]
        .parts
        if isinstance(part, ToolCall)
    ]
    assert len(set(ids)) == 4


def test_free_text_tools_come_back_as_declared() -> None:
    request = ChatRequest("m", REQUEST.messages, tools=(Tool("patch", kind="custom", namespace="files"),))
    sent = CODEC.encode_request(request, TargetModel("m")).body["tools"][0]["function"]["name"]
    assert sent == "files__patch"
    reply = Reply(request, "abc", 1, "chat")
    answer = ChatResponse(
        "x", "m", (Choice((ToolCall("c", sent, '{"input":"a\\nb"}'),), FinishReason("tool_calls")),)
    )
    body, _ = CODEC.encode_response(answer, reply)
    assert body["message"]["tool_calls"][0]["function"] == {
        "index": 0,
        "name": "patch",
        "arguments": {"input": "a\nb"},
    }


@pytest.mark.parametrize("line", STREAM.splitlines()[:-1])
def test_a_cut_stream_is_a_failure(line: bytes) -> None:
    cut = STREAM[: STREAM.index(line) + len(line)]
    assert isinstance(decoded([cut])[-1], Failure)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"error":"model runner has crashed"}', "model runner has crashed"),
        (b"[1]", "the upstream sent a line that is not a JSON object"),
        (b"<html>", "the upstream sent a line that is not a JSON object"),
        (b'{"error":{"x":1}}', "the upstream reports an error"),
    ],
)
def test_bad_lines_are_failures(line: bytes, message: str) -> None:
    last = decoded([STREAM.splitlines()[0] + b"\n" + line + b"\n"])[-1]
    assert last == Failure(ChatError("upstream", message, 502))


@given(st.binary(max_size=300))
def test_any_bytes_are_events_in_order(data: bytes) -> None:
    assert isinstance(decoded([data])[-1], Failure)


def test_a_whole_answer_is_read_by_the_sdk() -> None:
    body, losses = CODEC.encode_response(ANSWER, REPLY)
    read = ollama.ChatResponse.model_validate_json(json.dumps(body))
    assert read.message.content == "Let me look."
    assert read.message.thinking == "Hm, ünïcode \U0001f600"
    assert [
        (call.function.name, dict(call.function.arguments)) for call in read.message.tool_calls or ()
    ] == [
        ("look", {"x": 1}),
        ("list", {}),
    ]
    assert (read.done, read.done_reason, read.prompt_eval_count, read.eval_count) == (True, "stop", 12, 34)
    assert losses.codes == ()


def test_the_same_protocol_is_the_identity() -> None:
    body, _ = CODEC.encode_response(ANSWER, REPLY)
    again = CODEC.decode_response(body)
    assert again.choices == ANSWER.choices
    assert again.usage == ANSWER.usage


def test_a_stream_is_read_by_the_sdk() -> None:
    encoder = CODEC.stream_encoder(REPLY)
    lines = encoder.encode(replay(ANSWER)).splitlines()
    read = [ollama.ChatResponse.model_validate_json(line) for line in lines]
    assert "".join(piece.message.content or "" for piece in read) == "Let me look."
    assert "".join(piece.message.thinking or "" for piece in read) == "Hm, ünïcode \U0001f600"
    calls = [call.function.name for piece in read for call in piece.message.tool_calls or ()]
    assert calls == ["look", "list"]
    assert [piece.done for piece in read] == [False] * (len(read) - 1) + [True]
    assert (read[-1].prompt_eval_count, read[-1].eval_count) == (12, 34)


def test_a_stream_and_the_whole_answer_say_the_same() -> None:
    stream = CODEC.stream_encoder(REPLY).encode(replay(ANSWER))
    answer = assembled(decoded([stream]))
    assert answer is not None
    assert answer.choices == ANSWER.choices
    assert answer.usage == ANSWER.usage


def test_generate_has_its_own_shape() -> None:
    answer = ChatResponse("x", "m", (Choice((Thinking("t"), Text("hello")), FinishReason("length")),))
    reply = Reply(REQUEST, "abc", 1_790_000_000, "generate")
    body, _ = CODEC.encode_response(answer, reply)
    read = ollama.GenerateResponse.model_validate_json(json.dumps(body))
    assert (read.response, read.thinking, read.done_reason) == ("hello", "t", "length")
    lines = CODEC.stream_encoder(reply).encode(replay(answer)).splitlines()
    pieces = [ollama.GenerateResponse.model_validate_json(line) for line in lines]
    assert "".join(piece.response or "" for piece in pieces) == "hello"


def test_a_failure_is_an_error_line_and_no_clean_end() -> None:
    events = [*replay(ANSWER)[:3], Failure(ChatError("upstream", "cut", 502))]
    last = CODEC.stream_encoder(REPLY).encode(events).splitlines()[-1]
    assert json.loads(last) == {"error": "cut"}


def test_every_stop_reason_has_a_word() -> None:
    import typing

    assert set(DONE_REASONS) == set(typing.get_args(StopReason))


@pytest.mark.parametrize("body", [{}, {"message": 3}, {"response": 3}])
def test_what_is_no_answer_is_refused(body: dict) -> None:
    with pytest.raises(InvalidResponse):
        CODEC.decode_response(body)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, b'{"error":"model \'x\' not found"}', "not_found", "model 'x' not found"),
        (500, b"<html>", "upstream", "the upstream answered with status 500"),
        (429, b'{"error":{}}', "rate_limit", "the upstream answered with status 429"),
    ],
)
def test_errors_are_read(status: int, body: bytes, kind: str, message: str) -> None:
    error = CODEC.decode_error(status, {}, body)
    assert (error.kind, error.message, error.status) == (kind, message, status)


def test_lists_are_read_by_the_sdk() -> None:
    model = ModelInfo("kimi", 1_790_000_000, "openrouter", "Kimi", 200_000, 8_000, ("completion", "tools"))
    tags = ollama.ListResponse.model_validate(CODEC.encode_models([model], "tags"))
    assert [listed.model for listed in tags.models] == ["kimi"]
    running = ollama.ProcessResponse.model_validate(CODEC.encode_models([model], "ps"))
    assert running.models[0].context_length == 200_000
    shown = ollama.ShowResponse.model_validate(CODEC.encode_model(model, "show"))
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo is not None
    assert shown.modelinfo[f"{shown.modelinfo['general.architecture']}.context_length"] == 200_000
