"""Tools as plain functions and back: names, free text, whole answers and streams."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.canonical import (
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Message,
    PartDelta,
    PartEnd,
    PartStart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from adapters.tool_names import (
    InputReader,
    StreamRestorer,
    ToolNames,
    flat_name,
    plain_request,
    restore_response,
)

NAMES = st.text(min_size=1, max_size=100)


def request(*tools, messages=(), **rest):
    return ChatRequest("m", messages, tools=tools, **rest)


@pytest.mark.parametrize(
    ("name", "namespace", "flat"),
    [
        ("read", None, "read"),
        ("echo", "mcp__mock", "mcp__mock__echo"),
        ("echo", "mcp__", "mcp__echo"),
    ],
)
def test_flat_names(name, namespace, flat):
    assert flat_name(name, namespace) == flat


def test_a_name_that_is_not_valid_ends_in_a_hash():
    assert re.fullmatch(r"a_b_[0-9a-f]{8}", flat_name("a.b"))
    assert len(flat_name("n" * 100, "mcp")) == 64


@given(st.lists(st.tuples(st.none() | NAMES, NAMES), max_size=8, unique=True))
def test_every_tool_has_a_valid_name_of_its_own_that_leads_back(keys):
    tools = [Tool(name, namespace=namespace) for namespace, name in keys]
    names = ToolNames(request(*tools))
    flat = [names.flat(tool.name, tool.namespace) for tool in tools]
    assert len(set(flat)) == len(flat)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in flat)
    assert [names.declared(one) for one in flat] == tools


def test_a_name_that_is_taken_is_not_taken_twice():
    tools = (Tool("echo", namespace="a"), Tool("a__echo"))
    names = ToolNames(request(*tools))
    assert names.flat("a__echo") == "a__echo"
    assert names.flat("echo", "a") != "a__echo"
    assert names.declared(names.flat("echo", "a")) is tools[0]


def test_plain_functions_go_through_untouched():
    plain = request(Tool("read", parameters={"type": "object"}), messages=(Message("user", ()),))
    changed, losses = plain_request(plain)
    assert changed is plain
    assert not len(losses)


PATCH = Tool(
    "apply_patch",
    "Edits files.",
    kind="custom",
    format={"type": "grammar", "syntax": "lark", "definition": 'start: "x"'},
)


def test_a_free_text_tool_becomes_a_function_and_its_history_too():
    history = (
        Message("assistant", (ToolCall("c1", "apply_patch", 'a "b"\n', kind="custom"),)),
        Message("tool", (ToolResult("c1", kind="custom", name="apply_patch"),)),
    )
    plain, losses = plain_request(
        request(PATCH, messages=history, tool_choice=ToolChoice("named", ("apply_patch",)))
    )
    (tool,) = plain.tools
    assert (tool.kind, tool.format, list(tool.parameters["properties"])) == ("function", None, ["input"])
    assert tool.description.startswith("Edits files.")
    assert 'start: "x"' in tool.description
    assert losses.codes == ("tool.format",)
    call = plain.messages[0].parts[0]
    assert (call.kind, json.loads(call.arguments)) == ("function", {"input": 'a "b"\n'})
    assert plain.messages[1].parts[0].kind == "function"


def test_a_target_with_free_text_tools_keeps_them():
    plain, losses = plain_request(request(PATCH, Tool("echo", namespace="mcp")), custom=True)
    assert plain.tools[0] is PATCH
    assert plain.tools[1] == Tool("mcp__echo")
    assert not len(losses)


def test_a_namespaced_call_its_result_and_its_choice_agree():
    history = (
        Message("assistant", (ToolCall("c1", "echo", "{}", namespace="mcp"),)),
        Message("tool", (ToolResult("c1", name="echo"),)),
    )
    plain, _ = plain_request(
        request(Tool("echo", namespace="mcp"), messages=history, tool_choice=ToolChoice("named", ("echo",)))
    )
    assert plain.tool_choice.names == ("mcp__echo",)
    assert plain.messages[0].parts[0].name == plain.messages[1].parts[0].name == "mcp__echo"
    assert plain.messages[0].parts[0].namespace is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"a\\nb"}', "a\nb"),
        (' { "input" : "x" , "why": 1}', "x"),
        ('{"why": 1, "input": "x"}', "x"),
        ('"x"', "x"),
        ("plain words", "plain words"),
        ('{"other": "x"}', '{"other": "x"}'),
        ('{"input": 3}', '{"input": 3}'),
        ('{"input": "cut', "cut"),
        ("{}", ""),
        ("", ""),
        ('{"input":"\\ud83d\\ude00 \\ud83d x \\q"}', "\U0001f600 \ud83d x \\q"),
    ],
)
def test_free_text_comes_out_of_the_arguments(arguments, text):
    answer = ChatResponse(
        "r", "m", (Choice((ToolCall("c", "apply_patch", arguments),), FinishReason("tool_calls")),)
    )
    (part,) = restore_response(answer, request(PATCH)).choices[0].parts
    assert (part.kind, part.arguments) == ("custom", text)


@given(st.text(), st.lists(st.integers(1, 9)))
def test_free_text_is_the_same_however_it_is_cut(text, cuts):
    arguments = json.dumps({"input": text})
    reader, out, at = InputReader(), "", 0
    for cut in [*cuts, len(arguments)]:
        out += reader.feed(arguments[at : at + cut])
        at += cut
    assert out + reader.close() == text


def test_free_text_streams_before_its_end():
    reader = InputReader()
    assert reader.feed('{"input": "one ') == "one "
    assert reader.feed('two"}') == "two"
    assert reader.close() == ""


def test_a_stream_comes_back_in_the_declared_shape():
    restorer = StreamRestorer(request(PATCH, Tool("echo", namespace="mcp"), Tool("plain")))
    events = [
        PartStart(0, ToolCall("a", "apply_patch")),
        PartDelta(0, '{"inp'),
        PartStart(1, ToolCall("b", "mcp__echo")),
        PartDelta(1, '{"x":1}'),
        PartDelta(0, 'ut":"hi"}'),
        PartEnd(0),
        PartEnd(1),
        PartStart(2, ToolCall("c", "plain")),
        PartDelta(2, "{}"),
        PartEnd(2),
    ]
    assert list(restorer.feed(events)) == [
        PartStart(0, ToolCall("a", "apply_patch", kind="custom")),
        PartStart(1, ToolCall("b", "echo", namespace="mcp")),
        PartDelta(1, '{"x":1}'),
        PartDelta(0, "hi"),
        PartEnd(0),
        PartEnd(1),
        *events[7:],
    ]
