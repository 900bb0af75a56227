"""Framing of streams: server-sent events, newline-delimited JSON, and one JSON array.

Decoders take bytes in any chunking and give whole documents. They hold bytes until a line ends, so
a UTF-8 character cut between chunks is never decoded by halves. Only CR, LF and CRLF end a line:
U+2028 and the like are text (https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One event. `event` is None where the stream gave no name."""

    event: str | None
    data: str


class _Lines:
    """Splits bytes at CR, LF and CRLF, also where CRLF is cut in two."""

    __slots__ = ("_rest", "_skip_newline", "_started")

    def __init__(self) -> None:
        self._rest = b""
        self._skip_newline = False
        self._started = False

    def feed(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        if self._skip_newline and data[:1] == b"\n":
            data = data[1:]
        self._skip_newline = data[-1:] == b"\r" if data else self._skip_newline
        data = self._rest + data
        if not self._started:
            if len(data) < 3 and _BOM.startswith(data):
                self._rest = data
                return []
            self._started = True
            data = data.removeprefix(_BOM)
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        self._rest = lines.pop()
        return lines

    def close(self) -> list[bytes]:
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class SseDecoder:
    """Server-sent events. Comments and `id`/`retry` fields are skipped; `comments` counts the former."""

    __slots__ = ("_data", "_event", "_lines", "comments")

    def __init__(self) -> None:
        self._lines = _Lines()
        self._event: str | None = None
        self._data: list[bytes] = []
        self.comments = 0

    def feed(self, data: bytes) -> list[SseEvent]:
        return self._read(self._lines.feed(data))

    def close(self) -> list[SseEvent]:
        """The last event, even where the final blank line is missing."""
        events = self._read(self._lines.close())
        return events + self._read([b""])

    def _read(self, lines: list[bytes]) -> list[SseEvent]:
        events: list[SseEvent] = []
        for line in lines:
            if line[:6] == b"data: ":  # what nearly all lines are
                self._data.append(line[6:])
                continue
            if not line:
                if data := self._data:
                    text = (data[0] if len(data) == 1 else b"\n".join(data)).decode("utf-8", "replace")
                    events.append(SseEvent(self._event, text))
                    self._data = []
                self._event = None
                continue
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                self._data.append(value)
            elif name == b"event":
                self._event = value.decode("utf-8", "replace")
            elif not name:
                self.comments += 1
        return events


class NdjsonDecoder:
    """One JSON document a line; blank lines are skipped."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines = _Lines()

    def feed(self, data: bytes) -> list[bytes]:
        return [line for line in self._lines.feed(data) if line.strip()]

    def close(self) -> list[bytes]:
        return [line for line in self._lines.close() if line.strip()]


class JsonArrayDecoder:
    """The elements of one JSON array of objects (Gemini without `alt=sse`), each as soon as it ends.

    A lone object is taken as its only element.
    """

    __slots__ = ("_buffer", "_depth", "_escaped", "_in_string")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes]:
        documents: list[bytes] = []
        for byte in data:
            if self._depth:
                self._buffer.append(byte)
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif byte == 0x5C:
                    self._escaped = True
                elif byte == 0x22:
                    self._in_string = False
            elif byte == 0x22:
                self._in_string = self._depth > 0
            elif byte == 0x7B:
                if not self._depth:
                    self._buffer.append(byte)
                self._depth += 1
            elif byte == 0x7D and self._depth:
                self._depth -= 1
                if not self._depth:
                    documents.append(bytes(self._buffer))
                    self._buffer.clear()
        return documents

    def close(self) -> list[bytes]:
        """A document that was cut, so that its reader sees invalid JSON; else nothing."""
        rest, self._depth = bytes(self._buffer), 0
        self._buffer.clear()
        return [rest] if rest else []


def sse(data: bytes, event: str | None = None) -> bytes:
    """One event. `data` is one line (JSON never has raw line breaks)."""
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


def sse_comment(text: str = "keep-alive") -> bytes:
    return b": " + text.encode() + b"\n\n"
