"""Canonical requests as Gemini takes them, and what is reported where it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from google.genai import types as genai

from adapters.canonical import (
    Base64Source,
    ChatRequest,
    FileIdSource,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
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
from adapters.codec import TargetModel
from adapters.gemini import CODEC
from adapters.gemini.carry import SKIP
from tests.adapters.gemini.support import asked, encode, model, results, said, there_and_back, user

HI = said({"text": "hi"})


def contents(*messages: Message, target: str = "gemini-2.5-flash") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = encode(asked(*messages), target).body["contents"]
    return found


# ---------------------------------------------------------------- the same protocol


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [HI]},
        {
            "contents": [HI],
            "generationConfig": {"temperature": 0, "topK": 40, "candidateCount": 1, "seed": 1},
        },
        {"contents": [HI], "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}], "role": "user"}},
        {"contents": [HI], "generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
        {
            "contents": [HI],
            "generationConfig": {"thinkingConfig": {"thinkingBudget": 0, "includeThoughts": False}},
        },
        {"contents": [HI], "generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
        {
            "contents": [HI],
            "generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["a"]}},
        },
        {
            "contents": [HI],
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseSchema": {
                    "type": "OBJECT",
                    "properties": {"a": {"type": "STRING", "nullable": True}},
                },
                "responseModalities": ["TEXT", "AUDIO"],
                "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
                "someday": {"new": 1},
            },
        },
        {
            "contents": [HI],
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "f", "parameters": {"type": "OBJECT"}, "behavior": "BLOCKING"}
                    ]
                },
                {"googleSearch": {"timeRangeFilter": {"startTime": "2026-01-01T00:00:00Z"}}},
                {"codeExecution": {}},
                {"urlContext": {}},
                {"computerUse": {"environment": "ENVIRONMENT_BROWSER"}},
            ],
            "toolConfig": {
                "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
                "retrievalConfig": {"languageCode": "de"},
            },
        },
        {"contents": [HI], "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        {
            "contents": [HI],
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "cachedContent": "cachedContents/x",
            "serviceTier": "priority",
            "store": False,
            "labels": {"team": "a"},
        },
        {
            "contents": [
                HI,
                said(
                    {"text": "hm", "thought": True},
                    {"text": "let me look", "thoughtSignature": "czE="},
                    {"functionCall": {"name": "f", "args": {"x": 1.5}}, "thoughtSignature": "czI="},
                    {"functionCall": {"name": "g", "args": {}, "id": "own"}},
                    role="model",
                ),
                said(
                    {
                        "functionResponse": {
                            "name": "f",
                            "response": {"any": ["thing"]},
                            "scheduling": "SILENT",
                        }
                    },
                    {
                        "functionResponse": {
                            "name": "g",
                            "id": "own",
                            "response": {"error": "no"},
                            "parts": [{"inlineData": {"mimeType": "image/png", "data": "aaaa"}}],
                        }
                    },
                ),
                said(
                    {"executableCode": {"language": "PYTHON", "code": "1"}},
                    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                    {"text": "done"},
                    role="model",
                ),
                said(
                    {
                        "fileData": {"fileUri": "gs://b/v.mp4", "mimeType": "video/mp4"},
                        "videoMetadata": {"startOffset": "1s"},
                    },
                    {
                        "inlineData": {"mimeType": "image/png", "data": "aaaa", "displayName": "a"},
                        "someday": 1,
                    },
                    {"text": "and now?"},
                ),
            ]
        },
    ],
)
def test_a_geminis_request_comes_back_as_it_was(body: dict[str, Any]) -> None:
    assert there_and_back(body) == body


def test_neighbours_of_one_role_become_one_content() -> None:
    assert there_and_back({"contents": [HI, HI]}) == {"contents": [said({"text": "hi"}, {"text": "hi"})]}


# ---------------------------------------------------------------- conversation


def test_system_text_goes_to_its_slot() -> None:
    request = asked(Message("system", (Text("b"),)), user(Text("hi")), instructions=(Text("a"),))
    encoded = encode(request)
    assert encoded.body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert encoded.body["contents"] == [HI]
    assert encoded.losses.codes == ()


def test_later_system_text_keeps_its_place() -> None:
    request = asked(
        Message("system", (Text("a"),)), user(Text("hi")), model(Text("ho")), Message("system", (Text("b"),))
    )
    encoded = encode(request)
    last = encoded.body["contents"][-1]
    assert last["role"] == "user"
    assert "b" in last["parts"][0]["text"]
    assert encoded.losses.codes == ("history.system_as_user",)


def test_the_only_system_text_is_the_system_text() -> None:
    encoded = encode(asked(user(Text("hi")), Message("developer", (Text("a"),)), user(Text("ho"))))
    assert encoded.body["systemInstruction"] == {"parts": [{"text": "a"}]}
    assert encoded.body["contents"] == [said({"text": "hi"}, {"text": "ho"})]


def test_a_request_with_system_text_only_has_a_content() -> None:
    body = encode(asked(Message("system", (Text("a"),)))).body
    assert len(body["contents"]) == 1


def test_results_stand_in_one_content_in_the_order_of_their_calls() -> None:
    found = contents(
        user(Text("hi")),
        model(ToolCall("1", "a", "{}"), ToolCall("2", "b", '{"x":1}')),
        results(ToolResult("2", (Text("two"),))),
        results(ToolResult("1", (Text("one"),), is_error=True)),
        user(Text("go on")),
    )
    assert found[1] == said(
        {"functionCall": {"name": "a", "args": {}, "id": "1"}},
        {"functionCall": {"name": "b", "args": {"x": 1}, "id": "2"}},
        role="model",
    )
    assert found[2] == said(
        {"functionResponse": {"name": "a", "response": {"error": "one"}, "id": "1"}},
        {"functionResponse": {"name": "b", "response": {"output": "two"}, "id": "2"}},
        {"text": "go on"},
    )


def test_a_call_without_a_result_gets_one() -> None:
    encoded = encode(asked(user(Text("hi")), model(ToolCall("1", "a")), user(Text("stop"))))
    assert encoded.body["contents"][2]["parts"][0]["functionResponse"]["name"] == "a"
    assert encoded.losses.codes == ("history.missing_result",)


def test_a_conversation_that_begins_with_a_call_gets_a_beginning() -> None:
    found = contents(model(ToolCall("1", "a")), results(ToolResult("1")))
    assert [one["role"] for one in found] == ["user", "model", "user"]


@pytest.mark.parametrize("empty", [(), (Text(""),), (Refusal(""),)])
def test_empty_turns_are_left_away(empty: tuple[Part, ...]) -> None:
    assert contents(user(Text("hi")), model(*empty), user(Text("ho"))) == [
        said({"text": "hi"}, {"text": "ho"})
    ]


@pytest.mark.parametrize(
    ("arguments", "args", "losses"),
    [
        ("", {}, ()),
        ("{}", {}, ()),
        ('{"n":123456789012345678901234567890}', {"n": 123456789012345678901234567890}, ()),
        ('{"a": ', {"input": '{"a": '}, ("tool_call.arguments",)),
        ("[1]", {"input": "[1]"}, ("tool_call.arguments",)),
    ],
)
def test_arguments(arguments: str, args: dict[str, Any], losses: tuple[str, ...]) -> None:
    encoded = encode(asked(user(Text("hi")), model(ToolCall("1", "a", arguments)), results(ToolResult("1"))))
    assert encoded.body["contents"][1]["parts"][0]["functionCall"]["args"] == args
    assert encoded.losses.codes == losses


IMAGE = Media("image", Base64Source("aaaa"), "image/png")


def test_an_image_in_a_result_stands_within_it_since_gemini_3() -> None:
    messages = (user(Text("hi")), model(ToolCall("1", "a")), results(ToolResult("1", (Text("x"), IMAGE))))
    blob = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}
    before, since = contents(*messages), contents(*messages, target="gemini-3-flash-preview")
    assert before[2]["parts"][1:] == [blob]
    assert since[2]["parts"][0]["functionResponse"]["parts"] == [blob]
    assert len(since[2]["parts"]) == 1


def test_images_of_parallel_results_come_after_all_results() -> None:
    found = contents(
        user(Text("hi")),
        model(ToolCall("1", "a"), ToolCall("2", "b")),
        results(ToolResult("1", (IMAGE,)), ToolResult("2", (IMAGE,))),
    )
    assert [next(iter(part)) for part in found[2]["parts"]] == [
        "functionResponse",
        "functionResponse",
        "inlineData",
        "inlineData",
    ]


@pytest.mark.parametrize(
    ("media", "wire"),
    [
        (
            Media("image", Base64Source("/9j/4AAQ")),
            {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/4AAQ"}},
        ),
        (
            Media("document", Base64Source("JVBERi0x"), name="a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x", "displayName": "a.pdf"}},
        ),
        (
            Media("image", UrlSource("https://example.com/a.webp?x")),
            {"fileData": {"fileUri": "https://example.com/a.webp?x", "mimeType": "image/webp"}},
        ),
        (
            Media("document", UrlSource("https://example.com/a")),
            {"fileData": {"fileUri": "https://example.com/a", "mimeType": "application/pdf"}},
        ),
        (
            Media("video", UrlSource("https://youtu.be/x")),
            {"fileData": {"fileUri": "https://youtu.be/x"}},
        ),
        (Media("document", PlainTextSource("words"), name="a.txt"), {"text": "a.txt\n\nwords"}),
    ],
)
def test_media(media: Media, wire: dict[str, Any]) -> None:
    assert contents(user(media)) == [said(wire)]


def test_a_file_of_another_provider_is_reported() -> None:
    encoded = encode(asked(user(Text("hi"), Media("document", FileIdSource("file-1", "openai")))))
    assert "text" in encoded.body["contents"][0]["parts"][1]
    assert encoded.losses.codes == ("media.file_id",)


def test_foreign_items_are_told_or_left_away_and_reported() -> None:
    told, silent = (
        Opaque("anthropic", "a_result", {"x": 1}, "words"),
        Opaque("anthropic", "b_result", {"x": 1}),
    )
    encoded = encode(asked(user(Text("hi")), model(told, silent, Text("ok"))))
    assert encoded.body["contents"][1] == said({"text": "words"}, {"text": "ok"}, role="model")
    assert encoded.losses.codes == ("item.a_result", "item.b_result")


# ---------------------------------------------------------------- thinking in the history


def test_only_geminis_own_signatures_go_to_gemini() -> None:
    own, foreign = Signature("b3du", "gemini"), Signature("Zm9yZWlnbg==", "anthropic")
    encoded = encode(
        asked(
            user(Text("hi")),
            model(Thinking("a", own), Thinking("b", foreign), ToolCall("1", "f", signature=foreign)),
            results(ToolResult("1")),
        )
    )
    parts = encoded.body["contents"][1]["parts"]
    assert parts[0] == {"text": "a", "thought": True, "thoughtSignature": "b3du"}
    assert parts[1] == {"functionCall": {"name": "f", "args": {}, "id": "1"}}
    assert encoded.losses.codes == ("thinking", "thinking.signature")


def test_gemini_3_gets_the_stand_in_where_its_check_looks() -> None:
    messages = (
        user(Text("hi")),
        model(ToolCall("1", "f")),
        results(ToolResult("1")),
        model(Text("there")),
        user(Text("again")),
        model(ToolCall("2", "f"), ToolCall("3", "f")),
        results(ToolResult("2"), ToolResult("3")),
        model(ToolCall("4", "f", signature=Signature("b3du", "gemini"))),
        results(ToolResult("4")),
    )
    found = contents(*messages, target="gemini-3-pro-preview")
    signatures = [
        part.get("thoughtSignature") for one in found for part in one["parts"] if "functionCall" in part
    ]
    assert signatures == [None, SKIP, None, "b3du"]
    assert SKIP not in str(contents(*messages, target="gemini-2.5-pro"))


# ---------------------------------------------------------------- tools


def test_tools() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft-07/schema",
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"const": "x"}},
        "additionalProperties": False,
    }
    encoded = encode(
        asked(
            tools=(
                Tool("f", "does", schema, strict=True),
                Tool("g"),
                ProviderTool("anthropic", "web_search_1", {}),
            )
        )
    )
    assert encoded.body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "does",
                    "parametersJsonSchema": {
                        "type": "object",
                        "properties": {"a": {"enum": ["x"]}},
                        "additionalProperties": False,
                    },
                },
                {"name": "g"},
            ]
        }
    ]
    assert encoded.losses.codes == ("tool.strict", "tool.web_search_1")


def test_free_text_tools_become_functions_of_one_string() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}
    encoded = encode(
        asked(
            user(Text("hi")),
            model(ToolCall("1", "patch", "*** x", kind="custom")),
            results(ToolResult("1", (Text("ok"),), kind="custom")),
            tools=(Tool("patch", "patches", kind="custom", format=grammar), Tool("go", namespace="mcp__x")),
            tool_choice=ToolChoice("named", ("patch",)),
        )
    )
    patch, go = encoded.body["tools"][0]["functionDeclarations"]
    assert patch["parametersJsonSchema"]["properties"].keys() == {"input"}
    assert "start: /x/" in patch["description"]
    assert go["name"] == "mcp__x__go"
    assert encoded.body["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": "*** x"}
    assert encoded.body["toolConfig"] == {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["patch"]}
    }


@pytest.mark.parametrize(
    ("choice", "config", "losses"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}, ()),
        (ToolChoice("none"), {"mode": "NONE"}, ()),
        (ToolChoice("required"), {"mode": "ANY"}, ()),
        (ToolChoice("named", ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}, ()),
        (ToolChoice("required", ("f", "g")), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ()),
        (ToolChoice("auto", ("g",)), {"mode": "VALIDATED", "allowedFunctionNames": ["g"]}, ()),
        (ToolChoice("named", ("missing",)), None, ("tool_choice",)),
    ],
)
def test_tool_choice(choice: ToolChoice, config: dict[str, Any] | None, losses: tuple[str, ...]) -> None:
    encoded = encode(asked(tools=(Tool("f"), Tool("g")), tool_choice=choice))
    assert encoded.body.get("toolConfig", {}).get("functionCallingConfig") == config
    assert encoded.losses.codes == losses


def test_without_functions_there_is_no_choice() -> None:
    encoded = encode(asked(tool_choice=ToolChoice("required")))
    assert "toolConfig" not in encoded.body
    assert encoded.losses.codes == ("tool_choice",)


# ---------------------------------------------------------------- generationConfig


def test_limits_and_sampling() -> None:
    request = asked(
        max_tokens=5,
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        stop=("a", "b", "c", "d", "e", "f"),
        seed=9,
        n=2,
        logprobs=True,
        top_logprobs=4,
    )
    encoded = encode(request)
    assert encoded.body["generationConfig"] == {
        "maxOutputTokens": 5,
        "temperature": 0.0,
        "topP": 0.5,
        "topK": 3,
        "stopSequences": ["a", "b", "c", "d", "e"],
        "seed": 9,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 4,
    }
    assert encoded.losses.codes == ("stop",)


def test_penalties_go_to_models_that_take_them() -> None:
    request = asked(presence_penalty=0.5, frequency_penalty=0.0)
    assert encode(request, "gemini-2.0-flash").body["generationConfig"] == {
        "presencePenalty": 0.5,
        "frequencyPenalty": 0.0,
    }
    encoded = encode(request, "gemini-2.5-flash")
    assert "generationConfig" not in encoded.body
    assert encoded.losses.codes == ("presence_penalty",)


@pytest.mark.parametrize(
    ("reasoning", "target", "config", "losses"),
    [
        (Reasoning(enabled=False), "gemini-2.5-flash", {"thinkingBudget": 0}, ()),
        (Reasoning(enabled=False), "gemini-2.5-pro", {"thinkingBudget": 128}, ("reasoning.effort",)),
        (
            Reasoning(enabled=False),
            "gemini-3-flash-preview",
            {"thinkingLevel": "MINIMAL"},
            ("reasoning.effort",),
        ),
        (Reasoning(enabled=False), "gemini-3-pro-preview", {"thinkingLevel": "LOW"}, ("reasoning.effort",)),
        (Reasoning(effort="high"), "gemini-3-pro-preview", {"thinkingLevel": "HIGH"}, ()),
        (Reasoning(effort="max"), "gemini-3-flash-preview", {"thinkingLevel": "HIGH"}, ("reasoning.effort",)),
        (Reasoning(effort="low"), "gemini-2.5-flash", {"thinkingBudget": 4096}, ()),
        (
            Reasoning(enabled=True, budget=2000),
            "gemini-2.5-flash",
            {"thinkingBudget": 2000, "includeThoughts": True},
            (),
        ),
        (
            Reasoning(enabled=True, adaptive=True),
            "gemini-3-flash-preview",
            {"thinkingLevel": "HIGH", "includeThoughts": True},
            (),
        ),
        (
            Reasoning(enabled=True, adaptive=True, show=False),
            "gemini-2.5-flash",
            {"thinkingBudget": -1, "includeThoughts": False},
            (),
        ),
        (Reasoning(effort="high"), "gemini-2.0-flash", None, ("reasoning",)),
    ],
)
def test_thinking(
    reasoning: Reasoning, target: str, config: dict[str, Any] | None, losses: tuple[str, ...]
) -> None:
    encoded = encode(asked(reasoning=reasoning), target)
    assert encoded.body.get("generationConfig", {}).get("thinkingConfig") == config
    assert encoded.losses.codes == losses


@pytest.mark.parametrize(
    ("config", "target", "expected"),
    [
        ({"thinkingBudget": 24576}, "gemini-3-flash-preview", {"thinkingLevel": "HIGH"}),
        (
            {"thinkingLevel": "LOW", "includeThoughts": True},
            "gemini-2.5-flash",
            {"thinkingBudget": 4096, "includeThoughts": True},
        ),
        ({"thinkingLevel": "LOW"}, "gemini-3-flash-preview", {"thinkingLevel": "LOW"}),
        ({"thinkingBudget": 5}, "gemini-2.0-flash", None),
    ],
)
def test_thinking_of_a_gemini_client_fits_the_model_that_answers(
    config: dict[str, Any], target: str, expected: dict[str, Any] | None
) -> None:
    body = there_and_back({"contents": [HI], "generationConfig": {"thinkingConfig": config}}, target)
    assert body.get("generationConfig", {}).get("thinkingConfig") == expected


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}
    config = encode(asked(output_format=OutputFormat("json_schema", schema, "n", "what it is"))).body[
        "generationConfig"
    ]
    assert config == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {**schema, "description": "what it is"},
    }
    assert encode(asked(output_format=OutputFormat("json"))).body["generationConfig"] == {
        "responseMimeType": "application/json"
    }
    assert "generationConfig" not in encode(asked(output_format=OutputFormat("text"))).body


@pytest.mark.parametrize(
    ("field", "value"),
    [("user", "u"), ("verbosity", "low"), ("metadata", {"a": "b"}), ("parallel_tool_calls", False)],
)
def test_what_gemini_has_not_is_reported(field: str, value: Any) -> None:
    assert encode(asked(**{field: value})).losses.codes == (field,)


@pytest.mark.parametrize(
    ("tier", "sent", "losses"),
    [
        ("flex", "flex", ()),
        ("default", "standard", ()),
        ("auto", None, ()),
        ("scale", None, ("service_tier",)),
    ],
)
def test_service_tier(tier: str, sent: str | None, losses: tuple[str, ...]) -> None:
    encoded = encode(asked(service_tier=tier))
    assert (encoded.body.get("serviceTier"), encoded.losses.codes) == (sent, losses)


def test_extensions_of_others_are_reported_and_notes_are_not() -> None:
    request = asked(
        user(Text("hi", {"anthropic": {"cache_control": {}, "_list": True}})),
        extensions={"openai": {"logit_bias": {}, "_x": 1}},
    )
    assert set(encode(request).losses.codes) == {"cache_control", "logit_bias"}


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("name", "stream", "path"),
    [
        ("gemini-2.5-flash", False, "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("models/gemini-2.5-flash", True, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("a/b c?", False, "/v1beta/models/a/b%20c%3F:generateContent"),
    ],
)
def test_path(name: str, stream: bool, path: str) -> None:
    assert CODEC.encode_request(asked(stream=stream), TargetModel(name)).path == path


def test_what_is_sent_fits_the_sdks_types() -> None:
    request = ChatRequest(
        "m",
        (
            user(Text("hi"), IMAGE),
            model(ToolCall("1", "f", '{"a":1}')),
            results(ToolResult("1", (Text("x"), IMAGE))),
        ),
        instructions=(Text("be"),),
        tools=(Tool("f", "d", {"type": "object"}),),
        tool_choice=ToolChoice("required"),
        reasoning=Reasoning(effort="low"),
        output_format=OutputFormat("json_schema", {"type": "object"}),
    )
    body = encode(request, "gemini-3-flash-preview").body
    for content in body["contents"]:
        genai.Content.model_validate(content)
    genai.Content.model_validate(body["systemInstruction"])
    for tool in body["tools"]:
        genai.Tool.model_validate(tool)
    genai.ToolConfig.model_validate(body["toolConfig"])
    config = dict(body["generationConfig"])
    genai.ThinkingConfig.model_validate(config.pop("thinkingConfig"))
    genai.GenerationConfig.model_validate(config)
