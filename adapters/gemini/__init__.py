"""Gemini's generateContent, both ways.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.canonical import ChatError, ChatRequest, ChatResponse, Usage
from adapters.codec import (
    Arrival,
    Encoded,
    ModelInfo,
    Operation,
    Reply,
    Route,
    StreamDecoder,
    StreamEncoder,
    TargetModel,
)
from adapters.embeddings import EmbeddingRequest, EmbeddingResponse
from adapters.gemini import embeddings, errors, request_decode, request_encode, response
from adapters.gemini.models import encode_model, encode_models
from adapters.gemini.stream_decode import GeminiStreamDecoder
from adapters.gemini.stream_encode import GeminiStreamEncoder
from adapters.losses import Losses

SSE = "?alt=sse"
"""Ends the action `streamGenerateContent` where the client asked for server-sent events."""

_VERSIONS = ("v1beta", "v1", "v1alpha")
_ACTIONS: tuple[tuple[str, Operation], ...] = (
    ("generateContent", "chat"),
    ("streamGenerateContent", "chat"),
    ("countTokens", "count_tokens"),
    ("embedContent", "embeddings"),
    ("batchEmbedContents", "embeddings"),
)


def _routes() -> tuple[Route, ...]:
    """The Python SDK calls `/v1`, all others `/v1beta`; LiteLLM leaves the version away."""
    routes: list[Route] = []
    for version in (*(f"/{name}" for name in _VERSIONS), ""):
        routes += [
            Route("POST", f"{version}/models/{{model:path}}:{action}", operation, action)
            for action, operation in _ACTIONS
        ]
    for name in _VERSIONS:
        routes.append(Route("GET", f"/{name}/models", "models", "models"))
        routes.append(Route("GET", f"/{name}/models/{{model:path}}", "model", "model"))
    return tuple(routes)


class GeminiCodec:
    """The action says what the path said: `generateContent`, `streamGenerateContent` and so on.

    A client that adds `alt=sse` to a stream's URL is answered with server-sent events, others with one
    JSON array: the action is then `streamGenerateContent?alt=sse`.
    """

    name = "gemini"
    title = "Gemini generateContent"
    stream_content_type = "text/event-stream"
    routes = _routes()

    def decode_request(self, body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
        return request_decode.decode_request(body, arrival)

    def encode_response(self, response_: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]:
        return response.encode_response(response_, reply)

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        return GeminiStreamEncoder(reply, sse=reply.action != "streamGenerateContent")

    def encode_error(self, error: ChatError) -> tuple[int, dict[str, Any]]:
        return errors.encode_error(error)

    def encode_models(self, models: Sequence[ModelInfo], action: str = "") -> dict[str, Any]:
        return encode_models(models)

    def encode_model(self, model: ModelInfo, action: str = "") -> dict[str, Any]:
        return encode_model(model)

    def encode_token_count(self, tokens: int) -> dict[str, Any]:
        return {"totalTokens": tokens}

    def encode_request(self, request: ChatRequest, target: TargetModel) -> Encoded:
        return request_encode.encode_request(request, target)

    def decode_response(self, body: Mapping[str, Any]) -> ChatResponse:
        return response.decode_response(body)

    def decode_usage(self, body: Mapping[str, Any]) -> Usage | None:
        return response.decode_usage(body.get("usageMetadata"))

    def stream_decoder(self) -> StreamDecoder:
        return GeminiStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
        return errors.decode_error(status, headers, body)

    def authorization(self, key: str) -> dict[str, str]:
        return {"x-goog-api-key": key}

    def passthrough_path(self, model: str, arrival: Arrival) -> str:
        return request_encode.passthrough_path(model, arrival.action)

    # ------------------------------------------------------------ embeddings

    def decode_embedding_request(self, body: Mapping[str, Any], arrival: Arrival) -> EmbeddingRequest:
        return embeddings.decode_request(body, arrival.action, arrival.model)

    def encode_embedding_response(
        self, answer: EmbeddingResponse, request: EmbeddingRequest, action: str
    ) -> dict[str, Any]:
        return embeddings.encode_response(answer, action)

    def encode_embedding_request(self, request: EmbeddingRequest, target: TargetModel) -> Encoded:
        return embeddings.encode_request(request, target)

    def decode_embedding_response(self, body: Mapping[str, Any]) -> EmbeddingResponse:
        return embeddings.decode_response(body)

    def embedding_tokens(self, body: Mapping[str, Any]) -> int | None:
        return embeddings.tokens(body)

    def name_embedding_model(self, body: Mapping[str, Any], model: str) -> dict[str, Any] | None:
        return embeddings.named(body, model)


CODEC = GeminiCodec()
