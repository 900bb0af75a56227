"""OpenAI's `/v1/embeddings`. https://developers.openai.com/api/reference/resources/embeddings/methods/create"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from adapters import embeddings, reading
from adapters.canonical import NO_EXTENSIONS, NOTHING
from adapters.codec import Encoded, TargetModel
from adapters.embeddings import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Vector
from adapters.errors import InvalidRequest, InvalidResponse

PATH = "/embeddings"

_PROTOCOL = "openai"
_KNOWN = frozenset(("model", "input", "dimensions", "encoding_format"))


def decode_request(body: Mapping[str, Any]) -> EmbeddingRequest:
    rest = reading.rest(body, _KNOWN)
    return EmbeddingRequest(
        model=reading.string(body, "model") or "",
        inputs=_inputs(body.get("input")),
        dimensions=embeddings.dimensions(body.get("dimensions"), "dimensions"),
        encoding=_encoding(body.get("encoding_format")),
        extensions={_PROTOCOL: rest} if rest else NO_EXTENSIONS,
    )


def _encoding(value: Any) -> Literal["float", "base64"]:
    match value:
        case None | "float":
            return "float"
        case "base64":
            return "base64"
        case _:
            raise InvalidRequest("must be `float` or `base64`", where="encoding_format")


def _inputs(value: Any) -> tuple[EmbeddingInput, ...]:
    """A text, the ids of one text's tokens, or a list of either."""
    if isinstance(value, list) and not _are_ids(value):
        return tuple(_input(each, f"input[{index}]") for index, each in enumerate(value))
    return (_input(value, "input"),)


def _input(value: Any, where: str) -> EmbeddingInput:
    if isinstance(value, str):
        return EmbeddingInput(value, where)
    if _are_ids(value):
        return EmbeddingInput(tuple(value), where)
    raise InvalidRequest("must be a text or a list of token ids", where=where)


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and set(map(type, value)) == {int}


def encode_request(request: EmbeddingRequest, target: TargetModel) -> Encoded:
    contents = [each.content for each in request.inputs]
    body: dict[str, Any] = {"model": target.model, "input": contents[0] if len(contents) == 1 else contents}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    for each in (request.extensions, *(one.extensions for one in request.inputs)):
        body.update(each.get(_PROTOCOL, NOTHING))
    return Encoded(PATH, body, NOTHING, embeddings.lost(request, _PROTOCOL))


def decode_response(body: Mapping[str, Any]) -> EmbeddingResponse:
    data = body.get("data")
    if not isinstance(data, list):
        raise InvalidResponse("must be a list", where="data")
    placed: dict[int, Vector] = {}
    for position, item in enumerate(data):
        where = f"data[{position}]"
        if not isinstance(item, Mapping):
            raise InvalidResponse("must be an object", where=where)
        index = item.get("index")
        place = index if isinstance(index, int) else position
        if place in placed or not 0 <= place < len(data):
            raise InvalidResponse(f"index {place} is there twice or too large", where=where)
        placed[place] = embeddings.read_vector(item.get("embedding"), f"{where}.embedding")
    model = body.get("model")
    return EmbeddingResponse(
        vectors=tuple(placed[place] for place in range(len(data))),
        model=model if isinstance(model, str) else "",
        input_tokens=tokens(body),
    )


def tokens(body: Mapping[str, Any]) -> int | None:
    return embeddings.read_count(body, "usage", "prompt_tokens")


def encode_response(response: EmbeddingResponse, request: EmbeddingRequest) -> dict[str, Any]:
    count = response.input_tokens or 0
    as_text = request.encoding == "base64"
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": embeddings.pack(each) if as_text else each}
            for index, each in enumerate(response.vectors)
        ],
        "model": response.model or request.model,
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }
