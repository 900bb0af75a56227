"""The beginning of an upstream's answer: is it a stream, and does it begin well?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson

from adapters.canonical import ChatError, Failure, KeepAlive, StreamEvent, StreamStart, UsageUpdate
from adapters.codec import Codec, StreamDecoder
from adapters.errors import InvalidResponse
from adapters.jsontext import load_exactly
from adapters.registry import BUILT_IN
from routing.upstream import Silence, UpstreamAnswer

_STREAM_TYPES = (
    "text/event-stream",
    "application/x-ndjson",
    "application/jsonl",
    "application/x-json-stream",
)
_SSE_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")
_LONGEST_OPENING = 2**16
_SLICE = 512
_BEFORE_CONTENT = (StreamStart, UsageUpdate, KeepAlive)
_CONTENT_KEYS = frozenset(
    (
        "choices",
        "output",
        "content",
        "candidates",
        "promptFeedback",
        "message",
        "response",
        "data",
        "embedding",
    )
)
"""Of whole answers in all protocols; `error` beside one of them is part of an answer."""
_ANSWER_KEYS = _CONTENT_KEYS | frozenset(
    (
        "id",
        "object",
        "type",
        "model",
        "usage",
        "usageMetadata",
        "modelVersion",
        "responseId",
        "done",
        "created",
        "created_at",
        "embeddings",
        "error",
    )
)
"""An object with none of them is no answer of any built-in protocol: `{"status": "ok"}`."""


def is_stream(content_type: str, codec: Codec) -> bool:
    """By the types of streams in general, or by what the upstream's own protocol has."""
    said = content_type.lower()
    return said.startswith(_STREAM_TYPES) or said.startswith(codec.stream_content_type.partition(";")[0])


def looks_like_stream(data: bytes) -> bool:
    """For an answer that should be a stream and is declared otherwise: SSE, or Gemini's array."""
    beginning = data[:64].lstrip()
    return beginning.startswith((*_SSE_BEGINNINGS, b"["))


@dataclass(slots=True)
class Opening:
    """A stream up to its first event."""

    data: bytes
    events: list[StreamEvent] = field(default_factory=list)
    ended: bool = False

    def failure(self) -> ChatError | None:
        """The error with which the stream begins, before any content."""
        for event in self.events:
            if isinstance(event, Failure):
                return event.error
            if not isinstance(event, _BEFORE_CONTENT):
                return None
        return None


async def opening(
    upstream: UpstreamAnswer,
    decoder: StreamDecoder,
    patience: float,
    first: bytes = b"",
    *,
    look_only: bool = False,
) -> Opening:
    """Read until the first event that tells something, so that an error can still get a status.

    After `patience` seconds of silence the stream begins as it is. `look_only`: the decoder is not needed
    any more, so no more is decoded than it takes. Raises UpstreamFault.
    """
    feed = partial(_look, decoder) if look_only else decoder.feed
    begun = Opening(first, feed(first) if first else [])
    while not any(not isinstance(event, KeepAlive) for event in begun.events):
        if len(begun.data) > _LONGEST_OPENING:
            break
        try:
            data = await upstream.read(patience)
        except Silence:
            break
        begun.data += data
        begun.events += feed(data) if data else decoder.close()
        if not data:
            begun.ended = True
            break
    return begun


def _look(decoder: StreamDecoder, data: bytes) -> list[StreamEvent]:
    """The events up to the first one with content. A read may have brought the whole answer."""
    events: list[StreamEvent] = []
    for start in range(0, len(data), _SLICE):
        events += decoder.feed(data[start : start + _SLICE])
        if any(not isinstance(event, _BEFORE_CONTENT) for event in events):
            break
    return events


def read_document(body: bytes) -> dict[str, Any]:
    """An upstream's JSON answer. Raises InvalidResponse."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        document = _unusual(body, error)
    if not isinstance(document, dict):
        raise InvalidResponse("it is not a JSON object")
    return document


def _unusual(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """What orjson refuses and json does not: numbers beyond a double, and lone surrogates."""
    try:
        return load_exactly(body)
    except ValueError:
        raise InvalidResponse(f"it is not JSON ({error.msg})") from None


def error_within(codec: Codec, document: dict[str, Any], body: bytes) -> ChatError | None:
    """The error that some servers answer with status 200 (OpenRouter for one).

    Raises InvalidResponse for an object of another API.
    """
    if not _is_error(document):
        if _ANSWER_KEYS.isdisjoint(document) and codec.name in BUILT_IN:
            raise InvalidResponse(f"it is no answer of {codec.title}")
        return None
    error = codec.decode_error(200, {}, body)
    return error if 400 <= error.status < 600 else replace(error, status=502)


def _is_error(document: dict[str, Any]) -> bool:
    if document.get("object") == "error" or document.get("type") == "error":  # vLLM; Anthropic
        return True
    if not _CONTENT_KEYS.isdisjoint(document):
        return False
    return bool(document.get("error") or document.get("detail"))
