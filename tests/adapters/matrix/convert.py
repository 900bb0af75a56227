"""One feature through one pair: what the upstream gets, and what the client gets for its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from adapters.assemble import Assembler
from adapters.canonical import ChatError, ChatRequest, ChatResponse, StreamEvent
from adapters.codec import Encoded
from adapters.errors import AdapterError, Unsupported
from adapters.grammar import check
from adapters.jsontext import dump, load
from adapters.losses import Loss
from adapters.registry import codec
from tests.adapters.matrix.cases import arrival, as_stream, case, frames, reply


@dataclass(frozen=True, slots=True)
class Outcome:
    """Parts are None where the client or the target has no such case."""

    client: str
    target: str
    feature: str
    asked: ChatRequest | None = None
    sent: Encoded | None = None
    refused: Unsupported | None = None
    said: ChatResponse | None = None
    """What the upstream's answer means."""
    answer: dict[str, Any] | None = None
    answer_losses: tuple[Loss, ...] = ()
    events: tuple[StreamEvent, ...] = ()
    stream: bytes = b""
    stream_losses: tuple[Loss, ...] = ()
    error: ChatError | None = None
    error_answer: tuple[int, dict[str, Any]] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def losses(self) -> list[Loss]:
        return [*(self.sent.losses if self.sent else ()), *self.answer_losses, *self.stream_losses]


def plain(value: Any) -> Any:
    """As it is read from the wire."""
    return load(dump(value))


def ask(client: str, target: str, feature: str, *, stream: bool = False) -> tuple[ChatRequest, Encoded]:
    """The client's request, read, and the target's."""
    asked = case(client, feature)
    assert asked.request is not None
    body = as_stream(client, asked.request) if stream else asked.request
    request = codec(client).decode_request(body, arrival(client, stream=stream, model=asked.model))
    return request, codec(target).encode_request(request, case(target, feature).target)


def decode_stream(protocol: str, data: bytes, size: int = 0) -> list[StreamEvent]:
    """The events, which have to obey the grammar. `size` cuts the bytes into pieces."""
    decoder, events = codec(protocol).stream_decoder(), []
    for start in range(0, len(data), size or len(data) or 1):
        events += decoder.feed(data[start : start + (size or len(data))])
    return check([*events, *decoder.close()])


def assembled(events: list[StreamEvent] | tuple[StreamEvent, ...]) -> Assembler:
    assembler = Assembler()
    assembler.feed(events)
    return assembler


@cache
def outcome(client: str, target: str, feature: str) -> Outcome:
    """Everything of one feature through one pair."""
    out: dict[str, Any] = {}
    if case(client, feature).request is not None:
        try:
            out["asked"], out["sent"] = ask(client, target, feature)
        except Unsupported as refused:
            out["refused"] = refused
    given, mine, theirs = case(target, feature), codec(client), codec(target)
    if given.answer is not None:
        out["said"] = theirs.decode_response(given.answer)
        answer, losses = mine.encode_response(out["said"], reply(client, feature))
        out["answer"], out["answer_losses"] = plain(answer), tuple(losses)
    if given.stream:
        out["events"] = tuple(decode_stream(target, frames(target, given.stream)))
        encoder = mine.stream_encoder(reply(client, feature, stream=True))
        out["stream"] = b"".join(encoder.encode([event]) for event in out["events"])
        out["stream_losses"] = tuple(encoder.losses.taken())
    if given.error is not None:
        status, headers = given.error["status"], given.error["headers"]
        out["error"] = theirs.decode_error(status, headers, dump(given.error["body"]).encode())
        status, body = mine.encode_error(out["error"])
        out["error_answer"] = status, plain(body)
    return Outcome(client, target, feature, **out)


__all__ = ["AdapterError", "Outcome", "ask", "assembled", "decode_stream", "outcome", "plain"]
