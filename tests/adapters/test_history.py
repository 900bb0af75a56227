"""The repair of histories: what clients send and providers refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.canonical import Message, Part, Text, ToolCall, ToolResult
from adapters.history import CONTINUED, NO_RESULT, HistoryRules, leading_system, merged, normalise

USER = HistoryRules(
    results="user", merge_roles=True, drop_blank_text=True, strip_last_assistant=True, user_first=True
)
TOOL = HistoryRules()

Short = tuple[str, ...]


def message(role: str, *parts: str) -> Message:
    """Parts in short: `call:id`, `result:id`, else text."""
    made: list[Part] = []
    for part in parts:
        kind, _, value = part.partition(":")
        if kind == "call":
            made.append(ToolCall(value, "f", "{}"))
        elif kind == "result":
            made.append(ToolResult(value, (Text(f"r{value}"),)))
        else:
            made.append(Text(part))
    return Message(role, tuple(made))  # type: ignore[arg-type]


def short(messages: tuple[Message, ...]) -> list[Short]:
    out = []
    for turn in messages:
        parts = []
        for part in turn.parts:
            match part:
                case Text():
                    parts.append(part.text)
                case ToolCall():
                    parts.append(f"call:{part.id}")
                case ToolResult():
                    words = "".join(text.text for text in part.content if isinstance(text, Text))
                    parts.append(f"result:{part.call_id}" + ("!" if words == NO_RESULT else ""))
        out.append((turn.role, *parts))
    return out


# name: (messages, expected for results in the user's turn, for results in turns of their own, losses)
CASES: dict[str, tuple[list[Short], list[Short], list[Short], tuple[str, ...]]] = {
    "nothing to do": (
        [("user", "a"), ("assistant", "b", "call:1"), ("tool", "result:1"), ("assistant", "c")],
        [("user", "a"), ("assistant", "b", "call:1"), ("user", "result:1"), ("assistant", "c")],
        [("user", "a"), ("assistant", "b", "call:1"), ("tool", "result:1"), ("assistant", "c")],
        (),
    ),
    "parallel results in one turn": (
        [
            ("user", "a"),
            ("assistant", "call:1", "call:2"),
            ("tool", "result:2"),
            ("tool", "result:1"),
            ("user", "b"),
        ],
        [("user", "a"), ("assistant", "call:1", "call:2"), ("user", "result:2", "result:1", "b")],
        [
            ("user", "a"),
            ("assistant", "call:1", "call:2"),
            ("tool", "result:2"),
            ("tool", "result:1"),
            ("user", "b"),
        ],
        (),
    ),
    "calls in neighbouring messages": (
        [("user", "a"), ("assistant", "call:1"), ("assistant", "call:2"), ("tool", "result:1", "result:2")],
        [("user", "a"), ("assistant", "call:1", "call:2"), ("user", "result:1", "result:2")],
        [("user", "a"), ("assistant", "call:1", "call:2"), ("tool", "result:1", "result:2")],
        (),
    ),
    "results beside text": (
        [("user", "a"), ("assistant", "call:1"), ("user", "result:1", "b")],
        [("user", "a"), ("assistant", "call:1"), ("user", "result:1", "b")],
        [("user", "a"), ("assistant", "call:1"), ("tool", "result:1"), ("user", "b")],
        (),
    ),
    "text before the result": (
        [("user", "a"), ("assistant", "call:1"), ("user", "b", "result:1")],
        [("user", "a"), ("assistant", "call:1"), ("user", "result:1", "b")],
        [("user", "a"), ("assistant", "call:1"), ("tool", "result:1"), ("user", "b")],
        ("history.moved_result",),
    ),
    "a system message before the result": (
        [("user", "a"), ("assistant", "call:1"), ("system", "s"), ("tool", "result:1")],
        [("user", "a"), ("assistant", "call:1"), ("user", "result:1"), ("system", "s")],
        [("user", "a"), ("assistant", "call:1"), ("tool", "result:1"), ("system", "s")],
        ("history.moved_result",),
    ),
    "a result two turns later": (
        [("user", "a"), ("assistant", "call:1"), ("user", "b"), ("assistant", "c"), ("tool", "result:1")],
        [("user", "a"), ("assistant", "call:1"), ("user", "result:1", "b"), ("assistant", "c")],
        [("user", "a"), ("assistant", "call:1"), ("tool", "result:1"), ("user", "b"), ("assistant", "c")],
        ("history.moved_result",),
    ),
    "an interrupted turn": (
        [("user", "a"), ("assistant", "call:1", "call:2"), ("tool", "result:1"), ("user", "stop")],
        [("user", "a"), ("assistant", "call:1", "call:2"), ("user", "result:1", "result:2!", "stop")],
        [
            ("user", "a"),
            ("assistant", "call:1", "call:2"),
            ("tool", "result:1", "result:2!"),
            ("user", "stop"),
        ],
        ("history.missing_result",),
    ),
    "a call at the end": (
        [("user", "a"), ("assistant", "call:1")],
        [("user", "a"), ("assistant", "call:1"), ("user", "result:1!")],
        [("user", "a"), ("assistant", "call:1"), ("tool", "result:1!")],
        ("history.missing_result",),
    ),
    "a result without a call": (
        [("user", "a"), ("tool", "result:9"), ("assistant", "b")],
        [("user", "a", "Result of the tool call 9:", "r9"), ("assistant", "b")],
        [("user", "a"), ("user", "Result of the tool call 9:", "r9"), ("assistant", "b")],
        ("history.orphaned_result",),
    ),
    "a result before its call": (
        [("user", "a"), ("tool", "result:1"), ("assistant", "call:1"), ("user", "b")],
        [
            ("user", "a", "Result of the tool call 1:", "r1"),
            ("assistant", "call:1"),
            ("user", "result:1!", "b"),
        ],
        [
            ("user", "a"),
            ("user", "Result of the tool call 1:", "r1"),
            ("assistant", "call:1"),
            ("tool", "result:1!"),
            ("user", "b"),
        ],
        ("history.missing_result", "history.orphaned_result"),
    ),
    "two results for one call": (
        [("user", "a"), ("assistant", "call:1"), ("tool", "result:1"), ("tool", "result:1")],
        [("user", "a"), ("assistant", "call:1"), ("user", "result:1", "Result of the tool call 1:", "r1")],
        [
            ("user", "a"),
            ("assistant", "call:1"),
            ("tool", "result:1"),
            ("user", "Result of the tool call 1:", "r1"),
        ],
        ("history.orphaned_result",),
    ),
    "an id used again": (
        [
            ("user", "a"),
            ("assistant", "call:x"),
            ("tool", "result:x"),
            ("assistant", "call:x", "call:x"),
            ("tool", "result:x"),
            ("tool", "result:x"),
        ],
        [
            ("user", "a"),
            ("assistant", "call:x"),
            ("user", "result:x"),
            ("assistant", "call:x_2", "call:x_3"),
            ("user", "result:x_2", "result:x_3"),
        ],
        [
            ("user", "a"),
            ("assistant", "call:x"),
            ("tool", "result:x"),
            ("assistant", "call:x_2", "call:x_3"),
            ("tool", "result:x_2"),
            ("tool", "result:x_3"),
        ],
        ("history.call_id",),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_order_of_calls_and_results(name: str) -> None:
    given_messages, in_user, in_tool, losses = CASES[name]
    messages = [message(*turn) for turn in given_messages]
    ordered, repairs = normalise(messages, USER)
    assert short(ordered) == in_user
    assert set(repairs.codes) == set(losses)
    ordered, repairs = normalise(messages, TOOL)
    assert short(ordered) == in_tool
    assert set(repairs.codes) == set(losses)


def test_the_synthetic_result_is_an_error_and_has_its_tools_name() -> None:
    ordered, _ = normalise([message("assistant", "call:1")], TOOL)
    assert ordered[1].parts == (ToolResult("1", (Text(NO_RESULT),), name="f", is_error=True),)


def test_results_in_the_order_of_the_calls() -> None:
    messages = [message("assistant", "call:1", "call:2"), message("tool", "result:2", "result:1")]
    ordered, repairs = normalise(messages, HistoryRules(results="user", results_in_call_order=True))
    assert short(ordered) == [("assistant", "call:1", "call:2"), ("user", "result:1", "result:2")]
    assert repairs.codes == ()


def test_blank_texts_and_what_becomes_empty_with_them() -> None:
    messages = [
        message("user", "a", " \n"),
        message("assistant", "  "),
        message("user", "b"),
        message("assistant", "call:1"),
        Message("tool", (ToolResult("1", (Text(" "),)),)),
        message("assistant", "end \n"),
    ]
    ordered, repairs = normalise(messages, USER)
    assert short(ordered) == [
        ("user", "a", "b"),
        ("assistant", "call:1"),
        ("user", "result:1"),
        ("assistant", "end"),
    ]
    assert ordered[2].parts == (ToolResult("1", ()),)
    assert repairs.codes == ("history.blank_text", "history.empty_message", "history.trailing_whitespace")


def test_trailing_whitespace_stays_within_the_conversation() -> None:
    messages = [message("user", "a"), message("assistant", "b "), message("user", "c ")]
    assert normalise(messages, USER)[0] == tuple(messages)


def test_a_conversation_begins_with_the_user() -> None:
    ordered, repairs = normalise([message("assistant", "b"), message("user", "c")], USER)
    assert short(ordered) == [("user", CONTINUED), ("assistant", "b"), ("user", "c")]
    assert repairs.codes == ("history.user_first",)


def test_system_messages_as_the_users() -> None:
    messages = [message("user", "a"), message("developer", "s"), message("assistant", "b")]
    rules = HistoryRules(results="user", merge_roles=True, system_as_user=True)
    ordered, repairs = normalise(messages, rules)
    assert short(ordered) == [("user", "a", "<system>\ns\n</system>"), ("assistant", "b")]
    assert [loss.where for loss in repairs] == ["messages[1]"]


def test_leading_system_messages() -> None:
    messages = [
        message("system", "a"),
        message("developer", "b"),
        message("user", "c"),
        message("system", "d"),
    ]
    head, rest = leading_system(messages)
    assert short(head) == [("system", "a"), ("developer", "b")]
    assert short(rest) == [("user", "c"), ("system", "d")]
    assert leading_system(messages[:2]) == (tuple(messages[:2]), ())


def test_merging_keeps_the_bags_of_both() -> None:
    first = Message("user", (Text("a"),), name="n", extensions={"x": {"p": 1, "q": 1}})
    second = Message("user", (Text("b"),), extensions={"x": {"q": 2}, "y": {"r": 3}})
    (joined,) = merged([first, second])
    assert joined.name == "n"
    assert joined.extensions == {"x": {"p": 1, "q": 2}, "y": {"r": 3}}


_parts = st.sampled_from(["text", " ", "call:1", "call:2", "result:1", "result:2", "result:3"])


@st.composite
def _conversations(draw: st.DrawFn) -> list[Message]:
    turns = []
    for _ in range(draw(st.integers(0, 8))):
        role = draw(st.sampled_from(["system", "user", "assistant", "tool"]))
        parts = draw(st.lists(_parts, max_size=4))
        allowed = {"assistant": ("call", "text"), "tool": ("result",), "system": ("text",)}
        allowed["user"] = ("result", "text")
        kept = [part for part in parts if (part.partition(":")[0].strip() or "text") in allowed[role]]
        turns.append(message(role, *kept))
    return turns


@given(_conversations(), st.booleans())
def test_any_history_becomes_one_that_providers_take(messages: list[Message], in_user: bool) -> None:
    rules = USER if in_user else TOOL
    ordered, _ = normalise(messages, rules)
    waiting: set[str] = set()
    seen: set[str] = set()
    previous = None
    for turn in ordered:
        results = [part.call_id for part in turn.parts if isinstance(part, ToolResult)]
        calls = [part.id for part in turn.parts if isinstance(part, ToolCall)]
        assert set(results) <= waiting
        assert len(set(results)) == len(results)
        waiting -= set(results)
        if not results and not (turn.role == "assistant" and previous == "assistant"):
            assert not waiting
        assert not seen & set(calls)
        seen |= set(calls)
        waiting |= set(calls)
        if in_user:
            assert turn.role != previous
            assert turn.parts
            kinds = [isinstance(part, ToolResult) for part in turn.parts]
            assert kinds == sorted(kinds, reverse=True)
        previous = turn.role
    assert not waiting
    said = [
        part.text for turn in messages for part in turn.parts if isinstance(part, Text) and part.text.strip()
    ]
    kept = [part.text for turn in ordered for part in turn.parts if isinstance(part, Text)]
    assert all(kept.count(text) >= said.count(text) for text in set(said))


@given(_conversations(), st.booleans())
def test_repairing_twice_changes_nothing_more(messages: list[Message], in_user: bool) -> None:
    rules = USER if in_user else TOOL
    once, _ = normalise(messages, rules)
    twice, repairs = normalise(once, rules)
    assert twice == once
    assert repairs.codes == ()


@given(_conversations())
def test_what_was_sent_stays_the_same_when_the_user_goes_on(messages: list[Message]) -> None:
    """Providers cache by prefix."""
    before, _ = normalise(messages, TOOL)
    after, _ = normalise([*messages, message("user", "next")], TOOL)
    assert after[: len(before)] == before
