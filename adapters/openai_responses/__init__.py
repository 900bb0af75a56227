"""OpenAI Responses: https://platform.openai.com/docs/api-reference/responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from adapters.losses import Losses
from adapters.openai_chat import errors
from adapters.openai_responses import compact, notes
from adapters.openai_responses.request_decode import decode_request
from adapters.openai_responses.request_encode import PATH, encode_request
from adapters.openai_responses.response_decode import decode_response
from adapters.openai_responses.response_encode import encode_response
from adapters.openai_responses.stream_decode import ResponsesStreamDecoder
from adapters.openai_responses.stream_encode import ResponsesStreamEncoder
from adapters.openai_responses.usage import decode_usage


class OpenAIResponses:
    """The codec. Errors have OpenAI's one shape, which Chat Completions shares."""

    name = notes.PROTOCOL
    title = "OpenAI Responses"
    stream_content_type = "text/event-stream"
    routes = (
        Route("POST", "/v1/responses", "chat"),
        Route("POST", "/v1/responses/compact", "compact", compact.ACTION),
    )

    def decode_request(self, body: Mapping[str, Any], arrival: Arrival) -> ChatRequest:
        request = decode_request(body, arrival.model)
        return compact.as_chat(request) if arrival.action == compact.ACTION else request

    def encode_response(self, response: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]:
        return encode_response(response, reply)

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        return ResponsesStreamEncoder(reply)

    def encode_error(self, error: ChatError) -> tuple[int, dict[str, Any]]:
        return errors.encode_error(error)

    def encode_models(self, models: Sequence[ModelInfo], action: str = "") -> dict[str, Any]:
        return {"object": "list", "data": [self.encode_model(model) for model in models]}

    def encode_model(self, model: ModelInfo, action: str = "") -> dict[str, Any]:
        return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}

    def encode_token_count(self, tokens: int) -> dict[str, Any]:
        return {"object": "response.input_tokens", "input_tokens": tokens}

    def encode_request(self, request: ChatRequest, target: TargetModel) -> Encoded:
        if not compact.is_compact(request):
            return encode_request(request, target)
        encoded = encode_request(compact.without_wish(request), target)
        body = {key: value for key, value in encoded.body.items() if key in compact.BODY}
        return replace(encoded, path=compact.PATH, body=body)

    def decode_response(self, body: Mapping[str, Any]) -> ChatResponse:
        return decode_response(body)

    def decode_usage(self, body: Mapping[str, Any]) -> Usage | None:
        return decode_usage(body.get("usage"))

    def stream_decoder(self) -> StreamDecoder:
        return ResponsesStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
        return errors.decode_error(status, headers, body)

    def authorization(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}

    def passthrough_path(self, model: str, arrival: Arrival) -> str:
        return compact.PATH if arrival.action == compact.ACTION else PATH


CODEC = OpenAIResponses()
