"""Anthropic Messages, as a client speaks it and as an upstream is asked.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.anthropic import errors, models_list, response_decode, response_encode
from adapters.anthropic import request_decode as decoding
from adapters.anthropic import request_encode as encoding
from adapters.anthropic.names import PROTOCOL
from adapters.anthropic.stream_decode import MessagesStreamDecoder
from adapters.anthropic.stream_encode import MessagesStreamEncoder
from adapters.anthropic.usage import decode_usage
from adapters.canonical import ChatError, ChatRequest, ChatResponse, Usage
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
from adapters.losses import Losses

__all__ = ["CODEC"]

_MESSAGES = "/v1/messages"
_COUNT_TOKENS = "/v1/messages/count_tokens"


class AnthropicCodec:
    name = PROTOCOL
    title = "Anthropic Messages"
    stream_content_type = "text/event-stream; charset=utf-8"
    routes: tuple[Route, ...] = (
        Route("POST", _MESSAGES, "chat"),
        Route("POST", _COUNT_TOKENS, "count_tokens", "count_tokens"),
        Route("GET", "/v1/models", "models"),
        Route("GET", "/v1/models/{model:path}", "model"),
    )

    def decode_request(self, body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
        return decoding.decode_request(body, arrival)

    def encode_response(self, response: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]:
        return response_encode.encode_response(response, reply)

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        return MessagesStreamEncoder(reply)

    def encode_error(self, error: ChatError) -> tuple[int, dict[str, Any]]:
        return error.status, errors.error_body(error)

    def encode_models(self, models: Sequence[ModelInfo], action: str = "") -> dict[str, Any]:
        return models_list.encode_models(models)

    def encode_model(self, model: ModelInfo, action: str = "") -> dict[str, Any]:
        return models_list.encode_model(model)

    def encode_token_count(self, tokens: int) -> dict[str, Any]:
        return {"input_tokens": tokens}

    def encode_request(self, request: ChatRequest, target: TargetModel) -> Encoded:
        return encoding.encode_request(request, target)

    def decode_response(self, body: Mapping[str, Any]) -> ChatResponse:
        return response_decode.decode_response(body)

    def decode_usage(self, body: Mapping[str, Any]) -> Usage | None:
        found = body.get("usage")
        return decode_usage(found) if isinstance(found, Mapping) else None

    def stream_decoder(self) -> StreamDecoder:
        return MessagesStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
        return errors.decode_error(status, headers, body)

    def authorization(self, key: str) -> dict[str, str]:
        return {"x-api-key": key}

    def passthrough_path(self, model: str, arrival: Arrival) -> str:
        return _COUNT_TOKENS if arrival.action == "count_tokens" else _MESSAGES


CODEC: Codec = AnthropicCodec()
