"""Random conversations and answers, valid ones with every kind of part, as hypothesis makes them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from adapters.canonical import (
    Base64Source,
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    UrlSource,
    Usage,
)
from adapters.jsontext import dump

words = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"]) | st.sampled_from(' "\\é😀\u2028'),
    min_size=1,
    max_size=12,
).map(lambda text: f"w{text}w")  # nothing to strip at its ends
names = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
arguments: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    names,
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words | st.lists(words, max_size=2),
    max_size=3,
)

_PNG, _PDF = "iVBORw0KGgo=", "JVBERi0xLjQK"
pictures = st.sampled_from(
    [
        Media("image", Base64Source(_PNG), "image/png"),
        Media("image", UrlSource("https://example.com/a.png"), "image/png"),
        Media("document", Base64Source(_PDF), "application/pdf", "a.pdf"),
    ]
)
texts = words.map(Text)
thoughts = words.map(Thinking)

schemas: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    names, st.sampled_from([{"type": kind} for kind in ("string", "integer", "boolean")]), max_size=3
).map(lambda properties: {"type": "object", "properties": properties})


@st.composite
def tools(draw: st.DrawFn) -> tuple[Tool, ...]:
    named = draw(st.lists(names, unique=True, min_size=1, max_size=3))
    return tuple(Tool(name, draw(words), draw(schemas)) for name in named)


@st.composite
def calls(draw: st.DrawFn, offered: tuple[Tool, ...], first: int) -> list[ToolCall]:
    number = draw(st.integers(1, 3))
    return [
        ToolCall(f"call_{first + at}", draw(st.sampled_from(offered)).name, dump(draw(arguments)))
        for at in range(number)
    ]


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """A conversation that ends with the user's words or with the results of all calls."""
    offered = draw(tools())
    messages: list[Message] = []
    if draw(st.booleans()):
        messages.append(Message("system", (draw(texts),)))
    count = 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append(Message("user", tuple(draw(st.lists(texts | pictures, min_size=1, max_size=3)))))
        said: list[Part] = [*draw(st.lists(thoughts, max_size=1))]
        if draw(st.booleans()):
            said += draw(st.lists(texts, max_size=1))
            made = draw(calls(offered, count))
            count += len(made)
            messages.append(Message("assistant", (*said, *made)))
            results = [ToolResult(call.id, (draw(texts),), call.name) for call in made]
            messages.append(Message("tool", tuple(draw(st.permutations(results)))))
            said = [draw(texts)]
        else:
            said.append(draw(texts))
        messages.append(Message("assistant", tuple(said)))
    if messages[-1].role == "assistant":
        messages.append(Message("user", (draw(texts),)))
    choice = draw(
        st.none()
        | st.sampled_from(
            [ToolChoice("auto"), ToolChoice("required"), ToolChoice("named", (offered[0].name,))]
        )
    )
    return ChatRequest(
        "m",
        tuple(messages),
        tools=offered,
        tool_choice=choice,
        max_tokens=draw(st.none() | st.integers(40_000, 60_000)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.5, 1.0, 1.5])),
        top_p=draw(st.none() | st.sampled_from([0.1, 0.9])),
        seed=draw(st.none() | st.integers(0, 1000)),
        stop=tuple(draw(st.lists(words, max_size=2, unique=True))),
        output_format=draw(st.none() | schemas.map(lambda one: OutputFormat("json_schema", one, "answer"))),
        reasoning=draw(
            st.none() | st.sampled_from(["low", "medium", "high"]).map(lambda e: Reasoning(True, e))
        ),
    )


@st.composite
def answers(draw: st.DrawFn) -> ChatResponse:
    offered = draw(tools())
    said: list[Part] = [*draw(st.lists(thoughts, max_size=1)), *draw(st.lists(texts, max_size=1))]
    made = draw(calls(offered, 0)) if draw(st.booleans()) else []
    parts = (*said, *made) or (draw(texts),)
    reason = FinishReason("tool_calls" if made else draw(st.sampled_from(["stop", "length"])))  # type: ignore[arg-type]
    counts = [draw(st.integers(0, 100)) for _ in range(3)]
    usage = Usage(sum(counts[:2]), counts[2] + 5, counts[0] or None, None, draw(st.sampled_from([None, 5])))
    return ChatResponse("resp1", "m", (Choice(parts, reason),), usage, 1_700_000_000)
