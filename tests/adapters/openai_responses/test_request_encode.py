"""Requests of other protocols' clients, as the Responses API takes them."""

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

from .support import sent

HI = Message("user", (Text("hi"),))
CALL = Message("assistant", (ToolCall("c1", "f", '{"a":1}'),))
RESULT = Message("tool", (ToolResult("c1", (Text("ok"),)),))


def items(*messages):
    body, losses = sent(ChatRequest("m", messages))
    return body["input"], losses


def test_what_is_always_sent():
    body, losses = sent(ChatRequest("m", (HI,), stream=True), "gpt-4o-mini")
    assert body == {
        "model": "gpt-4o-mini",
        "input": [{"role": "user", "content": "hi"}],
        "store": False,
        "stream": True,
    }
    assert losses == ()


def test_reasoning_models_are_asked_for_their_ciphertext():
    assert sent(ChatRequest("m", (HI,)), "gpt-5-nano")[0]["include"] == ["reasoning.encrypted_content"]


def test_log_probabilities_are_asked_for():
    body, losses = sent(ChatRequest("m", (HI,), logprobs=True, top_logprobs=2), "gpt-4o-mini")
    assert (body["include"], body["top_logprobs"]) == (["message.output_text.logprobs"], 2)
    assert losses == ()


def test_system_text_stays_where_it_is():
    body, _ = sent(
        ChatRequest("m", (HI, Message("system", (Text("late"),))), instructions=(Text("a"), Text("b")))
    )
    assert body["instructions"] == "a\n\nb"
    assert body["input"][1] == {"role": "system", "content": "late"}


def test_a_turn_becomes_items_in_its_order():
    turn = Message(
        "assistant",
        (
            Thinking("hm", Signature("gAAA", "openai-responses"), id="rs_7"),
            Text("one"),
            Text("two"),
            ToolCall("c1", "f", ""),
            ToolCall("c2", "g", "{}"),
        ),
    )
    results = Message("tool", (ToolResult("c1", (Text("1"),)), ToolResult("c2", ())))
    written, losses = items(HI, turn, results)
    assert [item.get("type", item.get("role")) for item in written] == [
        "user",
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
    ]
    assert written[1]["encrypted_content"] == "gAAA"
    assert [part["text"] for part in written[2]["content"]] == ["one", "two"]
    assert written[3]["arguments"] == "{}"
    assert written[6] == {"type": "function_call_output", "call_id": "c2", "output": ""}
    assert losses == ()


@pytest.mark.parametrize(
    ("thinking", "loss"),
    [
        (Thinking("hm", Signature("sig", "anthropic")), "thinking"),
        (Thinking("", Signature("sig", "anthropic"), redacted=True), "thinking.redacted"),
        (Thinking("hm"), "thinking"),
    ],
)
def test_reasoning_of_others_is_not_sent(thinking, loss):
    written, losses = items(HI, Message("assistant", (thinking, Text("said"))), HI)
    assert [item["role"] for item in written] == ["user", "assistant", "user"]
    assert losses == (loss,)


def test_results_with_images_and_errors():
    image = Media("image", Base64Source("AAAA"), "image/jpeg")
    written, losses = items(HI, CALL, Message("tool", (ToolResult("c1", (Text("x"), image), is_error=True),)))
    assert written[2]["output"] == [
        {"type": "input_text", "text": "x"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/jpeg;base64,AAAA"},
    ]
    assert losses == ("tool_result.is_error",)


def test_long_ids_are_shortened_alike_in_call_and_result():
    long = "x" * 65
    written, _ = items(
        HI, Message("assistant", (ToolCall(long, "f", "{}"),)), Message("tool", (ToolResult(long, ()),))
    )
    assert written[1]["call_id"] == written[2]["call_id"]
    assert len(written[1]["call_id"]) <= 64


def test_an_interrupted_call_gets_a_result():
    written, losses = items(HI, CALL, HI)
    assert [item.get("type", "message") for item in written] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert losses == ("history.missing_result", "tool_result.is_error")


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (Media("image", UrlSource("http://a"), detail="low"), {"image_url": "http://a", "detail": "low"}),
        (Media("document", UrlSource("http://a")), {"type": "input_file", "file_url": "http://a"}),
        (Media("document", FileIdSource("file-1", "openai")), {"file_id": "file-1"}),
        (
            Media("document", Base64Source("AAAA"), "application/pdf", "a.pdf"),
            {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        ),
        (Media("document", PlainTextSource("words"), name="T"), {"type": "input_text", "text": "T\n\nwords"}),
    ],
)
def test_media(media, part):
    written, losses = items(Message("user", (media, Text("look"))))
    assert part.items() <= written[0]["content"][0].items()
    assert losses == ()


@pytest.mark.parametrize(
    ("part", "loss"),
    [
        (Media("audio", Base64Source("AAAA"), "audio/wav"), "media.audio"),
        (Media("video", UrlSource("http://a")), "media.video"),
        (Media("image", FileIdSource("f", "anthropic")), "media.file_id"),
        (Opaque("anthropic", "search_result", {}, "found it"), "item.search_result"),
    ],
)
def test_what_cannot_be_said_is_reported(part, loss):
    _, losses = items(Message("user", (part, Text("look"))))
    assert losses == (loss,)


def test_an_item_of_others_is_told_in_the_role_that_said_it():
    written, _ = items(Message("user", (Opaque("anthropic", "search_result", {}, "found it"),)))
    assert written == [{"role": "user", "content": [{"type": "input_text", "text": "found it"}]}]


def test_a_refusal_in_the_history():
    written, losses = items(HI, Message("assistant", (Refusal("no"),)), HI)
    assert written[1]["content"] == [{"type": "refusal", "refusal": "no"}]
    assert losses == ()


def test_tools_are_not_strict_unless_asked():
    body, _ = sent(
        ChatRequest("m", (HI,), tools=(Tool("f"), Tool("g", strict=True, parameters={"type": "object"})))
    )
    assert [tool["strict"] for tool in body["tools"]] == [False, True]
    assert body["tools"][0]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("required"), "required"),
        (ToolChoice("named", ("p",)), {"type": "custom", "name": "p"}),
        (
            ToolChoice("required", ("f", "p")),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}],
            },
        ),
    ],
)
def test_tool_choice(choice, written):
    body, _ = sent(ChatRequest("m", (HI,), tools=(Tool("f"), Tool("p", kind="custom")), tool_choice=choice))
    assert body["tool_choice"] == written


def test_without_tools_there_is_no_choice():
    tools = (ProviderTool("anthropic", "web_search_20250305", {}),)
    body, losses = sent(
        ChatRequest("m", (HI,), tools=tools, tool_choice=ToolChoice("required"), parallel_tool_calls=True)
    )
    assert not {"tools", "tool_choice"} & set(body)
    assert losses == ("tool.web_search_20250305",)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ({"top_k": 3}, "top_k"),
        ({"seed": 3}, "seed"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"n": 2}, "n"),
        ({"stop": ("x",)}, "stop"),
        ({"temperature": 0.5}, "temperature"),
        ({"top_p": 0.5}, "top_p"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"service_tier": "standard_only"}, "service_tier"),
        ({"verbosity": "max"}, "verbosity"),
        ({"extensions": {"anthropic": {"container": "c"}}}, "container"),
    ],
)
def test_every_field_without_a_place_is_reported(field, code):
    body, losses = sent(ChatRequest("m", (HI,), **field), "gpt-5-nano")
    assert losses == (code,)
    assert body.get("max_output_tokens") in (None, 16)


def test_what_has_a_place():
    request = ChatRequest(
        "m",
        (HI,),
        max_tokens=100,
        temperature=0.5,
        top_p=0.5,
        n=1,
        presence_penalty=0,
        user="u" * 70,
        metadata={"a": "b"},
        service_tier="flex",
        verbosity="low",
        output_format=OutputFormat("json_schema", {"type": "object"}),
        extensions={"openai": {"prompt_cache_key": "k", "store": True}},
    )
    body, losses = sent(request, "gpt-4o-mini")
    assert losses == ()
    assert len(body["user"]) == 64
    assert body["text"]["format"] == {
        "type": "json_schema",
        "name": "response",
        "schema": {"type": "object"},
        "strict": False,
    }
    assert body["text"]["verbosity"] == "low"
    assert (body["max_output_tokens"], body["temperature"], body["store"]) == (100, 0.5, True)
    assert body["prompt_cache_key"] == "k"


@pytest.mark.parametrize(
    ("model", "reasoning", "written", "losses"),
    [
        ("gpt-5-nano", Reasoning(effort="max"), {"effort": "high"}, ("reasoning.effort",)),
        ("gpt-5-nano", Reasoning(enabled=False), {"effort": "minimal"}, ("reasoning.effort",)),
        ("gpt-5.2", Reasoning(enabled=False), {"effort": "none"}, ()),
        (
            "gpt-5.2",
            Reasoning(enabled=True, budget=4000),
            {"effort": "low", "summary": "auto"},
            ("reasoning.budget",),
        ),
        ("gpt-5.2", Reasoning(adaptive=True, show=False, enabled=True), {"effort": "medium"}, ()),
        ("gpt-5.2", Reasoning(show=True), {"summary": "auto"}, ()),
        ("gpt-4o", Reasoning(effort="low"), None, ("reasoning",)),
        ("gpt-4o", Reasoning(enabled=False), None, ()),
    ],
)
def test_reasoning(model, reasoning, written, losses):
    body, codes = sent(ChatRequest("m", (HI,), reasoning=reasoning), model)
    assert (body.get("reasoning"), codes) == (written, losses)
