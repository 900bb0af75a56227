"""Requests of other protocols for Anthropic's API: what is sent, and what is reported."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.anthropic.names import OUTPUT_TOOL
from adapters.canonical import (
    Base64Source,
    ChatRequest,
    FileIdSource,
    Media,
    Message,
    Opaque,
    OutputFormat,
    PlainTextSource,
    ProviderTool,
    Reasoning,
    Refusal,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    UrlSource,
)
from tests.adapters.anthropic.support import OLD, OPUS, PIXEL, SONNET, body, decode, encode

HI = (Message("user", (Text("Hi"),)),)
LOOK = Tool("look", "d", {"type": "object", "properties": {"a": {"type": "string"}}})
PUT = Tool("put", None, {"type": "object", "properties": {}})
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}},
    "required": ["n"],
}


def request(messages: tuple[Message, ...] = HI, **more: Any) -> ChatRequest:
    return ChatRequest("gpt-5", messages, **more)


def sent(wanted: ChatRequest, model: str = SONNET) -> tuple[dict[str, Any], tuple[str, ...]]:
    encoded = encode(wanted, model)
    return encoded.body, encoded.losses.codes


def content(*parts: Any, role: str = "user") -> tuple[list[Any], tuple[str, ...]]:
    """What becomes of the parts of a message that follows a plain one."""
    before = (Message("user", (Text("x"),)),) if role == "assistant" else ()
    document, codes = sent(request((*before, Message(role, parts))))  # type: ignore[arg-type]
    blocks = document["messages"][-1]["content"]
    return (blocks if isinstance(blocks, list) else [{"type": "text", "text": blocks}]), codes


# ---------------------------------------------------------------- conversation


def test_a_plain_request() -> None:
    assert sent(request()) == (
        {"model": SONNET, "max_tokens": 64_000, "messages": [{"role": "user", "content": "Hi"}]},
        (),
    )


@pytest.mark.parametrize(
    ("model", "limit"),
    [(SONNET, 64_000), (OPUS, 128_000), ("claude-3-5-haiku-latest", 8_192), ("kimi-k2", 16_384)],
)
def test_a_limit_is_always_sent(model: str, limit: int) -> None:
    assert sent(request(), model)[0]["max_tokens"] == limit
    assert sent(request(max_tokens=7), model)[0]["max_tokens"] == 7


def test_system_text_of_all_kinds_stands_before_the_conversation() -> None:
    messages = (Message("system", (Text("B"),)), Message("developer", (Text("C"), Text(" "))), *HI)
    document, codes = sent(request(messages, instructions=(Text("A"),)))
    assert document["system"] == [{"type": "text", "text": text} for text in "ABC"]
    assert document["messages"] == [{"role": "user", "content": "Hi"}]
    assert codes == ()
    assert sent(request((Message("system", (Text("B"),)), *HI)))[0]["system"] == "B"


def test_system_messages_in_the_conversation_keep_their_place() -> None:
    messages = (
        *HI,
        Message("developer", (Text("S1"),)),
        Message("assistant", (Text("Yes"),)),
        Message("system", (Text("S2"),)),
        Message("user", (Text("More"),)),
    )
    newer, codes = sent(request(messages), OPUS)
    assert newer["messages"] == [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "S1"},
        {"role": "assistant", "content": "Yes"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system>\nS2\n</system>"},
                {"type": "text", "text": "More"},
            ],
        },
    ]
    assert codes == ("history.system_as_user",)
    older, _ = sent(request(messages))
    assert [turn["role"] for turn in older["messages"]] == ["user", "assistant", "user"]


def test_parallel_calls_and_results_are_one_turn_each() -> None:
    messages = (
        *HI,
        Message("assistant", (Text("Let me."), ToolCall("a", "look", '{"a":"1"}'))),
        Message("assistant", (ToolCall("b", "look", ""),)),
        Message("tool", (ToolResult("a", (Text("one"),)),)),
        Message("tool", (ToolResult("b", (Text("two"),), is_error=True),)),
        Message("user", (Text("And?"),)),
    )
    document, codes = sent(request(messages, tools=(LOOK,)))
    assert document["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me."},
                {"type": "tool_use", "id": "a", "name": "look", "input": {"a": "1"}},
                {"type": "tool_use", "id": "b", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "one"},
                {"type": "tool_result", "tool_use_id": "b", "content": "two", "is_error": True},
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    assert codes == ()


def test_call_ids_in_other_alphabets_change_alike_in_call_and_result() -> None:
    odd = ("functions.look:0", "functions/look:0", "ok-1_A")
    messages = (
        *HI,
        Message("assistant", tuple(ToolCall(call_id, "look", "{}") for call_id in odd)),
        Message("tool", tuple(ToolResult(call_id, (Text("r"),)) for call_id in odd)),
    )
    document, _ = sent(request(messages))
    calls = [block["id"] for block in document["messages"][1]["content"]]
    assert calls == [block["tool_use_id"] for block in document["messages"][2]["content"]]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call) for call in calls)
    assert len(set(calls)) == 3
    assert calls[2] == "ok-1_A"


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "plain words", "null"])
def test_arguments_that_are_no_object_are_never_lost(arguments: str) -> None:
    document, codes = sent(request((*HI, Message("assistant", (ToolCall("a", "look", arguments),)))))
    assert document["messages"][1]["content"][0]["input"] == {"INVALID_JSON": arguments}
    assert "tool_call.arguments" in codes


def test_thinking_of_others_stays_away() -> None:
    own = Thinking("mine", Signature("sig", "anthropic"))
    redacted = Thinking("", Signature("data", "anthropic"), redacted=True)
    foreign = Thinking("theirs", Signature("sig", "openai-responses"))
    blocks, codes = content(own, redacted, foreign, Thinking("unsigned"), Text("said"), role="assistant")
    assert blocks == [
        {"type": "thinking", "thinking": "mine", "signature": "sig"},
        {"type": "redacted_thinking", "data": "data"},
        {"type": "text", "text": "said"},
    ]
    assert codes == ("thinking",)


def test_a_turn_of_nothing_but_foreign_thoughts_goes() -> None:
    messages = (*HI, Message("assistant", (Thinking("theirs"),)), Message("user", (Text("More"),)))
    (turn,) = sent(request(messages))[0]["messages"]
    assert turn == {"role": "user", "content": [{"type": "text", "text": text} for text in ("Hi", "More")]}


def test_a_conversation_without_anything_is_still_valid() -> None:
    for messages in ((), (Message("user", (Text(" "),)),), (Message("user", (_sound(),)),)):
        assert [turn["role"] for turn in sent(request(messages))[0]["messages"]] == ["user"]


def _sound() -> Media:
    return Media("audio", Base64Source("AAAA"), "audio/wav")


@pytest.mark.parametrize("model", [SONNET, "claude-opus-4-6", "kimi-k2"])
def test_words_to_be_continued(model: str) -> None:
    turns = sent(request((*HI, Message("assistant", (Text("It is "),)))), model)[0]["messages"]
    assert turns[1] == {"role": "assistant", "content": "It is"}
    assert (len(turns) == 3) is (model == "claude-opus-4-6")
    own = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "It is"}]
    assert len(sent(decode(body(own, model=model)), model)[0]["messages"]) == 2


# ---------------------------------------------------------------- media


@pytest.mark.parametrize(
    ("media", "source"),
    [
        (
            Media("image", Base64Source(PIXEL), "image/png"),
            {"type": "base64", "media_type": "image/png", "data": PIXEL},
        ),
        (Media("image", Base64Source(PIXEL)), {"type": "base64", "media_type": "image/png", "data": PIXEL}),
        (Media("image", UrlSource("https://e.com/a.png")), {"type": "url", "url": "https://e.com/a.png"}),
        (Media("image", FileIdSource("f", "anthropic")), {"type": "file", "file_id": "f"}),
        (
            Media("document", Base64Source("JVBERi0="), "application/pdf"),
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        ),
        (
            Media("document", Base64Source("w7w="), "text/markdown; charset=utf-8"),
            {"type": "text", "media_type": "text/plain", "data": "ü"},
        ),
        (
            Media("document", PlainTextSource("words")),
            {"type": "text", "media_type": "text/plain", "data": "words"},
        ),
        (Media("document", UrlSource("https://e.com/a.pdf")), {"type": "url", "url": "https://e.com/a.pdf"}),
    ],
)
def test_media(media: Media, source: dict[str, Any]) -> None:
    assert content(media) == ([{"type": media.kind, "source": source}], ())


@pytest.mark.parametrize(
    ("media", "code"),
    [
        (_sound(), "media.audio"),
        (Media("video", UrlSource("https://e.com/a.mp4")), "media.video"),
        (Media("image", Base64Source("Qk0="), "image/bmp"), "media.image"),
        (Media("image", UrlSource("gs://bucket/a.png")), "media.image"),
        (Media("document", FileIdSource("file-1", "openai")), "media.document"),
        (Media("document", Base64Source("UEsDBA=="), "application/zip"), "media.document"),
    ],
)
def test_media_that_the_api_does_not_take(media: Media, code: str) -> None:
    assert content(media, Text("see")) == ([{"type": "text", "text": "see"}], (code,))


def test_images_of_the_assistant_and_details() -> None:
    image = Media("image", Base64Source(PIXEL), "image/png", detail="high")
    assert content(image, Text("see"), role="assistant")[1] == ("media.image",)
    assert content(image)[1] == ("detail",)


def test_images_within_results() -> None:
    image = Media("image", Base64Source(PIXEL), "image/png")
    messages = (
        *HI,
        Message("assistant", (ToolCall("a", "look", "{}"),)),
        Message("tool", (ToolResult("a", (Text("seen"), image)),)),
    )
    (result,) = sent(request(messages))[0]["messages"][2]["content"]
    assert [block["type"] for block in result["content"]] == ["text", "image"]


def test_words_of_refusal_and_foreign_items() -> None:
    item = Opaque("openai-responses", "web_search_call", {"type": "web_search_call"}, "")
    told = Opaque("gemini", "executableCode", {}, "print(1)")
    blocks, codes = content(Refusal("No."), item, told, role="assistant")
    assert blocks == [{"type": "text", "text": "No."}, {"type": "text", "text": "print(1)"}]
    assert codes == ("item.web_search_call", "item.executableCode")


# ---------------------------------------------------------------- tools


def test_tools_and_their_choice() -> None:
    document, codes = sent(
        request(tools=(LOOK, PUT), tool_choice=ToolChoice("named", ("put",)), parallel_tool_calls=False)
    )
    assert document["tools"] == [
        {"name": "look", "description": "d", "input_schema": LOOK.parameters},
        {"name": "put", "input_schema": PUT.parameters},
    ]
    assert document["tool_choice"] == {"type": "tool", "name": "put", "disable_parallel_tool_use": True}
    assert codes == ()


@pytest.mark.parametrize(
    ("choice", "parallel", "expected", "codes"),
    [
        (None, None, None, ()),
        (None, True, None, ()),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, ()),
        (ToolChoice("auto"), True, {"type": "auto"}, ()),
        (ToolChoice("required"), None, {"type": "any"}, ()),
        (ToolChoice("none"), False, {"type": "none"}, ()),
        (ToolChoice("required", ("put",)), None, {"type": "tool", "name": "put"}, ()),
        (ToolChoice("required", ("look", "put")), None, {"type": "any"}, ("tool_choice.names",)),
        (ToolChoice("named", ("gone",)), None, None, ("tool_choice",)),
    ],
)
def test_choices(
    choice: ToolChoice | None, parallel: bool | None, expected: dict[str, Any] | None, codes: tuple[str, ...]
) -> None:
    wanted = request(tools=(LOOK, PUT), tool_choice=choice, parallel_tool_calls=parallel)
    document, found = sent(wanted)
    assert document.get("tool_choice") == expected
    assert found == codes


def test_tools_that_only_others_can_run_go_with_their_choice() -> None:
    search = ProviderTool("openai-responses", "web_search", {"type": "web_search"})
    document, codes = sent(request(tools=(search,), tool_choice=ToolChoice("required")))
    assert not {"tools", "tool_choice"} & document.keys()
    assert codes == ("tool.web_search", "tool_choice")


def test_free_text_tools_and_namespaces_become_functions() -> None:
    patch = Tool("apply_patch", "d", kind="custom")
    spaced = Tool("list", None, {"type": "object", "properties": {}}, namespace="mcp__files")
    messages = (
        *HI,
        Message("assistant", (ToolCall("a", "apply_patch", "*** Begin", kind="custom"),)),
        Message("tool", (ToolResult("a", (Text("ok"),), kind="custom"),)),
    )
    document, _ = sent(request(messages, tools=(patch, spaced)))
    assert [tool["name"] for tool in document["tools"]] == ["apply_patch", "mcp__files__list"]
    assert document["tools"][0]["input_schema"]["required"] == ["input"]
    assert document["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}


def test_strict_goes_along_where_the_schema_fits() -> None:
    closed = {**SCHEMA, "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    fitting, limited = Tool("a", None, closed, strict=True), Tool("b", None, SCHEMA, strict=True)
    document, codes = sent(request(tools=(fitting, limited)))
    assert [tool.get("strict") for tool in document["tools"]] == [True, None]
    assert codes == ("tool.strict",)
    assert sent(request(tools=(fitting,)), OLD)[1] == ("tool.strict",)


def test_alternatives_at_the_top_of_a_schema() -> None:
    """The API refuses the whole request for them; MCP servers do declare them."""
    by_id = {"properties": {"id": {"type": "integer"}}, "required": ["id", "why"]}
    by_name = {"properties": {"name": {"type": "string"}}, "required": ["name", "why"]}
    tool = Tool("find", None, {"oneOf": [by_id, by_name], "properties": {"why": {"type": "string"}}})
    document, codes = sent(request(tools=(tool,)))
    assert document["tools"][0]["input_schema"] == {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "why": {"type": "string"}},
        "required": ["why"],
    }
    assert codes == ("tool.schema",)


def test_a_tool_without_parameters_has_an_empty_object() -> None:
    (tool,) = sent(request(tools=(Tool("now"),)))[0]["tools"]
    assert tool["input_schema"] == {"type": "object", "properties": {}}


# ---------------------------------------------------------------- parameters


def test_what_has_no_counterpart_is_reported() -> None:
    _, codes = sent(
        request(
            seed=1,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            n=2,
            logprobs=True,
            top_logprobs=3,
            verbosity="low",
            metadata={"a": "b"},
            service_tier="flex",
            extensions={"openai": {"store": True, "_note": 1}},
        )
    )
    assert set(codes) == {
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "n",
        "logprobs",
        "top_logprobs",
        "verbosity",
        "metadata",
        "service_tier",
        "store",
    }


def test_plain_parameters() -> None:
    document, codes = sent(request(top_p=0.9, top_k=3, stop=("a", " "), user="u", service_tier="default"))
    assert (document["top_p"], document["top_k"], document["stop_sequences"]) == (0.9, 3, ["a"])
    assert (document["metadata"], document["service_tier"]) == ({"user_id": "u"}, "standard_only")
    assert codes == ("stop",)


@pytest.mark.parametrize(
    ("temperature", "model", "expected", "codes"),
    [
        (0.4, SONNET, 0.4, ()),
        (1.7, SONNET, 1, ("temperature",)),
        (0.4, OPUS, None, ("temperature",)),
        (0.4, "kimi-k2", 0.4, ()),
    ],
)
def test_temperature(temperature: float, model: str, expected: float | None, codes: tuple[str, ...]) -> None:
    document, found = sent(request(temperature=temperature), model)
    assert (document.get("temperature"), found) == (expected, codes)


@pytest.mark.parametrize(
    ("reasoning", "max_tokens", "model", "expected"),
    [
        (Reasoning(effort="low"), 32_000, SONNET, (32_000, {"type": "enabled", "budget_tokens": 4096}, None)),
        (Reasoning(effort="high"), 500, SONNET, (1_524, {"type": "enabled", "budget_tokens": 1024}, None)),
        (
            Reasoning(enabled=True, budget=9000),
            4000,
            SONNET,
            (13_000, {"type": "enabled", "budget_tokens": 9000}, None),
        ),
        (
            Reasoning(enabled=True, budget=-1),
            None,
            SONNET,
            (64_000, {"type": "enabled", "budget_tokens": 10_240}, None),
        ),
        (Reasoning(effort="xhigh"), 900, OPUS, (900, {"type": "adaptive"}, "xhigh")),
        (Reasoning(effort="minimal"), 900, OPUS, (900, {"type": "adaptive"}, "low")),
        (Reasoning(enabled=True), 900, OPUS, (900, {"type": "adaptive"}, None)),
        (
            Reasoning(effort="low", show=True),
            900,
            OPUS,
            (900, {"type": "adaptive", "display": "summarized"}, "low"),
        ),
        (Reasoning(enabled=False), 900, OPUS, (900, {"type": "disabled"}, None)),
        (Reasoning(effort="none"), 900, SONNET, (900, {"type": "disabled"}, None)),
        (Reasoning(effort="high"), 900, "claude-3-5-haiku-latest", (900, None, None)),
        (Reasoning(effort="low"), 9000, "kimi-k2", (9000, {"type": "enabled", "budget_tokens": 4096}, None)),
    ],
)
def test_reasoning(
    reasoning: Reasoning, max_tokens: int | None, model: str, expected: tuple[int, dict[str, Any] | None, str]
) -> None:
    document, _ = sent(request(reasoning=reasoning, max_tokens=max_tokens), model)
    effort = document.get("output_config", {}).get("effort")
    assert (document["max_tokens"], document.get("thinking"), effort) == expected


def test_nobody_is_forced_to_call_a_tool_while_thinking() -> None:
    wanted = request(tools=(LOOK,), tool_choice=ToolChoice("required"), reasoning=Reasoning(effort="high"))
    document, codes = sent(wanted)
    assert "thinking" not in document
    assert document["tool_choice"] == {"type": "any"}
    assert codes == ("reasoning",)


def test_sampling_goes_while_thinking() -> None:
    wanted = request(temperature=0.2, top_p=0.96, top_k=3, reasoning=Reasoning(effort="low"))
    document, codes = sent(wanted)
    assert {"temperature", "top_p", "top_k"} & document.keys() == {"top_p"}
    assert codes == ("temperature", "top_k")


@pytest.mark.parametrize(
    ("said", "model", "thinking", "effort"),
    [
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}, SONNET, "enabled", None),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, OPUS, "adaptive", "low"),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
            "kimi-k2",
            "adaptive",
            "xhigh",
        ),
        ({"output_config": {"effort": "high"}}, SONNET, None, None),
        ({"output_config": {"effort": "xhigh"}}, "claude-opus-4-5", None, "high"),
    ],
)
def test_a_clients_own_words_for_another_model_than_it_asked(
    said: dict[str, Any], model: str, thinking: str | None, effort: str | None
) -> None:
    """A group that pins a Claude of another generation must not break the client's requests."""
    wanted = decode(body(model="claude-opus-5", **{"max_tokens": 8000, **said}))
    document, _ = sent(wanted, model)
    assert document.get("thinking", {}).get("type") == thinking
    assert document.get("output_config", {}).get("effort") == effort


# ---------------------------------------------------------------- structured output


def test_an_output_format() -> None:
    document, codes = sent(request(output_format=OutputFormat("json_schema", SCHEMA, "n", strict=True)))
    schema = document["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["n"]
    assert "minimum: 1" in schema["properties"]["n"]["description"]
    assert codes == ()


def test_an_output_format_for_older_models_is_a_tool() -> None:
    wanted = request(output_format=OutputFormat("json_schema", SCHEMA), reasoning=Reasoning(effort="low"))
    document, codes = sent(wanted, OLD)
    (tool,) = document["tools"]
    assert (tool["name"], tool["input_schema"]) == (OUTPUT_TOOL, SCHEMA)
    assert document["tool_choice"] == {"type": "tool", "name": OUTPUT_TOOL}
    assert not {"output_config", "thinking"} & document.keys()
    assert codes == ("output_format.tool", "reasoning")
    with_tools = request(output_format=OutputFormat("json_schema", SCHEMA), tools=(LOOK,))
    assert sent(with_tools, OLD)[0]["tool_choice"] == {"type": "any"}


def test_json_without_a_schema_is_reported() -> None:
    document, codes = sent(request(output_format=OutputFormat("json")))
    assert "output_config" not in document
    assert codes == ("output_format.json",)


# ---------------------------------------------------------------- caches


def test_at_most_four_breakpoints_the_last_ones() -> None:
    marked = {"anthropic": {"cache_control": {"type": "ephemeral"}}}
    texts = tuple(Text(str(at), marked) for at in range(4))
    wanted = request(
        (Message("user", texts),),
        instructions=(Text("S", marked),),
        tools=(Tool("f", None, {"type": "object"}, extensions=marked),),
    )
    document, codes = sent(wanted)
    assert "cache_control" not in document["tools"][0]
    assert document["system"] == "S" or "cache_control" not in document["system"][0]
    assert all("cache_control" in block for block in document["messages"][0]["content"])
    assert codes == ("cache_control",)


_text = st.text(max_size=4) | st.sampled_from([" ", "\n", "a "])
_part = st.one_of(
    st.builds(Text, _text),
    st.builds(Refusal, _text),
    st.builds(Thinking, _text, st.none() | st.builds(Signature, _text, st.sampled_from(["anthropic", "x"]))),
    st.builds(
        ToolCall, st.sampled_from(["1", "2", "a.b"]), st.just("f"), st.sampled_from(["", "{}", "{", "[]"])
    ),
    st.builds(Media, st.sampled_from(["image", "audio"]), st.builds(Base64Source, st.just(PIXEL))),
    st.builds(Opaque, st.just("x"), st.just("y"), st.just({}), _text),
)
_user_part = st.one_of(
    st.builds(Text, _text),
    st.builds(ToolResult, st.sampled_from(["1", "2", "a.b"]), st.lists(st.builds(Text, _text)).map(tuple)),
)
_turn = st.one_of(
    st.builds(Message, st.just("assistant"), st.lists(_part, max_size=3).map(tuple)),
    st.builds(Message, st.sampled_from(["user", "tool"]), st.lists(_user_part, max_size=3).map(tuple)),
    st.builds(Message, st.sampled_from(["system", "developer"]), st.builds(Text, _text).map(lambda t: (t,))),
)


@given(st.lists(_turn, max_size=6).map(tuple), st.sampled_from([SONNET, OPUS]))
def test_any_conversation_becomes_one_that_the_api_takes(messages: tuple[Message, ...], model: str) -> None:
    document, _ = sent(request(messages), model)
    turns = [turn for turn in document["messages"] if turn["role"] != "system"]
    assert turns[0]["role"] == "user"
    waiting: set[str] = set()
    for turn in turns:
        blocks = turn["content"]
        blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
        assert blocks
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if turn["role"] == "user":
            assert set(results) == waiting
            waiting = set()
        waiting |= {block["id"] for block in blocks if block["type"] == "tool_use"}
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
    assert not waiting
    if turns[-1]["role"] == "assistant":
        content = turns[-1]["content"]
        last = content if isinstance(content, str) else content[-1].get("text", "")
        assert last == last.rstrip()
