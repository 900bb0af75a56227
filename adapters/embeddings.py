"""Embeddings: the small model that every protocol's request and answer is translated through.

A protocol that has embeddings provides `adapters.codec.EmbeddingsCodec` beside `Codec`.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from adapters import tokens
from adapters.canonical import NO_EXTENSIONS, Extensions
from adapters.errors import InvalidRequest, InvalidResponse, Unsupported
from adapters.losses import Losses

Vector = Sequence[float]

_FLOAT_BYTES = 4
_NUMBERS = {int, float}


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """One input: a text, or the ids of its tokens. `where` is its JSON path in the client's body."""

    content: str | tuple[int, ...]
    where: str
    extensions: Extensions = NO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """What to embed, in order. `encoding` is the form of the numbers that the client wants to read."""

    model: str
    inputs: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    encoding: Literal["float", "base64"] = "float"
    extensions: Extensions = NO_EXTENSIONS

    def __post_init__(self) -> None:
        if not self.inputs:
            raise InvalidRequest("there is nothing to embed: give at least one input")


@dataclass(frozen=True, slots=True)
class EmbeddingResponse:
    """A vector for each input, in the inputs' order. `model` is "" where the answer names none."""

    vectors: tuple[Vector, ...]
    model: str = ""
    input_tokens: int | None = None
    """None: the upstream does not say."""


def estimated_tokens(request: EmbeddingRequest) -> int:
    """For an answer whose protocol has a count, of an upstream that tells none."""
    return sum(
        tokens.of_text(each.content) if isinstance(each.content, str) else len(each.content)
        for each in request.inputs
    )


def texts(request: EmbeddingRequest, title: str) -> list[str]:
    """The inputs for an API that takes texts alone. Raises Unsupported for token ids."""
    found: list[str] = []
    for each in request.inputs:
        if not isinstance(each.content, str):
            raise Unsupported(f"{title} embeds texts, not token ids: send the text", where=each.where)
        found.append(each.content)
    return found


def lost(request: EmbeddingRequest, protocol: str) -> Losses:
    """What of the request's and its inputs' extensions belongs to another protocol."""
    losses = Losses()
    losses.foreign(request.extensions, protocol, "")
    for each in request.inputs:
        losses.foreign(each.extensions, protocol, each.where)
    return losses


def check_count(request: EmbeddingRequest, response: EmbeddingResponse) -> None:
    """Raises InvalidResponse unless there is one vector for each input."""
    wanted, got = len(request.inputs), len(response.vectors)
    if wanted != got:
        raise InvalidResponse(f"it has {got} embeddings for {wanted} inputs")


def dimensions(value: Any, where: str) -> int | None:
    """The wanted length of the vectors. Raises InvalidRequest."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequest("must be a whole number of at least 1", where=where)
    return value


def read_vector(value: Any, where: str) -> Vector:
    """A list of numbers, or base64 of little-endian 32-bit floats. Raises InvalidResponse."""
    if isinstance(value, str):
        return _unpacked(value, where)
    if not isinstance(value, list) or not value or not set(map(type, value)) <= _NUMBERS:
        raise InvalidResponse("must be a list of numbers", where=where)
    return value


def _unpacked(text: str, where: str) -> Vector:
    try:
        data = base64.b64decode(text, validate=True)
        vector = struct.unpack(f"<{len(data) // _FLOAT_BYTES}f", data)
    except (binascii.Error, ValueError, struct.error):
        raise InvalidResponse("is not base64 of 32-bit floats", where=where) from None
    if not vector or not all(map(math.isfinite, vector)):
        raise InvalidResponse("must have finite numbers", where=where)
    return vector


def pack(vector: Vector) -> str:
    """As OpenAI's `encoding_format: base64`. Raises InvalidResponse for what no 32-bit float can be."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (OverflowError, struct.error):
        raise InvalidResponse("an embedding has a number that is too large for 32 bits") from None


def read_count(document: Mapping[str, Any], section: str, key: str) -> int | None:
    """A token count of an answer, leniently; with `section` "" at the top."""
    source = document.get(section) if section else document
    value = source.get(key) if isinstance(source, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
