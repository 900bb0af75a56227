"""What other protocols' clients mean, in the words of each kind of chat upstream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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
from tests.adapters.openai_chat.samples import PNG, SCHEMA, encode

ASK = Message("user", (Text("Hi"),))
IMAGE = Media("image", Base64Source(PNG), "image/png")
IMAGE_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


def chat(*messages: Message, **more: Any) -> ChatRequest:
    return ChatRequest("client-model", (ASK, *messages), **more)


def sent(request: ChatRequest, **target: str) -> list[dict[str, Any]]:
    """The messages behind the first one."""
    messages: list[dict[str, Any]] = encode(request, **target).body["messages"]
    return messages[1:]


def losses(request: ChatRequest, **target: str) -> tuple[str, ...]:
    return encode(request, **target).losses.codes


# ---------------------------------------------------------------- system text


@pytest.mark.parametrize(
    ("model", "role"),
    [("gpt-4o", "system"), ("gpt-5", "developer"), ("o3", "developer"), ("llama", "system")],
)
def test_instructions_come_first_under_the_name_that_the_model_knows(model: str, role: str) -> None:
    request = chat(instructions=(Text("Be brief."), Text("Be kind.")))
    first = encode(request, model).body["messages"][0]
    texts = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    assert first == {"role": role, "content": texts}


def test_a_system_message_keeps_its_place() -> None:
    request = chat(Message("assistant", (Text("Yes?"),)), Message("system", (Text("Now in French."),)))
    assert [message["role"] for message in sent(request)] == ["assistant", "system"]


@pytest.mark.parametrize(("model", "role"), [("gpt-4o", "developer"), ("llama", "system")])
def test_only_openai_knows_the_developer(model: str, role: str) -> None:
    assert sent(chat(Message("developer", (Text("x"),))), model=model)[0]["role"] == role


# ---------------------------------------------------------------- results of tools


def test_results_among_the_users_words_become_messages_of_their_own() -> None:
    request = chat(
        Message("assistant", (Text("Two."), ToolCall("a", "f", "{}"), ToolCall("b", "f", ""))),
        Message("user", (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),)), Text("Go on"))),
    )
    assert sent(request) == [
        {
            "role": "assistant",
            "content": "Two.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "user", "content": "Go on"},
    ]


def test_images_of_results_follow_in_a_user_message_that_names_their_calls() -> None:
    request = chat(
        Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))),
        Message(
            "tool",
            (ToolResult("a", (Text("seen"), IMAGE), name="f"), ToolResult("b", (IMAGE,), is_error=True)),
        ),
        Message("user", (Text("Well?"),)),
    )
    _, first, second, shown = sent(request)
    assert first == {"role": "tool", "tool_call_id": "a", "content": "seen"}
    assert second == {"role": "tool", "tool_call_id": "b", "content": ""}
    assert shown["role"] == "user"
    words, image, more_words, same_image, question = shown["content"]
    assert "a of f" in words["text"]
    assert " b " in more_words["text"]
    assert image == same_image == IMAGE_PART
    assert question == {"type": "text", "text": "Well?"}
    assert losses(request) == ("tool_result.media", "tool_result.is_error")


def test_images_of_results_come_before_the_next_answer() -> None:
    request = chat(
        Message("assistant", (ToolCall("a", "f"),)),
        Message("tool", (ToolResult("a", (IMAGE,)),)),
        Message("assistant", (Text("A cat."),)),
    )
    assert [message["role"] for message in sent(request)] == ["assistant", "tool", "user", "assistant"]


def test_interrupted_calls_and_orphaned_results_are_mended() -> None:
    request = chat(
        Message("assistant", (ToolCall("a", "f"),)),
        Message("user", (Text("Never mind."), ToolResult("zzz", (Text("?"),)))),
    )
    messages = sent(request)
    assert [message["role"] for message in messages] == ["assistant", "tool", "user"]
    assert messages[1]["tool_call_id"] == "a"
    assert {"history.missing_result", "history.orphaned_result"} <= set(losses(request))


# ---------------------------------------------------------------- media


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (IMAGE, IMAGE_PART),
        (
            Media("image", UrlSource("https://example.com/a.png"), detail="high"),
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
        ),
        (
            Media("document", Base64Source("JVBERg=="), "application/pdf", "a.pdf"),
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
            },
        ),
        (
            Media("document", Base64Source("JVBERg=="), "application/pdf"),
            {
                "type": "file",
                "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "document.pdf"},
            },
        ),
        (Media("document", PlainTextSource("body"), name="T"), {"type": "text", "text": "T:\nbody"}),
        (Media("document", Base64Source("aGk="), "text/plain"), {"type": "text", "text": "hi"}),
        (
            Media("audio", Base64Source("UklG"), "audio/x-wav"),
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        ),
        (
            Media("image", FileIdSource("file-1", "openai-responses")),
            {"type": "file", "file": {"file_id": "file-1"}},
        ),
    ],
)
def test_media_in_a_users_message(part: Media, expected: dict[str, Any]) -> None:
    (message,) = sent(chat(Message("user", (part, Text("!")))))
    assert message["content"] == [expected, {"type": "text", "text": "!"}]


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (Media("video", Base64Source("AAAA"), "video/mp4"), "media.video"),
        (Media("audio", UrlSource("https://example.com/a.ogg")), "media.audio"),
        (Media("image", FileIdSource("f", "anthropic")), "media.image"),
        (Opaque("anthropic", "server_tool_use", {}), "item.server_tool_use"),
    ],
)
def test_what_has_no_place_is_reported(part: Any, code: str) -> None:
    request = chat(Message("user", (part, Text("!"))))
    assert losses(request) == (code,)
    assert sent(request) == [{"role": "user", "content": "!"}]


def test_an_item_of_another_protocol_is_told_in_its_words() -> None:
    request = chat(Message("assistant", (Opaque("anthropic", "web_search", {}, "searched for cats"),)))
    assert sent(request) == [{"role": "assistant", "content": "searched for cats"}]
    assert losses(request) == ("item.web_search",)


# ---------------------------------------------------------------- thinking

THOUGHT = Thinking("hm", Signature("sig", "anthropic"))
FOREIGN = chat(Message("assistant", (THOUGHT, Text("Yes."))), ASK)


@pytest.mark.parametrize(
    ("target", "slot"),
    [
        ({"provider": "deepseek"}, "reasoning_content"),
        ({"base_url": "https://api.moonshot.ai/v1"}, "reasoning_content"),
        ({"model": "qwen3-32b"}, "reasoning_content"),
        ({"provider": "vllm"}, "reasoning_content"),
        ({"base_url": "https://openrouter.ai/api/v1"}, "reasoning"),
        ({"provider": "groq"}, "reasoning"),
    ],
)
def test_thinking_goes_where_it_is_taken(target: dict[str, str], slot: str) -> None:
    (answer, _) = sent(FOREIGN, **target)
    assert answer == {"role": "assistant", "content": "Yes.", slot: "hm"}
    assert losses(FOREIGN, **target) == ("thinking.signature",)


@pytest.mark.parametrize("target", [{"provider": "openai"}, {"model": "some-llama"}])
def test_elsewhere_thinking_is_reported(target: dict[str, str]) -> None:
    (answer, _) = sent(FOREIGN, **target)
    assert answer == {"role": "assistant", "content": "Yes."}
    assert losses(FOREIGN, **target) == ("thinking", "thinking.signature")


def test_mistral_takes_chunks() -> None:
    (answer, _) = sent(FOREIGN, provider="mistral")
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert answer == {"role": "assistant", "content": [chunk, {"type": "text", "text": "Yes."}]}


def test_a_turn_of_nothing_but_redacted_thinking_goes() -> None:
    request = chat(Message("assistant", (Thinking("", Signature("x", "anthropic"), redacted=True),)), ASK)
    assert sent(request) == [{"role": "user", "content": "Hi"}]
    assert losses(request) == ("thinking.redacted",)


@pytest.mark.parametrize(("effort", "expected"), [("high", " "), ("none", None)])
def test_deepseek_wants_reasoning_content_in_every_turn_with_calls(effort: Any, expected: str | None) -> None:
    request = chat(
        Message("assistant", (ToolCall("a", "f"),)),
        Message("tool", (ToolResult("a"),)),
        reasoning=Reasoning(enabled=effort != "none", effort=effort),
    )
    assert sent(request, provider="deepseek")[0].get("reasoning_content") == expected


def test_geminis_signature_goes_to_geminis_own_endpoint_only() -> None:
    signed = ToolCall("a", "f", "{}", signature=Signature("c2ln", "gemini"))
    request = chat(Message("assistant", (signed,)), Message("tool", (ToolResult("a"),)))
    there = sent(request, base_url="https://generativelanguage.googleapis.com/v1beta/openai")[0]
    assert there["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert "extra_content" not in sent(request)[0]["tool_calls"][0]
    assert losses(request) == ("thinking.signature",)


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ({"model": "gpt-5"}, "max_completion_tokens"),
        ({"model": "o3-mini"}, "max_completion_tokens"),
        ({"provider": "openai", "model": "gpt-4o"}, "max_completion_tokens"),
        ({"base_url": "https://api.openai.com/v1"}, "max_completion_tokens"),
        ({"model": "gpt-4o"}, "max_tokens"),
        ({"provider": "mistral"}, "max_tokens"),
        ({"model": "llama"}, "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_target_knows(target: dict[str, str], key: str) -> None:
    body = encode(chat(max_tokens=9), **target).body
    assert {name: value for name, value in body.items() if name.startswith("max_")} == {key: 9}


SAMPLED = chat(
    temperature=0.5,
    top_p=0.9,
    top_k=4,
    presence_penalty=1.0,
    frequency_penalty=0.0,
    stop=("a", "b", "c", "d", "e"),
)


def test_reasoning_models_reject_sampling() -> None:
    encoded = encode(SAMPLED, "gpt-5")
    assert encoded.body.keys() == {"model", "messages"}
    assert set(encoded.losses.codes) == {"temperature", "top_p", "top_k", "presence_penalty", "stop"}


def test_openai_takes_four_stops_and_no_top_k() -> None:
    encoded = encode(SAMPLED, "gpt-4o")
    assert encoded.body["stop"] == ["a", "b", "c", "d"]
    assert encoded.body["temperature"] == 0.5
    assert set(encoded.losses.codes) == {"top_k", "stop"}


def test_local_servers_take_top_k_and_any_number_of_stops() -> None:
    encoded = encode(SAMPLED, "llama", "vllm")
    assert encoded.body["top_k"] == 4
    assert len(encoded.body["stop"]) == 5
    assert encoded.losses.codes == ()


HIGH = Reasoning(enabled=True, effort="high")
OFF = Reasoning(enabled=False)
ROUTER = {"provider": "openrouter"}


@pytest.mark.parametrize(
    ("reasoning", "target", "expected"),
    [
        (HIGH, {"model": "gpt-5"}, {"reasoning_effort": "high"}),
        (OFF, {"model": "gpt-5"}, {"reasoning_effort": "minimal"}),
        (OFF, {"model": "gpt-5.2"}, {"reasoning_effort": "none"}),
        (HIGH, {"model": "gpt-4o"}, {}),
        (HIGH, {"provider": "openrouter"}, {"reasoning": {"effort": "high"}}),
        (OFF, {"provider": "openrouter"}, {"reasoning": {"enabled": False}}),
        (
            Reasoning(enabled=True, budget=2000),
            {"provider": "openrouter"},
            {"reasoning": {"max_tokens": 2000}},
        ),
        (
            replace(HIGH, show=False),
            {"provider": "openrouter"},
            {"reasoning": {"effort": "high", "exclude": True}},
        ),
        (HIGH, {"provider": "deepseek"}, {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        (OFF, {"provider": "zai"}, {"thinking": {"type": "disabled"}}),
        (OFF, {"provider": "dashscope"}, {"enable_thinking": False}),
        (
            Reasoning(enabled=True, budget=500),
            {"provider": "qwen"},
            {"enable_thinking": True, "thinking_budget": 500},
        ),
        (OFF, {"provider": "vllm"}, {"chat_template_kwargs": {"enable_thinking": False}}),
        (HIGH, {"provider": "vllm"}, {"reasoning_effort": "high"}),
        (HIGH, {"provider": "mistral"}, {}),
    ],
)
def test_reasoning_is_asked_for_in_the_targets_words(
    reasoning: Reasoning, target: dict[str, str], expected: dict[str, Any]
) -> None:
    body = encode(chat(reasoning=reasoning), **{"model": "a-model", **target}).body
    assert {key: value for key, value in body.items() if key not in ("model", "messages")} == expected


def test_a_model_that_does_not_reason_is_reported() -> None:
    assert losses(chat(reasoning=HIGH)) == ("reasoning",)
    assert losses(chat(reasoning=OFF)) == ()


@pytest.mark.parametrize(("provider", "asked"), [("openai", True), ("mistral", False)])
def test_mistral_refuses_stream_options(provider: str, asked: bool) -> None:
    body = encode(chat(stream=True), provider=provider).body
    assert body["stream"] is True
    assert ("stream_options" in body) is asked


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (OutputFormat("text"), {"type": "text"}),
        (OutputFormat("json"), {"type": "json_object"}),
        (
            OutputFormat("json_schema", SCHEMA),
            {"type": "json_schema", "json_schema": {"name": "response", "schema": SCHEMA}},
        ),
    ],
)
def test_output_formats(wanted: OutputFormat, expected: dict[str, Any]) -> None:
    assert encode(chat(output_format=wanted)).body["response_format"] == expected


# ---------------------------------------------------------------- tools

CUSTOM = Tool(
    "patch", "Edit.", kind="custom", format={"type": "grammar", "syntax": "lark", "definition": "start: /x/"}
)


def test_free_text_tools_are_openais() -> None:
    (tool,) = encode(chat(tools=(CUSTOM,))).body["tools"]
    assert tool["custom"]["format"] == {
        "type": "grammar",
        "grammar": {"syntax": "lark", "definition": "start: /x/"},
    }
    (plain,) = encode(chat(tools=(CUSTOM,)), "llama").body["tools"]
    assert plain["function"]["parameters"]["required"] == ["input"]
    assert losses(chat(tools=(CUSTOM,)), model="llama") == ("tool.format",)


def test_calls_of_free_text_tools_become_calls_of_functions() -> None:
    request = chat(
        Message("assistant", (ToolCall("a", "patch", 'say "hi"', kind="custom"),)),
        Message("tool", (ToolResult("a", kind="custom"),)),
        tools=(CUSTOM,),
    )
    (call,) = sent(request, model="llama")[0]["tool_calls"]
    assert call["function"] == {"name": "patch", "arguments": '{"input":"say \\"hi\\""}'}
    (call,) = sent(request)[0]["tool_calls"]
    assert call == {"id": "a", "type": "custom", "custom": {"name": "patch", "input": 'say "hi"'}}


def test_a_tool_that_another_provider_runs_goes_with_its_choice() -> None:
    search = ProviderTool("anthropic", "web_search_20250305", {"type": "web_search_20250305"}, "web_search")
    request = chat(tools=(search,), tool_choice=ToolChoice("auto"), parallel_tool_calls=False)
    encoded = encode(request)
    assert encoded.body.keys() == {"model", "messages"}
    assert encoded.losses.codes == ("tool.web_search_20250305",)


def test_cache_hints_go_to_openrouter_only() -> None:
    hint = {"anthropic": {"cache_control": {"type": "ephemeral"}}}
    request = chat(Message("user", (Text("long", hint),)), tools=(Tool("f", extensions=hint),))
    there = encode(request, provider="openrouter")
    assert there.body["messages"][1]["content"] == [
        {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    ]
    assert there.body["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert there.losses.codes == ()
    here = encode(request)
    assert here.body["messages"][1]["content"] == "long"
    assert here.losses.codes == ("cache_control",)


def test_a_refusal_of_before_is_told() -> None:
    (answer,) = sent(chat(Message("assistant", (Refusal("No."),))))
    assert answer == {"role": "assistant", "content": None, "refusal": "No."}


def test_the_same_history_gives_the_same_bytes() -> None:
    turn = (
        Message("assistant", (THOUGHT, ToolCall("a", "f", '{"b":1,"a":2}'))),
        Message("user", (ToolResult("a", (Text("1"), IMAGE)),)),
    )
    short, long = sent(chat(*turn)), sent(chat(*turn, Message("assistant", (Text("x"),)), ASK))
    assert long[: len(short)] == short


def test_mistral_has_its_own_name_for_the_seed_and_refuses_others() -> None:
    encoded = encode(chat(seed=3, user="u", n=2), provider="mistral")
    assert encoded.body == {"model": "gpt-4o", "messages": encoded.body["messages"], "random_seed": 3, "n": 2}
    assert encoded.losses.codes == ("user",)


def test_a_long_user_is_hashed_for_openai() -> None:
    first, again = (encode(chat(user="u" * 100)).body["user"] for _ in range(2))
    assert first == again
    assert len(first) == 64
    assert encode(chat(user="u" * 100), "llama").body["user"] == "u" * 100


def test_another_providers_tier_is_reported() -> None:
    encoded = encode(chat(service_tier="standard_only"))
    assert "service_tier" not in encoded.body
    assert encoded.losses.codes == ("service_tier",)
