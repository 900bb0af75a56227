"""Calls in text: every form, every division into pieces, and what is no call."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.canonical import ChatRequest, Tool, ToolChoice
from adapters.compat.calls import Call, DeclaredTools, Rejected
from adapters.compat.formats import READERS
from adapters.compat.scanner import CallScanner
from tests.adapters.compat.forms import (
    FORMS,
    NOT_CALLS,
    NOW,
    REQUEST,
    ROME,
    ROME_JSON,
    TAG,
    TIME,
    TIME_TAG,
    TOOLS,
    USER,
    scan,
)

ALL = {name: text for name, (text, _) in FORMS.items()} | NOT_CALLS


@pytest.mark.parametrize("name", FORMS)
def test_calls_are_found(name: str) -> None:
    text, expected = FORMS[name]
    assert scan(text) == expected


@pytest.mark.parametrize("name", NOT_CALLS)
def test_what_is_no_call_stays(name: str) -> None:
    text = NOT_CALLS[name]
    assert "".join(map(str, scan(text))) == text


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11])
@pytest.mark.parametrize("name", ALL)
def test_pieces_of_one_size(name: str, size: int) -> None:
    text = ALL[name]
    assert scan(text, [size] * (len(text) // size)) == scan(text)


PIECES = [*FORMS.values(), *((text, []) for text in NOT_CALLS.values())]
FRAGMENTS = st.one_of(
    st.sampled_from([text for text, _ in PIECES]),
    st.sampled_from(sorted(READERS)),
    st.sampled_from(
        ["{", "}", "[", "]", '"', "\\", "'", "\n", " ", "`", "<", ">", "name", ":", ",", ROME_JSON]
    ),
    st.text(max_size=5),
)
TEXTS = st.lists(FRAGMENTS, max_size=6).map("".join)
SIZES = st.lists(st.integers(0, 30), max_size=20)


@given(TEXTS, SIZES)
@settings(max_examples=500, deadline=None)
def test_any_division_gives_the_same(text: str, sizes: list[int]) -> None:
    assert scan(text, sizes) == scan(text)


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_text_keeps_its_order_and_nothing_is_added(text: str) -> None:
    at = 0
    for item in scan(text):
        if isinstance(item, str):
            at = text.index(item, at) + len(item)
        else:
            assert isinstance(item, Call)
            assert item.name in TOOLS


@given(st.text(alphabet=st.characters(exclude_characters="<[`{")), SIZES)
def test_text_without_marks_passes_at_once(text: str, sizes: list[int]) -> None:
    assert "".join(map(str, scan(text, sizes))) == text
    scanner = CallScanner(TOOLS)
    assert scanner.feed("x") == ["x"]
    assert "".join(map(str, scanner.feed(text))) == text


@given(TEXTS, SIZES)
@settings(deadline=None)
def test_without_tools_everything_is_text(text: str, sizes: list[int]) -> None:
    assert "".join(map(str, scan(text, sizes, DeclaredTools(ChatRequest("m", (USER,)))))) == text


@given(TEXTS)
@settings(deadline=None)
def test_what_is_held_back_can_be_had_as_text(text: str) -> None:
    scanner = CallScanner(TOOLS)
    items = scanner.feed(text)
    rest = scanner.abort()
    assert text.endswith(rest)
    if not scanner.found:
        out = "".join(item.text if isinstance(item, Rejected) else str(item) for item in items)
        assert out + rest == text


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("I look", ""),
        ("I look <", "<"),
        ("I look <tool", "<tool"),
        ("I look <tool_call", "<tool_call"),
        ("I look <table", ""),
        ("I look [TO", "[TO"),
        ("a <<", "<"),
        ("a <|tool_call", "<|tool_call"),
        ("a ``", "``"),
        ('{"city": "Rome", ', ""),
        ('{"name": "x', '{"name": "x'),
        ('{"name": "x"', ""),
        ('```json\n{"a": 1, ', ""),
        ("```python\nprint(1)\n", ""),
    ],
)
def test_only_a_possible_beginning_is_held_back(text: str, held: str) -> None:
    scanner = CallScanner(TOOLS)
    out = "".join(map(str, scanner.feed(text)))
    assert (out, scanner.held) == (text.removesuffix(held), len(held))


def test_a_call_is_there_as_soon_as_it_ends() -> None:
    scanner = CallScanner(TOOLS)
    assert scanner.feed(TAG[:-1]) == []
    assert scanner.feed(">") == [ROME]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<tool_call>{"name": "rm"}</tool_call>', "there is no tool `rm`; the tools are: get_weather, now"),
        ("<tool_call>{oops}</tool_call>", "it is not a JSON object like"),
        ('<tool_call>{"arguments": {}}</tool_call>', 'it has no "name"'),
        (
            '<tool_call>{"name": "now", "arguments": 5}</tool_call>',
            "the arguments of `now` are not a JSON object",
        ),
        ("<function=rm></function>", "there is no tool `rm`"),
    ],
)
def test_a_malformed_call_has_a_reason(text: str, reason: str) -> None:
    scanner = CallScanner(TOOLS)
    [found] = [*scanner.feed(f"{text}"), *scanner.close()]
    assert isinstance(found, Rejected)
    assert found.text == text
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (None, ("get_weather", "now")),
        (ToolChoice("none"), ()),
        (ToolChoice("required"), ("get_weather", "now")),
        (ToolChoice("named", ("now",)), ("now",)),
        (ToolChoice("auto", ("now",)), ("now",)),
    ],
)
def test_the_tool_choice_says_what_may_be_called(choice: ToolChoice | None, names: tuple[str, ...]) -> None:
    request = ChatRequest("m", (USER,), tools=REQUEST.tools, tool_choice=choice)
    assert DeclaredTools(request).names() == names


def test_free_text_tools() -> None:
    patch = Tool("apply_patch", kind="custom")
    tools = DeclaredTools(ChatRequest("m", (USER,), tools=(patch, NOW)))
    for arguments in ('"*** Begin"', '{"input": "*** Begin"}', '"{\\"input\\": \\"*** Begin\\"}"'):
        text = f'<tool_call>{{"name": "apply_patch", "arguments": {arguments}}}</tool_call>'
        assert scan(text, tools=tools) == [Call("apply_patch", '{"input":"*** Begin"}')]


def test_long_calls_cost_in_proportion_to_their_length() -> None:
    def seconds(length: int) -> float:
        body = 'x = \\"a\\";\\n' * length
        text = (
            f'<tool_call>{{"name": "get_weather", "arguments": {{"city": "{body}"}}}}</tool_call>{TIME_TAG}'
        )
        began = time.process_time()
        items = scan(text, [40] * (len(text) // 40))
        assert items[1:] == [TIME]
        return time.process_time() - began

    seconds(100)
    assert seconds(8000) < 24 * max(seconds(1000), 0.002)
