"""From an upstream's embeddings to the client's: passed through, or converted."""

from __future__ import annotations

from dataclasses import replace

from adapters.canonical import Usage
from adapters.codec import EmbeddingsCodec
from adapters.embeddings import check_count, estimated_tokens
from adapters.errors import AdapterError
from adapters.jsontext import dump_bytes
from routing.answers import Answer, Headers, json_answer
from routing.exchange import LONGEST_ANSWER, Exchange
from routing.plan import Way
from routing.reading import error_within, read_document
from routing.upstream import UpstreamAnswer


async def receive_embeddings(exchange: Exchange, way: Way, upstream: UpstreamAnswer) -> Answer:
    """Raises Refused, UpstreamFault, InvalidResponse."""
    body = await upstream.read_all(LONGEST_ANSWER)
    document = read_document(body)
    if (error := error_within(way.codec, document, body)) is not None:
        raise exchange.failed(error)
    exchange.began()
    codec, client = way.codec, exchange.call.codec
    assert isinstance(codec, EmbeddingsCodec)
    assert isinstance(client, EmbeddingsCodec)
    more: Headers = []
    if exchange.passes_through(way):
        count = codec.embedding_tokens(document)
    else:
        request, response = exchange.embedding_request(), codec.decode_embedding_response(document)
        check_count(request, response)
        count = response.input_tokens
        if count is None:
            response = replace(response, input_tokens=estimated_tokens(request))
            more = [(b"x-hub-estimated", b"true")]
        body = dump_bytes(client.encode_embedding_response(response, request, exchange.call.arrival.action))
    exchange.usage = _estimated(exchange) if count is None else Usage(input_tokens=count)
    exchange.bytes_out = len(body)
    exchange.record(upstream.status)
    return json_answer(upstream.status, [*exchange.head(upstream.headers), *more], body)


def _estimated(exchange: Exchange) -> Usage | None:
    """None: nobody asks, or what passed through is not understood."""
    if exchange.services.sink is None:
        return None
    try:
        return Usage(input_tokens=estimated_tokens(exchange.embedding_request()), estimated=True)
    except AdapterError:
        return None
