"""What an upstream's answer says of itself, read from its beginning and its end: for traces.

Nothing here fails: an answer that cannot be read says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from adapters.canonical import Finish, StreamEvent, StreamStart
from adapters.registry import codec
from routing.reading import is_stream, read_document

HEAD = 2**13
TAIL = 2**13
LONGEST_DOCUMENT = 2**17


class Answered(NamedTuple):
    id: str = ""
    model: str = ""
    finish_reasons: tuple[str, ...] = ()


class Excerpt:
    """The beginning and the end of an answer's bytes, or all of them where they are few."""

    __slots__ = ("_head", "_size", "_tail")

    def __init__(self) -> None:
        self._head: list[bytes] = []
        self._tail = b""
        self._size = 0

    def add(self, data: bytes) -> None:
        if self._size < LONGEST_DOCUMENT:
            self._head.append(data[:LONGEST_DOCUMENT])
        else:
            self._tail = (self._tail + data)[-TAIL:]
        self._size += len(data)

    def read(self, protocol: str, content_type: str) -> Answered:
        try:
            if not is_stream(content_type, codec(protocol)):
                return self._whole(protocol)
            return self._streamed(protocol)
        except Exception:  # it only looks on
            return Answered()

    def _whole(self, protocol: str) -> Answered:
        if self._tail:
            return Answered()
        response = codec(protocol).decode_response(read_document(b"".join(self._head)))
        reasons = (choice.finish.raw or choice.finish.unified for choice in response.choices)
        return Answered(response.id, response.model, tuple(reasons))

    def _streamed(self, protocol: str) -> Answered:
        data = b"".join(self._head)
        first, last = data[:HEAD], (data + self._tail)[-TAIL:]
        if len(data) <= HEAD + TAIL and not self._tail:
            return _told(codec(protocol).stream_decoder().feed(data))
        start = _told(codec(protocol).stream_decoder().feed(first))
        _, _, rest = last.partition(b"\n\n" if b"\n\n" in last else b"\n")
        end = _told(codec(protocol).stream_decoder().feed(rest))
        return Answered(start.id, start.model, end.finish_reasons)


def _told(events: Iterable[StreamEvent]) -> Answered:
    id_, model, reasons = "", "", []
    for event in events:
        if isinstance(event, StreamStart):
            id_, model = event.id or id_, event.model or model
        elif isinstance(event, Finish):
            reasons.append(event.reason.raw or event.reason.unified)
    return Answered(id_, model, tuple(reasons))
