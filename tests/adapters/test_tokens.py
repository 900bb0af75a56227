"""The estimate: deterministic, monotonous, near known counts, and blind to nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import tokens
from adapters.canonical import (
    Base64Source,
    ChatRequest,
    Media,
    Message,
    OutputFormat,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    UrlSource,
)


@pytest.mark.parametrize(
    ("text", "fewest", "most"),
    [  # a token is three to six characters of English, code or JSON, and half to one and a half of Chinese
        ("The quick brown fox jumps over the lazy dog.", 8, 15),
        ("def add(a: int, b: int) -> int:\n    return a + b\n", 9, 20),
        ('{"location":"San Francisco, CA","unit":"celsius"}', 9, 20),
        ("敏捷的棕色狐狸跳过了懒狗。", 7, 20),
    ],
)
def test_text_is_near_a_real_count(text: str, fewest: int, most: int) -> None:
    assert fewest <= tokens.of_text(text) <= most


def test_nothing_is_nothing() -> None:
    assert tokens.of_text("") == 0
    assert tokens.of_parts(()) == 0


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(a: str, b: str) -> None:
    assert tokens.of_text(a + b) >= max(tokens.of_text(a), tokens.of_text(b))


BASE = ChatRequest("m", (Message("user", (Text("hello"),)),))


@pytest.mark.parametrize(
    "part",
    [
        Text("more words"),
        Thinking("a thought that is shown"),
        ToolCall("c1", "f", '{"a":1}'),
        ToolResult("c1", (Text("what it said"),)),
        Media("image", UrlSource("https://example.com/a.png")),
        Media("document", Base64Source("A" * 200_000), "application/pdf"),
        Media("audio", Base64Source("A" * 4000), "audio/wav"),
        Media("video", UrlSource("gs://b/v.mp4"), "video/mp4"),
    ],
)
def test_every_kind_of_part_counts(part: Part) -> None:
    longer = ChatRequest("m", (Message("user", (Text("hello"), part)),))
    assert tokens.of_request(longer) > tokens.of_request(BASE)


def test_instructions_tools_and_schema_count() -> None:
    counts = [
        tokens.of_request(request)
        for request in (
            BASE,
            ChatRequest("m", BASE.messages, instructions=(Text("be brief"),)),
            ChatRequest("m", BASE.messages, tools=(Tool("f", "does it", {"type": "object"}),)),
            ChatRequest("m", BASE.messages, output_format=OutputFormat("json_schema", {"type": "object"})),
        )
    ]
    assert all(count > counts[0] for count in counts[1:])
    assert counts == [tokens.of_request(request) for request in (BASE,)] + counts[1:]
