"""Whatever comes in: typed errors or success, nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.canonical import Failure, StreamEnd
from adapters.codec import Arrival, TargetModel
from adapters.errors import InvalidRequest, InvalidResponse, Unsupported
from adapters.gemini import CODEC
from tests.adapters.gemini.support import events_of, reply

KEYS = [
    *("contents", "parts", "role", "text", "thought", "thoughtSignature", "inlineData", "mimeType", "data"),
    *("fileData", "fileUri", "functionCall", "name", "args", "id", "functionResponse", "response", "tools"),
    *("functionDeclarations", "parameters", "parametersJsonSchema", "googleSearch", "toolConfig", "mode"),
    *("functionCallingConfig", "allowedFunctionNames", "generationConfig", "temperature", "stopSequences"),
    *("thinkingConfig", "thinkingBudget", "thinkingLevel", "responseSchema", "responseMimeType", "type"),
    *("systemInstruction", "system_instruction", "generateContentRequest", "executableCode", "candidates"),
    *("content", "finishReason", "usageMetadata", "promptTokenCount", "promptFeedback", "index", "error"),
    *("responseId", "partialArgs", "willContinue", "jsonPath", "properties", "anyOf", "$ref", "model"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["user", "model", "function", "ANY", "HIGH", "OBJECT", "STOP", "aHViLXNpZy8xAAAA", "$.a[0]"]
    )
    | st.text(max_size=6)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=30,
)
PART = st.dictionaries(
    st.sampled_from(
        ["text", "thought", "thoughtSignature", "functionCall", "functionResponse", "inlineData", "fileData"]
    ),
    st.fixed_dictionaries(
        {}, optional={"name": st.just("f"), "args": JSON, "id": SCALARS, "response": JSON, "parts": JSON}
    )
    | JSON,
    max_size=3,
)
CONTENT = st.fixed_dictionaries(
    {"parts": st.lists(PART, max_size=4)}, optional={"role": st.sampled_from(["user", "model"])}
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6))
@settings(max_examples=100)
def test_random_requests(body: dict[str, Any]) -> None:
    try:
        request = CODEC.decode_request(body, Arrival("generateContent", "m"))
    except InvalidRequest:
        return
    encode_all(request)


@given(st.lists(CONTENT, max_size=5), JSON, JSON)
@settings(max_examples=100)
def test_likely_requests(contents: list[Any], tools: Any, config: Any) -> None:
    try:
        body = {"contents": contents, "tools": tools, "generationConfig": config}
        request = CODEC.decode_request(body, Arrival("generateContent", "m"))
    except InvalidRequest:
        return
    encode_all(request)


def encode_all(request: Any) -> None:
    for target in ("gemini-2.0-flash", "gemini-2.5-flash", "gemini-3-pro-preview", "other"):
        try:
            CODEC.encode_request(request, TargetModel(target))
        except Unsupported:
            continue


@given(JSON)
@settings(max_examples=100)
def test_random_answers(value: Any) -> None:
    body = value if isinstance(value, dict) else {"candidates": value}
    try:
        response = CODEC.decode_response(body)
    except InvalidResponse:
        return
    CODEC.encode_response(response, reply())


@given(st.lists(CONTENT, max_size=3), st.sampled_from(["STOP", "SAFETY", 5, None]))
@settings(max_examples=100)
def test_likely_answers_and_streams(contents: list[Any], finish: Any) -> None:
    chunks = [{"candidates": [{"content": one, "finishReason": finish}]} for one in contents]
    for one in chunks:
        try:
            CODEC.encode_response(CODEC.decode_response(one), reply())
        except InvalidResponse:
            continue
    data = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks)
    events = events_of(data)
    assert isinstance(events[-1], Failure | StreamEnd)
    CODEC.stream_encoder(reply()).encode(events)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_random_bytes(data: bytes) -> None:
    for prefix in (b"", b"data: ", b"[", b'data: {"candidates":'):
        last = events_of(prefix + data)[-1]
        assert isinstance(last, Failure | StreamEnd)
    assert CODEC.decode_error(500, {}, data).kind == "upstream"
