"""A request's protocol told by its shape."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.guess import protocol_of
from tests.routing.samples import SAMPLES

USER = [{"role": "user", "content": "hi"}]
MARKED: list[tuple[str | None, dict[str, Any]]] = [
    ("openai", {"messages": USER}),
    ("openai", {"messages": [{"role": "system", "content": "x"}, *USER], "max_tokens": 5}),
    ("openai", {"messages": USER, "max_tokens": 5, "stream_options": {}}),
    (
        "openai",
        {"messages": USER, "max_tokens": 5, "tools": [{"type": "function", "function": {"name": "f"}}]},
    ),
    ("openai", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}], "max_tokens": 5}),
    ("anthropic", {"messages": USER, "max_tokens": 5}),
    ("anthropic", {"messages": USER, "system": "x"}),
    ("anthropic", {"messages": USER, "tools": [{"name": "f", "input_schema": {}}]}),
    ("anthropic", {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
    ("ollama", {"messages": USER, "options": {"num_ctx": 5}}),
    ("ollama", {"prompt": "hi"}),
    ("ollama", {"messages": [{"role": "user", "content": "x", "images": ["AAAA"]}]}),
    ("openai-responses", {"input": "hi"}),
    ("gemini", {"contents": []}),
    ("gemini", {"requests": []}),
    (None, {}),
    (None, {"model": "x"}),
    ("openai", {"messages": 5, "tools": 1}),
    ("openai", {"messages": [1, {"content": [2]}], "tools": [None]}),
]


@pytest.mark.parametrize(("protocol", "body"), MARKED)
def test_marks(protocol: str | None, body: dict[str, Any]) -> None:
    assert protocol_of(body) == protocol


@pytest.mark.parametrize("protocol", sorted(SAMPLES.keys() - {"ollama"}))
def test_samples(protocol: str) -> None:
    """Ollama's has no mark at all: it could be OpenAI's."""
    assert protocol_of(SAMPLES[protocol].body) == protocol
