"""Whatever history a client sends: the target gets one that its provider accepts, the same every time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.canonical import ChatRequest, Message, Part, Reasoning, Text, Tool, ToolCall, ToolResult
from adapters.registry import codec
from tests.adapters.matrix import rules, sdk
from tests.adapters.matrix.cases import MODELS, PAIRS, PROTOCOLS, TargetModel, arrival
from tests.adapters.matrix.conversations import pictures, requests, texts
from tests.adapters.matrix.convert import plain

quickly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

ids = st.sampled_from(["c1", "c2", "c3", "weird id/é", "x" * 80])
blank = st.sampled_from([Text(""), Text(" \n"), Text("said  ")])
calls = st.builds(
    ToolCall, ids, st.sampled_from(["f", "g"]), st.sampled_from(["{}", "", '{"a":1}', "{broken"])
)
results = st.builds(
    ToolResult,
    ids,
    st.lists(texts | blank | pictures, max_size=2).map(tuple),
    st.none() | st.sampled_from(["f", "g"]),
    st.booleans(),
)


@st.composite
def turns(draw: st.DrawFn) -> Message:
    role = draw(st.sampled_from(["system", "user", "assistant", "tool"]))
    said: st.SearchStrategy[Any] = {
        "system": texts | blank,
        "user": texts | blank | pictures | results,
        "assistant": texts | blank | calls,
        "tool": results,
    }[role]
    parts: list[Part] = draw(st.lists(said, max_size=3))
    return Message(role, tuple(parts))  # type: ignore[arg-type]


histories = st.lists(turns(), min_size=1, max_size=7)


def _request(messages: list[Message]) -> ChatRequest:
    return ChatRequest("m", tuple(messages), tools=(Tool("f"), Tool("g")), max_tokens=4000)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(messages=histories)
@quickly
def test_a_random_history_becomes_a_valid_one(protocol: str, messages: list[Message]) -> None:
    target = TargetModel(MODELS[protocol])
    sent = codec(protocol).encode_request(_request(messages), target)
    body = plain(sent.body)
    assert not rules.broken(protocol, body)
    assert not sdk.request_errors(protocol, body)
    again = codec(protocol).encode_request(_request(messages), target)
    assert plain(again.body) == body
    assert again.losses.codes == sent.losses.codes


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(messages=histories)
@quickly
def test_a_turn_more_changes_nothing_of_what_stood_before(protocol: str, messages: list[Message]) -> None:
    """Prompt caches compare from the start. What the last turn left open may be closed by the next one."""
    target = TargetModel(MODELS[protocol])
    closed = [*messages, Message("user", (Text("go on"),))]
    longer = [*closed, Message("assistant", (Text("done"),)), Message("user", (Text("and now?"),))]
    before, after = (
        plain(codec(protocol).encode_request(_request(one), target).body)[_TURNS[protocol]]
        for one in (closed, longer)
    )
    assert isinstance(before, str) or after[: len(before)] == before


_TURNS = {"openai-responses": "input", "gemini": "contents"} | dict.fromkeys(
    ("openai", "anthropic", "ollama"), "messages"
)


@pytest.mark.parametrize(("client", "target"), PAIRS)
@given(messages=histories)
@settings(quickly, max_examples=12)
def test_by_way_of_each_protocol(client: str, target: str, messages: list[Message]) -> None:
    """Broken in the client's own protocol: what it can write at all, read and sent on."""
    written = codec(client).encode_request(_request(messages), TargetModel(MODELS[client])).body
    bodies = [plain(written)]
    key = _TURNS[client]
    if isinstance(written[key], list):  # any turns of it alone, too: calls and results get lost so
        bodies += [{**bodies[0], key: bodies[0][key][::2]}, {**bodies[0], key: bodies[0][key][::-1]}]
    for body in bodies:
        read = codec(client).decode_request(body, arrival(client, model=MODELS[client]))
        sent = plain(codec(target).encode_request(read, TargetModel(MODELS[target])).body)
        assert not rules.broken(target, sent)


@pytest.mark.parametrize(
    "model", ["gemini-2.5-pro", "gemini-2.5-flash", "claude-opus-4-1", "claude-opus-4-6"]
)
@pytest.mark.parametrize("effort", ["none", "low", "high", "max"])
@pytest.mark.parametrize("limit", [1, 16, 1500, 5000, 60_000])
def test_thoughts_leave_room_for_an_answer(model: str, effort: Any, limit: int) -> None:
    protocol = "gemini" if model.startswith("gemini") else "anthropic"
    asked = ChatRequest(
        "m", (Message("user", (Text("hi"),)),), max_tokens=limit, reasoning=Reasoning(effort=effort)
    )
    sent = codec(protocol).encode_request(asked, TargetModel(model))
    assert not rules.broken(protocol, plain(sent.body))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(request=requests())
@settings(quickly, max_examples=30)
def test_a_whole_conversation_needs_no_repair(protocol: str, request: ChatRequest) -> None:
    sent = codec(protocol).encode_request(replace(request, tool_choice=None), TargetModel(MODELS[protocol]))
    assert not rules.broken(protocol, plain(sent.body))
    repairs = [code for code in sent.losses.codes if code.startswith("history.")]
    assert not set(repairs) - {"history.system_as_user"}
