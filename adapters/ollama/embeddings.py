"""Ollama's `/api/embed`, and the older `/api/embeddings` that takes one text.

https://docs.ollama.com/api/embed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters import embeddings, reading
from adapters.canonical import NO_EXTENSIONS, NOTHING
from adapters.codec import Encoded, TargetModel
from adapters.embeddings import EmbeddingInput, EmbeddingRequest, EmbeddingResponse
from adapters.errors import InvalidRequest, InvalidResponse

_PROTOCOL = "ollama"
_ONE = "embeddings"
"""The action of the older path."""
_KNOWN = {
    "embed": frozenset(("model", "input", "dimensions")),
    _ONE: frozenset(("model", "prompt")),
}


def decode_request(body: Mapping[str, Any], action: str) -> EmbeddingRequest:
    action = action if action in _KNOWN else "embed"
    rest = reading.rest(body, _KNOWN[action])
    if action == _ONE:
        inputs, wanted = _inputs(body.get("prompt"), "prompt", many=False), None
    else:
        inputs = _inputs(body.get("input"), "input")
        wanted = embeddings.dimensions(body.get("dimensions"), "dimensions")
    return EmbeddingRequest(
        model=reading.string(body, "model") or "",
        inputs=inputs,
        dimensions=wanted,
        extensions={_PROTOCOL: rest} if rest else NO_EXTENSIONS,
    )


def _inputs(value: Any, where: str, *, many: bool = True) -> tuple[EmbeddingInput, ...]:
    if many and isinstance(value, list):
        return tuple(_input(each, f"{where}[{index}]") for index, each in enumerate(value))
    return (_input(value, where),)


def _input(value: Any, where: str) -> EmbeddingInput:
    if not isinstance(value, str):
        raise InvalidRequest("must be a text", where=where)
    return EmbeddingInput(value, where)


def encode_request(request: EmbeddingRequest, target: TargetModel) -> Encoded:
    """Always for `/api/embed`, which takes one text as well as many."""
    body: dict[str, Any] = {"model": target.model, "input": embeddings.texts(request, "Ollama")}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    body.update(request.extensions.get(_PROTOCOL, NOTHING))
    return Encoded("/api/embed", body, NOTHING, embeddings.lost(request, _PROTOCOL))


def decode_response(body: Mapping[str, Any]) -> EmbeddingResponse:
    """Of either path."""
    one = "embedding" in body
    vectors = [body["embedding"]] if one else body.get("embeddings")
    path = "embedding" if one else "embeddings[{}]"
    if not isinstance(vectors, list):
        raise InvalidResponse("must be a list", where="embeddings")
    model = body.get("model")
    return EmbeddingResponse(
        vectors=tuple(embeddings.read_vector(each, path.format(index)) for index, each in enumerate(vectors)),
        model=model if isinstance(model, str) else "",
        input_tokens=tokens(body),
    )


def tokens(body: Mapping[str, Any]) -> int | None:
    return embeddings.read_count(body, "", "prompt_eval_count")


def encode_response(response: EmbeddingResponse, request: EmbeddingRequest, action: str) -> dict[str, Any]:
    if action == _ONE:
        return {"embedding": response.vectors[0]}
    return {
        "model": response.model or request.model,
        "embeddings": list(response.vectors),
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": response.input_tokens or 0,
    }
