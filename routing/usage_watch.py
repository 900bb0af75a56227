"""Reads the usage out of a stream that passes through, without decoding the stream.

Only the first and the last event that speak of usage are decoded, after the stream's end.
"""

from __future__ import annotations

import re

from adapters.canonical import StreamStart, Usage, UsageUpdate
from adapters.codec import Codec

_KEPT = 2**13
"""Bytes of the end: usage stands in the last event, or in the one before."""
_LONGEST = 2**16
"""Of an event that is kept whole: the last one of Responses says all of the answer once more."""
_MOST_PIECES = 32
_LARGE_PIECE = 2**14
_MARK = re.compile(rb'"(?:usage|usageMetadata|eval_count)"')


class UsageWatch:
    """Keeps a stream's beginning, which is given at once, and its end."""

    __slots__ = ("_head", "_tail", "size")

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._tail: list[bytes] = [head]
        self.size = len(head)
        """Of the stream so far."""

    def feed(self, data: bytes) -> None:
        tail = self._tail
        tail.append(data)
        self.size += len(data)
        if len(tail) > _MOST_PIECES or len(data) > _LARGE_PIECE:
            tail[:] = [_last_of(b"".join(tail))]

    def end(self) -> bytes:
        """What is kept of the stream's end; all of it, if it was short."""
        return b"".join(self._tail)

    def usage(self, codec: Codec) -> Usage | None:
        tail = self.end()
        first, last = _mentioned(self._head, False), _mentioned(tail, True)
        decoder = codec.stream_decoder()
        events = decoder.feed(first) if first != last else []
        events += decoder.feed(last) + decoder.close()
        usage = None
        for event in events:
            if isinstance(event, UsageUpdate) or (isinstance(event, StreamStart) and event.usage):
                usage = event.usage
        return usage


def _last_of(text: bytes) -> bytes:
    """Its end, from the beginning of a line; the event that it breaks off in is kept from its own."""
    began = max(text.rfind(b"\n\n"), text.rfind(b"\r\n\r\n"))
    if began < 0:  # lines without blank ones between: NDJSON
        began = text.rfind(b"\n")
    if began < len(text) - _KEPT:
        return text[max(0, began, len(text) - _LONGEST) :]
    return text[text.find(b"\n", -_KEPT) + 1 :] if len(text) > _KEPT else text


def _mentioned(text: bytes, last: bool) -> bytes:
    """The first or last event in `text` that speaks of usage, with its end; b"": none does."""
    marks = list(_MARK.finditer(text))
    if not marks:
        return b""
    at = marks[-1 if last else 0].start()
    line = text.rfind(b"\n", 0, at)
    start = max(text.rfind(b"\n\n", 0, at) + 1, text.rfind(b"\r\n\r\n", 0, at) + 1, 0)
    if not text[start:].lstrip().startswith((b"data", b"event", b"id", b":")):
        start = line + 1  # lines without blank ones between: NDJSON
        end = text.find(b"\n", at)
        return text[start : end + 1 if end >= 0 else len(text)]
    end = text.find(b"\n", at)
    return text[start : end if end >= 0 else len(text)].strip() + b"\n\n"
