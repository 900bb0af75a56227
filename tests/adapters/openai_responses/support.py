"""What the tests of this protocol share."""

from __future__ import annotations

from typing import Any

import orjson
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseInputItemParam, ResponseStreamEvent
from pydantic import TypeAdapter

from adapters.canonical import ChatRequest, StreamEvent
from adapters.codec import Arrival, Reply, TargetModel
from adapters.framing import SseDecoder
from adapters.openai_responses import CODEC

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
INPUT: TypeAdapter[Any] = TypeAdapter(list[ResponseInputItemParam])


def decoded(body: dict[str, Any]) -> ChatRequest:
    return CODEC.decode_request({"model": "m", **body}, Arrival())


def reply(request: ChatRequest | None = None) -> Reply:
    return Reply(request or ChatRequest("m", ()), "0123abcd", 1_700_000_000)


def sent(request: ChatRequest, model: str = "gpt-5.2") -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body for an upstream, and the codes of the losses. Its items fit the SDK's types."""
    encoded = CODEC.encode_request(request, TargetModel(model))
    items = encoded.body["input"]
    if isinstance(items, list):
        INPUT.validate_python(items)
    return encoded.body, encoded.losses.codes


def stream(events: list[StreamEvent], request: ChatRequest | None = None) -> list[dict[str, Any]]:
    """The events as JSON, each one valid for the SDK, with its numbers in a row."""
    encoder = CODEC.stream_encoder(reply(request))
    raw = b"".join(encoder.encode([event]) for event in events)
    out = []
    for number, event in enumerate(SseDecoder().feed(raw)):
        value = orjson.loads(event.data)
        assert (event.event, value["sequence_number"]) == (value["type"], number)
        EVENT.validate_python(value)
        out.append(value)
    return out


def accumulated(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The output as the SDK's own accumulator makes it of a stream, without what the SDK parses itself."""
    state: Any = ResponseStreamState(input_tools=[], text_format=omit)
    for event in events:
        state.handle_event(EVENT.validate_python(event))
    final = state._completed_response
    assert final is not None
    return [_unparsed(item) for item in final.to_dict(mode="json")["output"]]


def _unparsed(value: Any) -> Any:
    if isinstance(value, list):
        return [_unparsed(one) for one in value]
    if isinstance(value, dict):
        return {
            key: _unparsed(one) for key, one in value.items() if key not in ("parsed", "parsed_arguments")
        }
    return value


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events
    )
