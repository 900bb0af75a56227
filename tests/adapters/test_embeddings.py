"""Embeddings' readers meet whatever JSON comes, and numbers survive every form."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters import embeddings
from adapters.codec import Arrival, EmbeddingsCodec, TargetModel
from adapters.embeddings import EmbeddingResponse
from adapters.errors import InvalidRequest, InvalidResponse, Unsupported
from adapters.jsontext import dump_bytes
from adapters.registry import codecs

CODECS = [each for each in codecs() if isinstance(each, EmbeddingsCodec)]
ACTIONS = sorted({r.action for each in codecs() for r in each.routes if r.operation == "embeddings"})
REQUEST_WORDS = ["input", "prompt", "model", "dimensions", "encoding_format", "truncate", "requests"]
GEMINI_WORDS = ["content", "parts", "text", "outputDimensionality", "embedContentConfig", "taskType"]
ANSWER_WORDS = ["data", "embedding", "embeddings", "values", "index", "usage", "usageMetadata"]
WORDS = some.sampled_from([*REQUEST_WORDS, *GEMINI_WORDS, *ANSWER_WORDS, "prompt_eval_count"])
LEAVES = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text()
JSON = some.recursive(
    LEAVES, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(WORDS, inner, max_size=5)
)
OBJECTS = some.dictionaries(WORDS, JSON, max_size=6)


@given(OBJECTS, some.sampled_from(ACTIONS), some.sampled_from(CODECS), some.sampled_from(CODECS))
def test_any_request_is_read_or_refused(
    body: dict[str, Any], action: str, ours: EmbeddingsCodec, theirs: EmbeddingsCodec
) -> None:
    with contextlib.suppress(InvalidRequest, Unsupported):
        request = ours.decode_embedding_request(body, Arrival(action, "m"))
        encoded = theirs.encode_embedding_request(request, TargetModel("real"))
        assert dump_bytes(encoded.body)
        vectors = tuple([0.5] for _ in request.inputs)
        answer = ours.encode_embedding_response(EmbeddingResponse(vectors), request, action)
        assert ours.decode_embedding_response(answer).vectors[0] in ([0.5], (0.5,))


@given(OBJECTS, some.sampled_from(CODECS))
def test_any_answer_is_read_or_refused(body: dict[str, Any], ours: EmbeddingsCodec) -> None:
    with contextlib.suppress(InvalidResponse):
        assert all(ours.decode_embedding_response(body).vectors)
    tokens = ours.embedding_tokens(body)
    assert tokens is None or tokens >= 0


@given(OBJECTS, some.sampled_from(CODECS))
def test_naming_the_model_changes_nothing_else(body: dict[str, Any], ours: EmbeddingsCodec) -> None:
    named = ours.name_embedding_model(body, "real")
    if named is not None:
        assert named.keys() == body.keys()
        assert ours.name_embedding_model(named, "real") is None


@given(some.lists(some.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_packed_vectors_are_unpacked(vector: list[float]) -> None:
    assert list(embeddings.read_vector(embeddings.pack(vector), "x")) == vector


@pytest.mark.parametrize("vector", [[math.inf], [math.nan]])
def test_packed_vectors_are_finite(vector: list[float]) -> None:
    with pytest.raises(InvalidResponse):
        embeddings.read_vector(embeddings.pack(vector), "x")


def test_numbers_beyond_32_bits_are_not_packed() -> None:
    with pytest.raises(InvalidResponse):
        embeddings.pack([1e300])
