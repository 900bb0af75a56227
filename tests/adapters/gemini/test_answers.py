"""Whole answers, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from google.genai import types as genai

from adapters.canonical import (
    Base64Source,
    ChatResponse,
    Choice,
    FinishReason,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    Usage,
)
from adapters.codec import ModelInfo
from adapters.errors import InvalidResponse
from adapters.gemini import CODEC
from adapters.gemini.response import STOP_REASONS
from adapters.tool_names import flat_name
from tests.adapters.gemini.support import asked, chunk, reply

STOP = FinishReason("stop")


def decoded(*parts: dict[str, Any], **more: Any) -> ChatResponse:
    return CODEC.decode_response(chunk(*parts, **{"finishReason": "STOP", **more}))


def encoded(*parts: Part, finish: FinishReason = STOP, usage: Usage | None = None) -> dict[str, Any]:
    body, _ = CODEC.encode_response(ChatResponse("r", "gpt-x", (Choice(parts, finish),), usage), reply())
    genai.GenerateContentResponse.model_validate(body)
    return body


# ---------------------------------------------------------------- stop reasons


def test_the_table_knows_every_word_of_the_sdk() -> None:
    assert set(STOP_REASONS) == {one.value for one in genai.FinishReason}


@pytest.mark.parametrize(
    ("word", "unified"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("OTHER", "other"),
        ("SOME_DAY", "other"),
    ],
)
def test_stop_reasons_from_gemini(word: str, unified: str) -> None:
    finish = decoded({"text": "a"}, finishReason=word).choices[0].finish
    assert (finish.unified, finish.raw) == (unified, word)


def test_a_turn_with_calls_stops_for_them() -> None:
    finish = decoded({"functionCall": {"name": "f", "args": {}}}).choices[0].finish
    assert (finish.unified, finish.raw) == ("tool_calls", "STOP")
    cut = decoded({"functionCall": {"name": "f", "args": {}}}, finishReason="MAX_TOKENS").choices[0].finish
    assert cut.unified == "length"


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        (FinishReason("stop", "end_turn"), "STOP"),
        (FinishReason("stop_sequence"), "STOP"),
        (FinishReason("tool_calls", "tool_use"), "STOP"),
        (FinishReason("length"), "MAX_TOKENS"),
        (FinishReason("context_window"), "MAX_TOKENS"),
        (FinishReason("content_filter"), "SAFETY"),
        (FinishReason("refusal"), "SAFETY"),
        (FinishReason("pause"), "OTHER"),
        (FinishReason("error", "MALFORMED_FUNCTION_CALL"), "MALFORMED_FUNCTION_CALL"),
        (FinishReason("content_filter", "RECITATION"), "RECITATION"),
    ],
)
def test_stop_reasons_to_gemini(finish: FinishReason, word: str) -> None:
    assert encoded(Text("a"), finish=finish)["candidates"][0]["finishReason"] == word


def test_a_blocked_prompt_is_a_content_filter() -> None:
    response = CODEC.decode_response(
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    )
    assert response.choices == (Choice((), FinishReason("content_filter", "SAFETY")),)
    assert response.extensions["gemini"]["promptFeedback"] == {"blockReason": "SAFETY"}
    assert response.usage is not None
    assert response.usage.input_tokens == 3


# ---------------------------------------------------------------- parts


def test_parts_from_gemini() -> None:
    response = decoded(
        {"text": "hm", "thought": True},
        {"text": "look"},
        {"functionCall": {"name": "f", "args": {"a": "é"}, "id": "x1"}, "thoughtSignature": "czE="},
        {"inlineData": {"mimeType": "image/png", "data": "aaaa"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"text": ""},
    )
    thought, text, call, image, code = response.choices[0].parts
    assert isinstance(thought, Thinking)
    assert (thought.text, text) == ("hm", Text("look"))
    assert call == ToolCall("x1", "f", '{"a":"é"}', signature=Signature("czE=", "gemini"))
    assert image == Media("image", Base64Source("aaaa"), "image/png")
    assert isinstance(code, Opaque)
    assert (response.id, response.model) == ("R-1", "gemini-2.5-flash")


def test_calls_without_ids_get_some_that_differ_between_answers() -> None:
    two = decoded({"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}).choices[0].parts
    other = (
        CODEC.decode_response({**chunk({"functionCall": {"name": "f"}}), "responseId": "R-2"})
        .choices[0]
        .parts
    )
    ids = [part.id for part in (*two, *other) if isinstance(part, ToolCall)]
    assert len(set(ids)) == 3
    assert all(one.replace("_", "").replace("-", "").isalnum() and len(one) <= 64 for one in ids)


def test_what_is_said_beside_the_parts_is_carried() -> None:
    more = {
        "groundingMetadata": {"webSearchQueries": ["q"]},
        "citationMetadata": {"citationSources": [{"uri": "u"}]},
        "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
        "avgLogprobs": -0.1,
    }
    body = {**chunk({"text": "a"}, finishReason="STOP", **more), "modelStatus": {"modelStage": "STABLE"}}
    response = CODEC.decode_response(body)
    assert response.choices[0].extensions["gemini"] == more
    again, losses = CODEC.encode_response(response, reply())
    assert again == body
    assert losses.codes == ()


def test_parts_to_gemini() -> None:
    body = encoded(
        Thinking("hm"),
        Text("look"),
        Refusal("no"),
        ToolCall("c1", "f", '{"a":1}'),
        Media("image", Base64Source("aaaa"), "image/png"),
        Opaque("anthropic", "server_tool_use", {"x": 1}, "in words"),
        finish=FinishReason("tool_calls"),
    )
    assert body["candidates"] == [
        {
            "content": {
                "parts": [
                    {"text": "hm", "thought": True},
                    {"text": "look"},
                    {"text": "no"},
                    {"functionCall": {"name": "f", "args": {"a": 1}, "id": "c1"}},
                    {"inlineData": {"mimeType": "image/png", "data": "aaaa"}},
                    {"text": "\n\nin words\n\n"},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ]
    assert (body["modelVersion"], body["responseId"]) == ("gpt-x", "r")


def test_losses_of_an_answer() -> None:
    parts = (Opaque("anthropic", "server_tool_use", {}), ToolCall("1", "f", "{"))
    _, losses = CODEC.encode_response(
        ChatResponse("r", "m", (Choice(parts, STOP, extensions={"openai": {"logprobs": {}}}),)), reply()
    )
    assert set(losses.codes) == {"item.server_tool_use", "tool_call.arguments", "logprobs"}


def test_an_answer_without_parts_has_an_empty_text() -> None:
    assert encoded()["candidates"][0]["content"]["parts"] == [{"text": ""}]


def test_calls_come_back_under_their_declared_names() -> None:
    request = asked(tools=(Tool("do.it"),))
    answer = ChatResponse("r", "m", (Choice((ToolCall("1", flat_name("do.it"), "{}"),), STOP),))
    body, _ = CODEC.encode_response(answer, reply(request))
    assert body["candidates"][0]["content"]["parts"][0]["functionCall"]["name"] == "do.it"


# ---------------------------------------------------------------- usage

COUNTS = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "toolUsePromptTokenCount": 7,
    "cachedContentTokenCount": 40,
    "totalTokenCount": 157,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
}


def test_usage_from_gemini() -> None:
    usage = decoded({"text": "a"}, usageMetadata=COUNTS).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (107, 50)
    assert (usage.cached_tokens, usage.reasoning_tokens) == (40, 30)


def test_usage_there_and_back() -> None:
    response = decoded({"text": "a"}, usageMetadata=COUNTS)
    assert CODEC.encode_response(response, reply())[0]["usageMetadata"] == COUNTS


def test_usage_to_gemini() -> None:
    body = encoded(Text("a"), usage=Usage(10, 8, cached_tokens=4, reasoning_tokens=5))
    assert body["usageMetadata"] == {
        "promptTokenCount": 10,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 18,
        "cachedContentTokenCount": 4,
    }


@pytest.mark.parametrize("usage", [None, [], "x", {"promptTokenCount": None}, {"promptTokenCount": "many"}])
def test_odd_usage_is_survived(usage: Any) -> None:
    assert decoded({"text": "a"}, usageMetadata=usage).choices[0].parts == (Text("a"),)


# ---------------------------------------------------------------- odd answers


@pytest.mark.parametrize("body", [{}, {"candidates": []}, {"candidates": None}, {"error": {}}])
def test_an_answer_without_candidates_is_none(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidResponse):
        CODEC.decode_response(body)


@pytest.mark.parametrize(
    "candidate",
    [
        {},
        {"content": None, "finishReason": "MAX_TOKENS"},
        {"content": {"role": "model"}, "finishReason": "MAX_TOKENS"},
        {"content": {"parts": None}, "finishReason": None},
    ],
)
def test_a_candidate_without_content_is_empty(candidate: dict[str, Any]) -> None:
    assert CODEC.decode_response({"candidates": [candidate]}).choices[0].parts == ()


# ---------------------------------------------------------------- lists


def test_model_lists() -> None:
    info = ModelInfo("a/b", 0, "me", "A B", capabilities=("completion", "thinking"))
    listed = CODEC.encode_models([info])
    assert listed["models"][0]["name"] == "models/a/b"
    assert listed["models"][0] == CODEC.encode_model(info)
    assert "generateContent" in listed["models"][0]["supportedGenerationMethods"]
    assert CODEC.encode_token_count(7) == {"totalTokens": 7}


def test_counts_in_snake_case() -> None:
    usage = CODEC.decode_response(
        {
            "candidates": [{"content": {"parts": [{"text": "a"}]}, "finish_reason": "STOP"}],
            "usage_metadata": {"prompt_token_count": 7, "candidates_token_count": 3},
        }
    ).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, dict(usage.extensions)) == (7, 3, {})
