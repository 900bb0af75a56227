"""From an upstream's answer to the client's: passed through, or converted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from typing import NamedTuple

from adapters import tokens
from adapters.assemble import Assembler, broken_stream
from adapters.canonical import (
    ChatError,
    ChatResponse,
    Failure,
    KeepAlive,
    PartDelta,
    StreamEvent,
    StreamStart,
    Usage,
    UsageUpdate,
)
from adapters.codec import StreamDecoder, StreamEncoder
from adapters.errors import InvalidRequest
from adapters.jsontext import dump_bytes
from adapters.peek import exact
from adapters.replay import replay
from adapters.stream_losses import StreamLosses
from routing import estimate
from routing.answers import STREAM_HEADERS, Answer, StreamBroken, json_answer
from routing.exchange import CLIENT_GONE_KIND, LONGEST_ANSWER, Exchange
from routing.plan import Way, header_value
from routing.reading import Opening, error_within, is_stream, looks_like_stream, opening, read_document
from routing.upstream import Silence, UpstreamAnswer, UpstreamFault
from routing.usage_watch import UsageWatch

log = logging.getLogger("hub.routing")

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_ALIVE = (KeepAlive(),)


async def receive_chat(exchange: Exchange, way: Way, upstream: UpstreamAnswer) -> Answer:
    """A chat answer. Raises Refused, UpstreamFault, InvalidResponse while nothing has gone out."""
    streams = is_stream(upstream.headers.get("content-type", ""), way.codec)
    through = exchange.passes_through(way)
    wants = exchange.wants_stream() if through else exchange.request().stream
    first = b""
    if wants and not streams:
        first = await upstream.read()
        streams = looks_like_stream(first)
    if not streams:
        return await _whole(exchange, way, upstream, first, through=through, as_stream=bool(wants))
    if wants is None:
        wants = _default(exchange)
    if not wants:
        return await _assembled(exchange, way, upstream)
    return await _streamed(exchange, way, upstream, first, through=through)


def _default(exchange: Exchange) -> bool:
    """What a request means that says nothing of streaming; if it cannot be read, it means what comes."""
    try:
        return exchange.request().stream
    except InvalidRequest:
        return True


async def receive_plain(exchange: Exchange, way: Way, upstream: UpstreamAnswer) -> Answer:
    """An answer of another operation (embeddings, a token count, …): passed through."""
    body = await upstream.read_all(LONGEST_ANSWER)
    read_document(body)
    exchange.began()
    exchange.bytes_out = len(body)
    exchange.record(upstream.status)
    return json_answer(upstream.status, exchange.head(upstream.headers), body)


# ---------------------------------------------------------------- whole answers


async def _whole(
    exchange: Exchange, way: Way, upstream: UpstreamAnswer, first: bytes, *, through: bool, as_stream: bool
) -> Answer:
    body = first + await upstream.read_all(LONGEST_ANSWER)
    document = read_document(body)
    if (error := error_within(way.codec, document, body)) is not None:
        raise exchange.failed(error)
    exchange.began(body)
    if through and not as_stream:
        if exchange.services.sink is not None:
            exchange.usage = _usage_of(exchange, way, document)
        exchange.bytes_out = len(body)
        exchange.record(upstream.status)
        return json_answer(upstream.status, exchange.head(upstream.headers), body)
    response = exchange.response(way, exact(document, body))
    exchange.usage = usage_in(exchange, response)
    if as_stream:
        return _replayed(exchange, upstream, response)
    return encoded(exchange, upstream, response)


def usage_in(exchange: Exchange, response: ChatResponse) -> Usage:
    return response.usage or estimate.usage(exchange, estimate.of_response(response))


def _usage_of(exchange: Exchange, way: Way, document: dict[str, object]) -> Usage | None:
    try:
        # A codec from elsewhere may read usage only with the rest of the answer.
        reads_usage = getattr(way.codec, "decode_usage", None)
        usage: Usage | None = reads_usage(document) if reads_usage is not None else None
        return usage or usage_in(exchange, way.codec.decode_response(document))
    except Exception:  # what passes through need not be understood
        log.debug("no usage read from an answer of %s", way.label.decode(), exc_info=True)
        return None


def encoded(exchange: Exchange, upstream: UpstreamAnswer, response: ChatResponse) -> Answer:
    document, losses = exchange.call.codec.encode_response(response, exchange.reply())
    exchange.note(losses)
    body = dump_bytes(document)
    exchange.bytes_out = len(body)
    exchange.record(200)
    return json_answer(200, exchange.head(upstream.headers), body)


def _replayed(exchange: Exchange, upstream: UpstreamAnswer, response: ChatResponse) -> Answer:
    encoder = exchange.call.codec.stream_encoder(exchange.reply())
    body = encoder.encode(replay(response))
    note_losses(exchange, encoder)
    exchange.bytes_out = len(body)
    exchange.record(200, stream=True)
    content_type = exchange.call.stream_type.encode()
    head = [(b"content-type", content_type), *STREAM_HEADERS, *exchange.head(upstream.headers)]
    return Answer(200, [*head, (b"content-length", b"%d" % len(body))], body)


async def _assembled(exchange: Exchange, way: Way, upstream: UpstreamAnswer) -> Answer:
    """A stream for a client that wants JSON."""
    decoder, assembler = exchange.stream_decoder(way), Assembler()
    while data := await upstream.read():
        assembler.feed(decoder.feed(data))
        exchange.began(data)
    assembler.feed(decoder.close())
    response = assembler.response
    if response is None:
        raise exchange.failed(assembler.error or broken_stream())
    exchange.usage = usage_in(exchange, response)
    return encoded(exchange, upstream, response)


# ---------------------------------------------------------------- streams


async def _streamed(
    exchange: Exchange, way: Way, upstream: UpstreamAnswer, first: bytes, *, through: bool
) -> Answer:
    decoder = way.codec.stream_decoder() if through else exchange.stream_decoder(way)
    begun = await opening(upstream, decoder, exchange.services.keep_alive, first, look_only=through)
    if (error := begun.failure()) is not None:
        raise exchange.failed(error)
    exchange.began(begun.data, stream=True)
    client = exchange.call.codec
    if through:
        content_type = upstream.headers.get("content-type") or exchange.call.stream_type
        stream = _relay(exchange, way, upstream, begun)
    else:
        content_type = exchange.call.stream_type
        encoder = client.stream_encoder(exchange.reply())
        events, broken = looked_through(exchange, begun.events or _ALIVE)
        data = encoder.encode(events)
        note_losses(exchange, encoder)  # those that are known already stand in the header
        opened = _Opened(data, broken, begun.ended)
        stream = _convert(exchange, upstream, opened, decoder, encoder)
    head = [(b"content-type", header_value(content_type)), *STREAM_HEADERS, *exchange.head(upstream.headers)]
    return Answer(200, head, stream=stream)


async def _relay(
    exchange: Exchange, way: Way, upstream: UpstreamAnswer, begun: Opening
) -> AsyncGenerator[bytes, None]:
    """The upstream's bytes as they come. A cut stream ends in StreamBroken, as it would directly."""
    watch = UsageWatch(begun.data) if exchange.services.sink is not None else None
    keep_alive, redactor = exchange.services.keep_alive, exchange.redactor
    error: str | None = None
    data, silent, last = begun.data, not begun.data, _EVENT_ENDS[0]
    try:
        while data or silent:
            if silent:
                if last.endswith(_EVENT_ENDS) and (sign := _sign_of_life(exchange)):
                    yield sign
            else:
                yield redactor.data(data) if b'"error"' in data else data
                last = data
            if begun.ended:
                break
            try:
                data, silent = await upstream.read(keep_alive), False
                if watch is not None:
                    watch.feed(data)
            except Silence:
                silent = True
    except UpstreamFault as fault:
        broken = exchange.fault(way, fault).error
        error, exchange.error_kind = broken.message, broken.kind
        raise StreamBroken(error) from None
    except (GeneratorExit, asyncio.CancelledError):
        error, exchange.error_kind = "the client went away", CLIENT_GONE_KIND
        raise
    finally:
        upstream.close()
        if watch is not None:
            exchange.usage = _watched(exchange, watch, way)
            exchange.bytes_out = watch.size
        exchange.record(200, stream=True, error=error)


def _sign_of_life(exchange: Exchange) -> bytes:
    """What this protocol's clients take for nothing; b"" where they take nothing for it."""
    try:
        return exchange.call.codec.stream_encoder(exchange.reply()).encode(_ALIVE)
    except InvalidRequest:
        return b""


def _watched(exchange: Exchange, watch: UsageWatch, way: Way) -> Usage | None:
    try:
        usage = watch.usage(way.codec)
    except Exception:  # what passes through need not be understood
        log.debug("no usage read from a stream of %s", way.label.decode(), exc_info=True)
        return None
    if usage is not None:
        return usage
    output = estimate.of_stream(watch.end(), watch.size, way.codec)
    return estimate.usage(exchange, output) if output is not None else None


class _Opened(NamedTuple):
    """The beginning of a converted stream: what goes out first."""

    data: bytes
    error: str | None
    ended: bool


def note_losses(exchange: Exchange, encoder: StreamEncoder) -> None:
    """What the encoder found since the last time; a codec from elsewhere may not collect any."""
    losses = getattr(encoder, "losses", None)
    if isinstance(losses, StreamLosses):
        exchange.note(losses.taken())


async def _convert(
    exchange: Exchange,
    upstream: UpstreamAnswer,
    opened: _Opened,
    decoder: StreamDecoder,
    encoder: StreamEncoder,
) -> AsyncGenerator[bytes, None]:
    """Decoded and encoded again; one piece for all that a read brought. A failure is the last event."""
    data, error, ended = opened
    try:
        while True:
            if data:
                exchange.bytes_out += len(data)
                yield data if error is None else exchange.redactor.data(data)
            if ended or error is not None:
                return
            events, ended = await _next_events(exchange, upstream, decoder)
            events, error = looked_through(exchange, events)
            data = encoder.encode(events)
    except (GeneratorExit, asyncio.CancelledError):
        error, exchange.error_kind = "the client went away", CLIENT_GONE_KIND
        raise
    finally:
        upstream.close()
        note_losses(exchange, encoder)
        if exchange.usage is None and exchange.services.sink is not None:
            exchange.usage = estimate.usage(exchange, -(-exchange.text_out // tokens.BYTES_PER_TOKEN))
        exchange.record(200, stream=True, error=error)


async def _next_events(
    exchange: Exchange, upstream: UpstreamAnswer, decoder: StreamDecoder
) -> tuple[Iterable[StreamEvent], bool]:
    try:
        data = await upstream.read(exchange.services.keep_alive)
        return (decoder.feed(data), False) if data else (decoder.close(), True)
    except Silence:
        return _ALIVE, False
    except UpstreamFault as fault:
        way = exchange.way
        assert way is not None
        return (Failure(exchange.fault(way, fault).error),), True
    except Exception:
        log.exception("request %s: a stream could not be decoded", exchange.call.id)
        return (Failure(ChatError("internal", "the hub failed to read the upstream's stream", 500)),), True


def looked_through(
    exchange: Exchange, events: Iterable[StreamEvent]
) -> tuple[Iterable[StreamEvent], str | None]:
    """Usage noted; the text of a failure redacted, and told."""
    for event in events:
        kind = type(event)
        if kind is PartDelta:
            exchange.text_out += estimate.bytes_of(event.text)  # type: ignore[union-attr]
        elif kind is UsageUpdate or kind is StreamStart:
            exchange.usage = event.usage or exchange.usage  # type: ignore[union-attr]
        elif isinstance(event, Failure):
            error = exchange.redacted(event.error)
            exchange.error_kind = error.kind
            return [*(each for each in events if each is not event), Failure(error)], error.message
    return events, None
