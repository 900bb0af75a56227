"""Tokens of a request whose upstream told none, reckoned when it is over.

Nothing is counted while bytes pass through: the input is reckoned from the body, the output from a sample of
the stream.
"""

from __future__ import annotations

from adapters import tokens
from adapters.canonical import ChatResponse, PartDelta, PartStart, StreamEvent, Usage
from adapters.codec import Codec
from adapters.errors import AdapterError
from routing.inquiry import Inquiry

SAMPLE = 2**13
"""Bytes of a stream that are decoded: some 40 events, half a millisecond."""
_MEDIA = (b"base64", b"inline", b'"images"')
"""Where one of these stands in a body, its length says little."""


def usage(inquiry: Inquiry, output: int) -> Usage:
    return Usage(input_tokens=of_input(inquiry), output_tokens=output, estimated=True)


def of_input(inquiry: Inquiry) -> int:
    """A body that has been passed through is not decoded for this, unless it may hold media."""
    body = inquiry.call.body
    if inquiry.is_decoded or any(body.rfind(mark) >= 0 for mark in _MEDIA):  # twice as fast as `in`
        try:
            return tokens.of_request(inquiry.request())
        except AdapterError:
            pass
    return len(body) // tokens.BYTES_PER_TOKEN


def of_response(response: ChatResponse) -> int:
    return sum(tokens.of_parts(choice.parts) for choice in response.choices)


def of_events(events: list[StreamEvent]) -> int:
    """Of what parts of an answer say; the same whether it came in many pieces or few."""
    size = 0
    for event in events:
        if isinstance(event, PartDelta):
            size += bytes_of(event.text)
        elif isinstance(event, PartStart):
            size += tokens.of_part(event.part) * tokens.BYTES_PER_TOKEN
    return -(-size // tokens.BYTES_PER_TOKEN)


def of_stream(kept: bytes, size: int, codec: Codec) -> int | None:
    """Of a stream of `size` bytes of which `kept` is the end, by a sample. None: it cannot be read."""
    sample = kept
    if size > len(kept) or size > SAMPLE:
        sample = kept[-SAMPLE:]
        separator = b"\n\n" if b"\n\n" in sample else b"\n"
        sample = sample.partition(separator)[2]  # it began in the middle of an event
    if not sample:
        return None
    try:
        decoder = codec.stream_decoder()
        found = of_events([*decoder.feed(sample), *decoder.close()])
    except Exception:  # what passes through need not be understood
        return None
    return found * size // len(sample)


def bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
