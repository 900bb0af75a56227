"""OpenAI Chat Completions, and the dialects of the providers that are compatible with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.canonical import ChatError, ChatRequest, ChatResponse, Usage
from adapters.codec import (
    Arrival,
    Encoded,
    ModelInfo,
    Reply,
    Route,
    StreamDecoder,
    StreamEncoder,
    TargetModel,
)
from adapters.embeddings import EmbeddingRequest, EmbeddingResponse
from adapters.losses import Losses
from adapters.openai_chat import (
    embeddings,
    errors,
    outcome,
    request_decode,
    request_encode,
    response_decode,
    response_encode,
)
from adapters.openai_chat.stream_decode import ChatStreamDecoder
from adapters.openai_chat.stream_encode import ChatStreamEncoder


class OpenAIChat:
    """The codec; see `adapters.codec.Codec`."""

    name = "openai"
    title = "OpenAI Chat Completions"
    stream_content_type = "text/event-stream; charset=utf-8"
    routes: tuple[Route, ...] = (
        Route("POST", "/v1/chat/completions", "chat"),
        Route("GET", "/v1/models", "models"),
        Route("GET", "/v1/models/{model:path}", "model"),
        Route("POST", "/v1/embeddings", "embeddings", "embeddings"),
    )

    def decode_request(self, body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
        return request_decode.decode_request(body, arrival)

    def encode_response(self, response: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]:
        return response_encode.encode_response(response, reply)

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        return ChatStreamEncoder(reply)

    def encode_error(self, error: ChatError) -> tuple[int, dict[str, Any]]:
        return errors.encode_error(error)

    def encode_models(self, models: Sequence[ModelInfo], action: str = "") -> dict[str, Any]:
        return {"object": "list", "data": [self.encode_model(model) for model in models]}

    def encode_model(self, model: ModelInfo, action: str = "") -> dict[str, Any]:
        return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}

    def encode_token_count(self, tokens: int) -> dict[str, Any]:
        """This API has no such operation; the shape is plain."""
        return {"input_tokens": tokens}

    def encode_request(self, request: ChatRequest, target: TargetModel) -> Encoded:
        return request_encode.encode_request(request, target)

    def decode_response(self, body: Mapping[str, Any]) -> ChatResponse:
        return response_decode.decode_response(body)

    def decode_usage(self, body: Mapping[str, Any]) -> Usage | None:
        return outcome.decode_usage(body.get("usage"))

    def stream_decoder(self) -> StreamDecoder:
        return ChatStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
        return errors.decode_error(status, headers, body)

    def authorization(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}

    def passthrough_path(self, model: str, arrival: Arrival) -> str:
        return embeddings.PATH if arrival.action == "embeddings" else request_encode.PATH

    # ------------------------------------------------------------ embeddings

    def decode_embedding_request(self, body: Mapping[str, Any], arrival: Arrival) -> EmbeddingRequest:
        return embeddings.decode_request(body)

    def encode_embedding_response(
        self, response: EmbeddingResponse, request: EmbeddingRequest, action: str
    ) -> dict[str, Any]:
        return embeddings.encode_response(response, request)

    def encode_embedding_request(self, request: EmbeddingRequest, target: TargetModel) -> Encoded:
        return embeddings.encode_request(request, target)

    def decode_embedding_response(self, body: Mapping[str, Any]) -> EmbeddingResponse:
        return embeddings.decode_response(body)

    def embedding_tokens(self, body: Mapping[str, Any]) -> int | None:
        return embeddings.tokens(body)

    def name_embedding_model(self, body: Mapping[str, Any], model: str) -> dict[str, Any] | None:
        return None


CODEC = OpenAIChat()
