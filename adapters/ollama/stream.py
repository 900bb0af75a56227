"""Ollama's streams: one JSON object a line. https://docs.ollama.com/api/streaming"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapters.assemble import broken_stream, merge_extensions
from adapters.canonical import (
    NO_EXTENSIONS,
    ChatError,
    Extensions,
    Failure,
    Finish,
    FinishReason,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Refusal,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from adapters.codec import Reply
from adapters.framing import NdjsonDecoder
from adapters.joining import Apart, report_refusal
from adapters.jsontext import dump_bytes, load_object
from adapters.ollama.errors import stream_error
from adapters.ollama.request_decode import PROTOCOL
from adapters.ollama.response import (
    as_reply,
    finish_reason,
    head,
    message_of,
    message_parts,
    shows_pictures,
    tail,
    usage,
)
from adapters.sequence import Sequencer
from adapters.stream_losses import StreamLosses, place
from adapters.tool_names import StreamRestorer

_SAYS_NOTHING = {"role", "content"}


class Decoder:
    """An upstream's lines to events."""

    def __init__(self) -> None:
        self._lines = NdjsonDecoder()
        self._started = False
        self._over = False
        self._next = 0
        self._open: Part | None = None
        self._called: list[Part] = []

    def feed(self, data: bytes) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for line in self._lines.feed(data):
            self._line(line, events)
        return events

    def close(self) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for line in self._lines.close():
            self._line(line, events)
        if not self._over:
            self._fail(broken_stream(), events)
        return events

    def _line(self, line: bytes, events: list[StreamEvent]) -> None:
        if self._over:
            return
        piece = load_object(line)
        if piece is None:
            self._fail(broken_stream("the upstream sent a line that is not a JSON object"), events)
            return
        if "error" in piece:
            self._fail(stream_error(piece), events)
            return
        if not self._started:
            self._started = True
            events.append(StreamStart("", str(piece.get("model") or "")))
        message = piece.get("message")
        if not isinstance(message, dict):
            message = {
                "content": piece.get("response"),
                "thinking": piece.get("thinking"),
                "images": [piece.get("image")],
            }
        stem = str(piece.get("created_at") or "")
        for part in message_parts(message, stem, len(self._called)):
            self._part(part, events)
        if piece.get("done"):
            self._finish(piece, events)

    def _part(self, part: Part, events: list[StreamEvent]) -> None:
        if isinstance(part, Text | Thinking):
            if type(self._open) is not type(part):
                self._end(events)
                self._open = Text("") if isinstance(part, Text) else Thinking("")
                events.append(PartStart(self._next, self._open))
            events.append(PartDelta(self._next, part.text))
            return
        self._end(events)
        if isinstance(part, ToolCall):
            self._called.append(part)
            events.append(PartStart(self._next, ToolCall(part.id, part.name)))
            events.append(PartDelta(self._next, part.arguments))
        else:
            events.append(PartStart(self._next, part))
        events.append(PartEnd(self._next))
        self._next += 1

    def _end(self, events: list[StreamEvent]) -> None:
        if self._open is not None:
            events.append(PartEnd(self._next))
            self._open = None
            self._next += 1

    def _finish(self, piece: dict[str, Any], events: list[StreamEvent]) -> None:
        self._end(events)
        events.append(Finish(finish_reason(piece, self._called)))
        if (counted := usage(piece)) is not None:
            events.append(UsageUpdate(counted))
        events.append(StreamEnd())
        self._over = True

    def _fail(self, error: ChatError, events: list[StreamEvent]) -> None:
        self._over = True
        events.append(Failure(error))


class Encoder:
    """Events to lines for a client. Calls go out whole, when their arguments are complete."""

    def __init__(self, reply: Reply) -> None:
        self.losses = StreamLosses(PROTOCOL)
        self._reply = reply
        self._restorer = StreamRestorer(reply.request)
        self._sequencer = Sequencer()
        self._model = ""
        self._kinds: dict[int, Part] = {}
        self._arguments: dict[int, list[str]] = {}
        self._calls = 0
        self._apart = Apart()
        self._usage: Usage | None = None
        self._reason = FinishReason("other")
        self._extensions: Extensions = NO_EXTENSIONS

    def encode(self, events: Iterable[StreamEvent]) -> bytes:
        out: list[bytes] = []
        for given in self._restorer.feed(events):
            if getattr(given, "choice", 0):
                out.append(self._one(given))
                continue
            for event in self._sequencer.whole_parts(given):
                self.losses.look(event)
                out.append(self._one(event))
        return b"".join(out)

    def _one(self, event: StreamEvent) -> bytes:
        match event:
            case PartDelta(index, text, 0):
                return self._delta(index, text)
            case PartStart(index, part, 0):
                self._kinds[index] = part
                return self._start(index, part)
            case PartUpdate(index, signature, _, 0) if signature is not None:
                self._signed(index)
            case PartEnd(index, 0):
                return self._call(index)
            case StreamStart() as start:
                self._model, self._usage = start.model, start.usage
                self._extensions = start.extensions
            case UsageUpdate(counted):
                self._usage = counted
            case Finish(reason, 0):
                self._reason = reason
            case StreamEnd(extensions):
                self._extensions = merge_extensions(self._extensions, extensions)
                return self._last()
            case Failure(error):
                return dump_bytes({"error": error.message}) + b"\n"
            case Finish():
                self.losses.add("n", "choices", "Ollama gives one answer")
            case _:
                pass  # a further choice, or a keep-alive, for which NDJSON has no form
        return b""

    def _start(self, index: int, part: Part) -> bytes:
        if isinstance(part, Thinking | ToolCall):
            if part.signature is not None:
                self._signed(index)
            return b""
        if isinstance(part, Refusal):
            report_refusal(place(0, index), self.losses)
        if isinstance(part, Text | Refusal):
            return b""
        return self._message((part,), first=index)

    def _signed(self, index: int) -> None:
        self.losses.add("thinking.signature", place(0, index), "Ollama has no place for it")

    def _delta(self, index: int, text: str) -> bytes:
        match self._kinds.get(index):
            case Text() | Refusal():
                return self._message((Text(text),))
            case Thinking():
                return self._message((Thinking(text),))
            case ToolCall():
                self._arguments.setdefault(index, []).append(text)
        return b""

    def _call(self, index: int) -> bytes:
        part = self._kinds.pop(index, None)
        if not isinstance(part, ToolCall):
            return b""
        arguments = "".join(self._arguments.pop(index, []))
        call = ToolCall(part.id, part.name, arguments, part.kind)
        line = self._message((call,), first_call=self._calls, first=index)
        self._calls += 1
        return line

    def _message(self, parts: tuple[Part, ...], first_call: int = 0, first: int = 0) -> bytes:
        message = message_of(
            parts, self.losses, first, self._apart, shows_pictures=shows_pictures(self._reply)
        )
        if message.keys() == _SAYS_NOTHING and not message["content"]:
            return b""
        for call in message.get("tool_calls", ()):
            call["function"]["index"] = first_call
        return self._line(message, {"done": False})

    def _last(self) -> bytes:
        empty = {"role": "assistant", "content": ""}
        return self._line(empty, tail(self._reason, self._usage, self._extensions, self.losses))

    def _line(self, message: dict[str, Any], rest: dict[str, Any]) -> bytes:
        line = {**head(self._model, self._reply), **as_reply(message, self._reply), **rest}
        return dump_bytes(line) + b"\n"
