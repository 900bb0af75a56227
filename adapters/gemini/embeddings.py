"""Gemini's `embedContent` (one content) and `batchEmbedContents` (many).

https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters import embeddings
from adapters.canonical import NO_EXTENSIONS, NOTHING
from adapters.codec import Encoded, TargetModel
from adapters.embeddings import EmbeddingInput, EmbeddingRequest, EmbeddingResponse
from adapters.errors import InvalidRequest, InvalidResponse, Unsupported
from adapters.gemini.reading import Fields, fields, items
from adapters.gemini.request_encode import passthrough_path
from adapters.reading import as_string

BATCH = "batchEmbedContents"
ONE = "embedContent"

_PROTOCOL = "gemini"


def decode_request(body: Mapping[str, Any], action: str, model: str | None) -> EmbeddingRequest:
    top = fields(body, "")
    if action == BATCH:
        listed = items(top.pop("requests", None), "requests")
        read = [
            _one(fields(each, f"requests[{step}]"), f"requests[{step}]") for step, each in enumerate(listed)
        ]
    else:
        read, top = [_one(top, "")], {}
    wanted = {each for _, each in read}
    if len(wanted) > 1:
        raise Unsupported(
            "one request for another protocol has one length for all embeddings: make these the same",
            where="requests[].outputDimensionality",
        )
    return EmbeddingRequest(
        model=model or "",
        inputs=tuple(each for each, _ in read),
        dimensions=wanted.pop() if wanted else None,
        extensions={_PROTOCOL: top} if top else NO_EXTENSIONS,
    )


def _one(request: Fields, where: str) -> tuple[EmbeddingInput, int | None]:
    """The content, and the length of embedding that is wanted for it."""
    place = f"{where}." if where else ""
    request.pop("model", None)
    content = f"{place}content"
    if "content" not in request:
        raise InvalidRequest("is missing", where=content)
    members = fields(request.pop("content"), content)
    parts = items(members.get("parts"), f"{content}.parts")
    told = [_text_of(part, f"{content}.parts[{step}]") for step, part in enumerate(parts)]
    if None in told:
        request["!parts"] = parts  # media, which other protocols cannot embed
    elif len(told) != 1:
        request["parts"] = parts
    length = _length(request, place)
    said = "\n".join(each for each in told if each is not None)
    return EmbeddingInput(said, content, {_PROTOCOL: request} if request else NO_EXTENSIONS), length


def _length(request: Fields, place: str) -> int | None:
    """Taken out of the request, or of the newer `embedContentConfig` in it."""
    key, inner = "outputDimensionality", f"{place}embedContentConfig"
    length = embeddings.dimensions(request.pop(key, None), f"{place}{key}")
    config = request.pop("embedContentConfig", None)
    if config is not None:
        config = fields(config, inner)
        length = embeddings.dimensions(config.pop(key, None), f"{inner}.{key}") or length
        if config:
            request["embedContentConfig"] = config
    return length


def _text_of(part: Any, where: str) -> str | None:
    """None: it is something else than a text."""
    members = fields(part, where)
    return as_string(members["text"], f"{where}.text") if "text" in members else None


def encode_request(request: EmbeddingRequest, target: TargetModel) -> Encoded:
    """For `batchEmbedContents` unless there is one input alone."""
    name = f"models/{target.model.removeprefix('models/')}"
    told = embeddings.texts(request, "Gemini")
    each = [
        _request(one, name, said, request.dimensions) for one, said in zip(request.inputs, told, strict=True)
    ]
    action = ONE if len(each) == 1 else BATCH
    body: dict[str, Any] = {"requests": each} if action == BATCH else each[0]
    body.update(request.extensions.get(_PROTOCOL, NOTHING))
    path = passthrough_path(target.model, action)
    return Encoded(path, body, NOTHING, embeddings.lost(request, _PROTOCOL))


def _request(one: EmbeddingInput, model: str, said: str, length: int | None) -> dict[str, Any]:
    own = dict(one.extensions.get(_PROTOCOL, NOTHING))
    parts = own.pop("!parts", None) or own.pop("parts", None) or [{"text": said}]
    request = {"model": model, "content": {"parts": parts}, **own}
    if length is not None:
        request["outputDimensionality"] = length
    return request


def decode_response(body: Mapping[str, Any]) -> EmbeddingResponse:
    """Of either action."""
    one = "embedding" in body
    found = [body["embedding"]] if one else body.get("embeddings")
    path = "embedding" if one else "embeddings[{}]"
    if not isinstance(found, list):
        raise InvalidResponse("must be a list", where="embeddings")
    vectors = []
    for index, each in enumerate(found):
        where = path.format(index)
        if not isinstance(each, Mapping):
            raise InvalidResponse("must be an object", where=where)
        vectors.append(embeddings.read_vector(each.get("values"), f"{where}.values"))
    return EmbeddingResponse(tuple(vectors), input_tokens=tokens(body))


def tokens(body: Mapping[str, Any]) -> int | None:
    return embeddings.read_count(body, "usageMetadata", "promptTokenCount")


def encode_response(response: EmbeddingResponse, action: str) -> dict[str, Any]:
    usage = {} if response.input_tokens is None else {"promptTokenCount": response.input_tokens}
    more = {"usageMetadata": usage} if usage else {}
    if action == BATCH:
        return {"embeddings": [{"values": each} for each in response.vectors], **more}
    return {"embedding": {"values": response.vectors[0]}, **more}


def named(body: Mapping[str, Any], model: str) -> dict[str, Any] | None:
    """`body` with the model's name wherever it stands: the server refuses another than the path has.

    None: it stands nowhere, or says the same.
    """
    name = f"models/{model.removeprefix('models/')}"
    requests = body.get("requests")
    if isinstance(requests, list) and any(_says_other(each, name) for each in requests):
        renamed = [{**each, "model": name} if _says_other(each, name) else each for each in requests]
        return {**body, "requests": renamed}
    return {**body, "model": name} if _says_other(body, name) else None


def _says_other(value: Any, name: str) -> bool:
    return isinstance(value, Mapping) and value.get("model", name) != name
