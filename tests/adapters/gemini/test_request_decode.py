"""Gemini's requests as the canonical model sees them."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.canonical import (
    Base64Source,
    FileIdSource,
    Media,
    Opaque,
    OutputFormat,
    ProviderTool,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    UrlSource,
)
from adapters.codec import Arrival
from adapters.errors import InvalidRequest
from adapters.gemini import CODEC
from tests.adapters.gemini.support import decode, said

HI = [said({"text": "hi"})]


def snake(value: Any) -> Any:
    """The same body with snake_case keys, as SDKs may write it."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if isinstance(value, dict):
        return {
            "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key): snake(inner)
            for key, inner in value.items()
        }
    return value


FULL: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "be brief"}, {"text": "be kind"}]},
    "contents": [
        said({"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        said(
            {"text": "I see", "thought": True},
            {"functionCall": {"id": "c1", "name": "look_up", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            role="model",
        ),
        said({"functionResponse": {"id": "c1", "name": "look_up", "response": {"output": "found"}}}),
    ],
    "tools": [
        {"functionDeclarations": [{"name": "look_up", "description": "d", "parameters": {"type": "OBJECT"}}]},
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look_up"]}},
    "generationConfig": {
        "maxOutputTokens": 100,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "candidateCount": 1,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "cachedContent": "cachedContents/1",
    "serviceTier": "flex",
}


@pytest.mark.parametrize("spelled", [FULL, snake(FULL)], ids=["camel", "snake"])
def test_every_field_arrives(spelled: dict[str, Any]) -> None:
    request = decode(spelled)
    assert request.model == "gemini-2.5-flash"
    assert request.instructions == (Text("be brief"), Text("be kind"))
    first, second, third = request.messages
    assert [first.role, second.role, third.role] == ["user", "assistant", "user"]
    assert first.parts == (Text("look"), Media("image", Base64Source("iVBORw0KGgo="), "image/png"))
    thought, call = second.parts
    assert isinstance(thought, Thinking)
    assert (thought.text, thought.signature) == ("I see", None)
    assert isinstance(call, ToolCall)
    assert (call.id, call.name, call.arguments) == ("c1", "look_up", '{"a":1}')
    assert call.signature is not None
    assert (call.signature.value, call.signature.origin) == ("c2ln", "gemini")
    result = third.parts[0]
    assert isinstance(result, ToolResult)
    assert (result.call_id, result.name, result.content) == ("c1", "look_up", (Text("found"),))
    tool, search = request.tools
    assert isinstance(tool, Tool)
    assert (tool.name, tool.description, tool.parameters) == ("look_up", "d", {"type": "object"})
    assert isinstance(search, ProviderTool)
    assert (search.protocol, search.kind) == ("gemini", "googleSearch")
    assert request.tool_choice == ToolChoice("named", ("look_up",))
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (100, 0.5, 0.9, 40)
    assert (request.stop, request.seed, request.n) == (("END",), 7, 1)
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, 0.2)
    assert (request.logprobs, request.top_logprobs) == (True, 3)
    assert isinstance(request.output_format, OutputFormat)
    assert (request.output_format.kind, request.output_format.schema) == ("json_schema", {"type": "object"})
    assert isinstance(request.reasoning, Reasoning)
    assert (request.reasoning.enabled, request.reasoning.budget, request.reasoning.show) == (True, 2048, True)
    assert request.service_tier == "flex"
    bag = request.extensions["gemini"]
    assert bag["generationConfig.mediaResolution"] == "MEDIA_RESOLUTION_LOW"
    assert {"safetySettings", "cachedContent"} <= bag.keys()


@pytest.mark.parametrize("role", ["user", None])
def test_a_content_without_a_role_is_the_users(role: str | None) -> None:
    content = {"parts": [{"text": "hi"}], **({"role": role} if role else {})}
    assert decode({"contents": [content]}).messages[0].role == "user"


def test_the_function_role_holds_results() -> None:
    answer = {"functionResponse": {"name": "f", "response": {"result": 1}}}
    request = decode(
        {
            "contents": [
                *HI,
                said({"functionCall": {"name": "f"}}, role="model"),
                said(answer, role="function"),
            ]
        }
    )
    assert request.messages[2].role == "tool"


@pytest.mark.parametrize("body", [{"contents": "hi"}, {"contents": {"parts": {"text": "hi"}}}])
def test_lone_values_stand_for_lists(body: dict[str, Any]) -> None:
    assert decode(body).messages[0].parts == (Text("hi"),)


# ---------------------------------------------------------------- ids


def calls_and_results(contents: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    parts = [part for message in decode({"contents": contents}).messages for part in message.parts]
    return [p.id for p in parts if isinstance(p, ToolCall)], [
        p.call_id for p in parts if isinstance(p, ToolResult)
    ]


def call(name: str, call_id: str | None = None) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}, **({"id": call_id} if call_id else {})}}


def response(name: str, call_id: str | None = None) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {}, **({"id": call_id} if call_id else {})}}


def test_calls_without_ids_match_by_name_and_order() -> None:
    calls, answers = calls_and_results(
        [
            *HI,
            said(call("a"), call("b"), call("a"), role="model"),
            said(response("b"), response("a"), response("a")),
        ]
    )
    assert len(set(calls)) == 3
    assert answers == [calls[1], calls[0], calls[2]]


def test_minted_ids_do_not_change_as_the_history_grows() -> None:
    first = [*HI, said(call("get weather"), role="model"), said(response("get weather"))]
    more = [*first, said(call("get weather"), role="model"), said(response("get weather"))]
    assert calls_and_results(more)[0][:1] == calls_and_results(first)[0]
    assert calls_and_results(more)[0] == calls_and_results(more)[1]
    assert all(one.replace("_", "").isalnum() for one in calls_and_results(more)[0])


def test_minted_ids_avoid_given_ones() -> None:
    taken = calls_and_results([*HI, said(call("a"), role="model")])[0][0]
    calls, answers = calls_and_results(
        [*HI, said(call("a"), call("a", taken), role="model"), said(response("a", taken), response("a"))]
    )
    assert len(set(calls)) == 2
    assert answers == [calls[1], calls[0]]


def test_a_response_answers_the_latest_turn_that_waits() -> None:
    calls, answers = calls_and_results(
        [*HI, said(call("a"), role="model"), *HI, said(call("a"), role="model"), said(response("a"))]
    )
    assert answers == [calls[1]]


def test_a_response_with_an_id_that_its_call_lacks() -> None:
    calls, answers = calls_and_results([*HI, said(call("a"), role="model"), said(response("a", "x"))])
    assert calls == answers


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("response_object", "text", "is_error"),
    [
        ({"output": "plain"}, "plain", False),
        ({"result": 3}, "3", False),
        ({"output": {"a": [1, 2]}}, '{"a":[1,2]}', False),
        ({"error": "no such file"}, "no such file", True),
        ({"error": "no", "code": 5}, '{"error":"no","code":5}', True),
        ({"error": None, "a": 1}, '{"error":null,"a":1}', False),
        ({"temperature": "71"}, '{"temperature":"71"}', False),
        ({"name": "bash", "content": "x"}, '{"name":"bash","content":"x"}', False),
    ],
)
def test_responses_in_words(response_object: dict[str, Any], text: str, is_error: bool) -> None:
    answer = {"functionResponse": {"name": "f", "response": response_object}}
    result = decode({"contents": [*HI, said(call("f"), role="model"), said(answer)]}).messages[2].parts[0]
    assert isinstance(result, ToolResult)
    assert (result.content, result.is_error) == ((Text(text),), is_error)


def test_media_within_a_response() -> None:
    blob = {"inlineData": {"mimeType": "image/png", "data": "aaaa", "displayName": "a.png"}}
    answer = {"functionResponse": {"name": "f", "response": {"output": "see"}, "parts": [blob]}}
    result = decode({"contents": [*HI, said(call("f"), role="model"), said(answer)]}).messages[2].parts[0]
    assert isinstance(result, ToolResult)
    assert result.content == (Text("see"), Media("image", Base64Source("aaaa"), "image/png", "a.png"))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": "-_-_"}},
            Media("image", Base64Source("+/+/"), "image/png"),
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "YWI"}},
            Media("document", Base64Source("YWI="), "application/pdf"),
        ),
        (
            {"inlineData": {"mimeType": "audio/wav", "data": "aaaa"}},
            Media("audio", Base64Source("aaaa"), "audio/wav"),
        ),
        (
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v"}},
            Media("video", UrlSource("gs://b/v"), "video/mp4"),
        ),
        (
            {"fileData": {"fileUri": "https://example.com/a.png?x=1"}},
            Media("image", UrlSource("https://example.com/a.png?x=1")),
        ),
        (
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
            Media("video", UrlSource("https://www.youtube.com/watch?v=1")),
        ),
        (
            {
                "fileData": {
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x",
                    "mimeType": "image/png",
                }
            },
            Media(
                "image",
                FileIdSource("https://generativelanguage.googleapis.com/v1beta/files/x", "gemini"),
                "image/png",
            ),
        ),
        (
            {"fileData": {"fileUri": "data:image/gif;base64,R0lGOD"}},
            Media("image", Base64Source("R0lGOD=="), "image/gif"),
        ),
    ],
)
def test_media(part: dict[str, Any], expected: Media) -> None:
    assert decode({"contents": [said(part)]}).messages[0].parts == (expected,)


def test_code_is_told_in_words_and_kept() -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"someday": {"new": True}},
    ]
    found = decode({"contents": [*HI, said(*parts, role="model")]}).messages[1].parts
    assert found == (
        Opaque("gemini", "executableCode", parts[0], "```python\nprint(1)\n```"),
        Opaque("gemini", "codeExecutionResult", parts[1], "```\n1\n\n```"),
        Opaque("gemini", "someday", parts[2]),
    )


def test_a_signature_on_text_is_kept() -> None:
    part = (
        decode({"contents": [*HI, said({"text": "a", "thoughtSignature": "s"}, role="model")]})
        .messages[1]
        .parts[0]
    )
    assert part == Text("a", {"gemini": {"thoughtSignature": "s"}})


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"thinkingBudget": 0}, (False, None, 0, None)),
        ({"thinkingBudget": -1}, (True, None, -1, None)),
        ({"thinkingBudget": "512", "includeThoughts": True}, (True, None, 512, True)),
        ({"thinkingLevel": "HIGH"}, (True, "high", None, None)),
        ({"thinkingLevel": "minimal"}, (True, "minimal", None, None)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, (None, None, None, None)),
        ({"includeThoughts": False}, (None, None, None, False)),
    ],
)
def test_thinking(config: dict[str, Any], expected: tuple[Any, ...]) -> None:
    reasoning = decode({"contents": HI, "generationConfig": {"thinkingConfig": config}}).reasoning
    assert reasoning is not None
    assert (reasoning.enabled, reasoning.effort, reasoning.budget, reasoning.show) == expected


@pytest.mark.parametrize(
    ("config", "mode", "names"),
    [
        ({"mode": "AUTO"}, "auto", ()),
        ({"mode": "auto"}, "auto", ()),
        ({"mode": "NONE"}, "none", ()),
        ({"mode": "ANY"}, "required", ()),
        ({"mode": "ANY", "allowedFunctionNames": ["a"]}, "named", ("a",)),
        ({"mode": "ANY", "allowedFunctionNames": ["a", "b"]}, "required", ("a", "b")),
        ({"mode": "VALIDATED"}, "auto", ()),
    ],
)
def test_tool_choice(config: dict[str, Any], mode: str, names: tuple[str, ...]) -> None:
    choice = decode({"contents": HI, "toolConfig": {"functionCallingConfig": config}}).tool_choice
    assert choice is not None
    assert (choice.mode, choice.names) == (mode, names)


@pytest.mark.parametrize(
    ("config", "kind", "schema"),
    [
        ({"responseMimeType": "application/json"}, "json", None),
        ({"responseMimeType": "text/plain"}, "text", None),
        (
            {
                "responseMimeType": "application/json",
                "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}},
            },
            "json_schema",
            {"type": "array", "items": {"type": "string"}},
        ),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "OBJECT"}},
            "json_schema",
            {"type": "object"},
        ),
    ],
)
def test_output_format(config: dict[str, Any], kind: str, schema: Any) -> None:
    wanted = decode({"contents": HI, "generationConfig": config}).output_format
    assert wanted is not None
    assert (wanted.kind, wanted.schema) == (kind, schema)


@pytest.mark.parametrize(
    ("action", "stream", "expected"),
    [
        ("generateContent", False, False),
        ("streamGenerateContent", True, True),
        ("streamGenerateContent?alt=sse", True, True),
        ("countTokens", None, False),
    ],
)
def test_the_path_says_whether_to_stream(action: str, stream: bool | None, expected: bool) -> None:
    assert CODEC.decode_request({"contents": HI}, Arrival(action, "m", stream)).stream is expected


def test_count_tokens_may_wrap_a_request() -> None:
    wrapped = {"generateContentRequest": {"model": "models/m", "contents": HI, "systemInstruction": "brief"}}
    request = CODEC.decode_request(wrapped, Arrival("countTokens"))
    assert (request.model, request.instructions) == ("m", (Text("brief"),))


def test_null_is_absence() -> None:
    request = decode(
        {"contents": HI, "tools": None, "generationConfig": {"topK": None, "thinkingConfig": None}}
    )
    assert (request.tools, request.top_k, request.reasoning) == ((), None, None)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "contents"),
        ({"contents": 5}, "contents"),
        ({"contents": [5]}, "contents[0]"),
        ({"contents": [{"role": "wizard", "parts": []}]}, "contents[0].role"),
        ({"contents": [said({"text": 5})]}, "contents[0].parts[0].text"),
        ({"contents": [said({"text": "a", "thought": 1})]}, "contents[0].parts[0].thought"),
        ({"contents": [said({"functionCall": {}})]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [said({"functionCall": {"name": "f", "args": []}})]},
            "contents[0].parts[0].functionCall.args",
        ),
        ({"contents": [said({"inlineData": {"mimeType": "a/b"}})]}, "contents[0].parts[0].inlineData.data"),
        (
            {"contents": HI, "tools": [{"functionDeclarations": [{}]}]},
            "tools[0].functionDeclarations[0].name",
        ),
        ({"contents": HI, "generationConfig": {"topP": "much"}}, "generationConfig.topP"),
        ({"contents": HI, "generationConfig": {"maxOutputTokens": 1.5}}, "generationConfig.maxOutputTokens"),
        ({"contents": HI, "generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences[0]"),
        (
            {"contents": HI, "toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert caught.value.where == where
