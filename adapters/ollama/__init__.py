"""Ollama's own API. https://docs.ollama.com/api"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.canonical import ChatError, ChatRequest, ChatResponse
from adapters.codec import (
    Arrival,
    Codec,
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
from adapters.ollama import embeddings, errors, models, response
from adapters.ollama.request_decode import PROTOCOL, decode_chat, decode_generate
from adapters.ollama.request_encode import encode_request
from adapters.ollama.stream import Decoder, Encoder


class OllamaCodec:
    """Streams are newline-delimited JSON, and streaming is what a request without `stream` means."""

    name = PROTOCOL
    title = "Ollama"
    stream_content_type = "application/x-ndjson"
    routes: tuple[Route, ...] = (
        Route("POST", "/api/chat", "chat", "chat"),
        Route("POST", "/api/generate", "chat", "generate"),
        Route("POST", "/api/embed", "embeddings", "embed"),
        Route("POST", "/api/embeddings", "embeddings", "embeddings"),
        Route("POST", "/api/show", "model", "show"),
        Route("GET", "/api/tags", "models", "tags"),
        Route("GET", "/api/ps", "models", "ps"),
        Route("GET", "/api/version", "info", "version"),
    )

    def decode_request(self, body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
        return decode_generate(body) if arrival.action == "generate" else decode_chat(body)

    def encode_response(self, answer: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]:
        return response.encode_response(answer, reply)

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        return Encoder(reply)

    def encode_error(self, error: ChatError) -> tuple[int, dict[str, Any]]:
        status = 503 if error.status == 529 else error.status  # 529 is Anthropic's own; Ollama says 503
        return status, {"error": error.message}

    def encode_models(self, infos: Sequence[ModelInfo], action: str = "") -> dict[str, Any]:
        return models.encode_models(infos, action)

    def encode_model(self, model: ModelInfo, action: str = "") -> dict[str, Any]:
        return models.encode_model(model)

    def encode_token_count(self, tokens: int) -> dict[str, Any]:
        """Ollama has no endpoint for it; the field is that of its answers."""
        return {"prompt_eval_count": tokens}

    def encode_request(self, request: ChatRequest, target: TargetModel) -> Encoded:
        return encode_request(request, target)

    def decode_response(self, body: Mapping[str, Any]) -> ChatResponse:
        return response.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return Decoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
        return errors.decode_error(status, body)

    def authorization(self, key: str) -> dict[str, str]:
        """ollama.com takes a bearer token; a local server none."""
        return {"authorization": f"Bearer {key}"}

    def passthrough_path(self, model: str, arrival: Arrival) -> str:
        return f"/api/{arrival.action or 'chat'}"

    # ------------------------------------------------------------ embeddings

    def decode_embedding_request(self, body: Mapping[str, Any], arrival: Arrival) -> EmbeddingRequest:
        return embeddings.decode_request(body, arrival.action)

    def encode_embedding_response(
        self, answer: EmbeddingResponse, request: EmbeddingRequest, action: str
    ) -> dict[str, Any]:
        return embeddings.encode_response(answer, request, action)

    def encode_embedding_request(self, request: EmbeddingRequest, target: TargetModel) -> Encoded:
        return embeddings.encode_request(request, target)

    def decode_embedding_response(self, body: Mapping[str, Any]) -> EmbeddingResponse:
        return embeddings.decode_response(body)

    def embedding_tokens(self, body: Mapping[str, Any]) -> int | None:
        return embeddings.tokens(body)

    def name_embedding_model(self, body: Mapping[str, Any], model: str) -> dict[str, Any] | None:
        return None


CODEC: Codec = OllamaCodec()
