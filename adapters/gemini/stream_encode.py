"""Events to Gemini's stream, as server-sent events or, without `alt=sse`, as one JSON array.

Text goes out at once; calls go out whole, for most clients read no partial arguments. The last chunk has
the stop reason and the usage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapters.assemble import merge_extensions
from adapters.canonical import (
    Failure,
    Finish,
    KeepAlive,
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
from adapters.framing import sse
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.errors import encode_error
from adapters.gemini.parts_encode import Wire, own
from adapters.gemini.response import AnswerParts, encode_usage, finish_word, thought
from adapters.jsontext import dump_bytes
from adapters.sequence import Sequencer
from adapters.stream_losses import StreamLosses, place
from adapters.tool_names import StreamRestorer

_JOINABLE = frozenset({"text", "thought"})


class _Open:
    """One part while its events come."""

    __slots__ = ("part", "text")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.text: list[str] = []


class GeminiStreamEncoder:
    """`sse` False: the elements of a JSON array."""

    def __init__(self, reply: Reply, *, sse: bool) -> None:
        self._reply = reply
        self._sse = sse
        self.losses = StreamLosses(PROTOCOL)
        self._restorer = StreamRestorer(reply.request)
        self._sequencers: dict[int, Sequencer] = {}
        self._open: dict[tuple[int, int], _Open] = {}
        self._encoders: dict[int, AnswerParts] = {}
        self._pending: dict[int, list[Wire]] = {}
        self._finishes: list[Finish] = []
        self._usage: Usage | None = None
        self._head: Wire = {"modelVersion": reply.request.model, "responseId": reply.id}
        self._bag: Wire = {}
        self._begun = False
        self._over = False

    def encode(self, events: Iterable[StreamEvent]) -> bytes:
        out: list[bytes] = []
        for given in self._restorer.feed(events):
            for event in self._in_order(given):
                if self._over:
                    break
                self.losses.look(event)
                self._event(event, out)
        if self._pending and not self._over:
            out.append(self._chunk(self._taken()))
        return b"".join(out)

    def _in_order(self, event: StreamEvent) -> list[StreamEvent]:
        """Calls go out whole, in the order in which they began."""
        choice = getattr(event, "choice", 0)
        sequencer = self._sequencers.get(choice)
        if sequencer is None:
            sequencer = self._sequencers[choice] = Sequencer()
        return sequencer.whole_parts(event)

    # ------------------------------------------------------------ events

    def _event(self, event: StreamEvent, out: list[bytes]) -> None:
        match event:
            case PartDelta():
                self._delta(event)
            case PartStart():
                self._open[event.choice, event.index] = _Open(event.part)
                if isinstance(event.part, Text | Refusal):
                    self._encoder(event.choice).text(event.part, place(event.choice, event.index))
            case PartUpdate():
                self._update(event)
            case PartEnd():
                self._end(event)
            case StreamStart():
                model = event.model or self._reply.request.model
                self._head = {"modelVersion": model, "responseId": event.id or self._reply.id}
                self._usage = event.usage
                self._bag = own(event.extensions)
            case Finish():
                self._finishes.append(event)
            case UsageUpdate():
                self._usage = event.usage
            case StreamEnd():
                self._bag.update(own(event.extensions))
                self._last(out)
            case Failure():
                self._failure(event, out)
            case KeepAlive():
                # Google's own SDKs take comments for data; a blank line means nothing to anybody.
                out.append(b"\n")

    def _delta(self, event: PartDelta) -> None:
        open_part = self._open.get((event.choice, event.index))
        if open_part is None:
            return
        part = open_part.part
        if isinstance(part, ToolCall):
            open_part.text.append(event.text)
            return
        if isinstance(part, Thinking):
            open_part.text.append(event.text)
            self._say(event.choice, {"text": event.text, "thought": True})
        elif event.text:
            self._say(event.choice, {"text": event.text})

    def _say(self, choice: int, wire: Wire) -> None:
        """Text joins the text before it that has not been sent yet."""
        parts = self._pending.setdefault(choice, [])
        if parts and "text" in wire and wire.keys() <= _JOINABLE and wire.keys() == parts[-1].keys():
            parts[-1]["text"] += wire["text"]
        else:
            parts.append(wire)

    def _update(self, event: PartUpdate) -> None:
        open_part = self._open.get((event.choice, event.index))
        match open_part:
            case _Open(part=Thinking() | ToolCall() as part):
                extensions = merge_extensions(part.extensions, event.extensions)
                signature = event.signature or part.signature
                open_part.part = replace(part, signature=signature, extensions=extensions)
            case _Open(part=Text() | Refusal() as part):
                extensions = merge_extensions(part.extensions, event.extensions)
                open_part.part = replace(part, extensions=extensions)
            case _:
                pass

    def _end(self, event: PartEnd) -> None:
        open_part = self._open.pop((event.choice, event.index), None)
        if open_part is None:
            return
        encoder = self._encoder(event.choice)
        where = place(event.choice, event.index)
        match open_part.part:
            case Text() | Refusal() as part:
                if extras := own(part.extensions):
                    self._say(event.choice, {"text": "", **extras})
            case Thinking() as part:
                encoder.remember(replace(part, text="".join(open_part.text)))
                wire = thought(replace(part, text=""))
                if len(wire) > 2:
                    self._say(event.choice, wire)
            case ToolCall() as part:
                whole = replace(part, arguments=part.arguments + "".join(open_part.text))
                self._say(event.choice, encoder.call(whole, where))
            case part:
                for wire in encoder.encode(part, where):
                    self._say(event.choice, wire)

    def _encoder(self, choice: int) -> AnswerParts:
        encoder = self._encoders.get(choice)
        if encoder is None:
            encoder = self._encoders[choice] = AnswerParts(self.losses)
        return encoder

    # ------------------------------------------------------------ chunks

    def _taken(self) -> Wire:
        pending, self._pending = self._pending, {}
        candidates = [
            {"content": {"parts": parts, "role": "model"}, "index": choice}
            for choice, parts in pending.items()
        ]
        return {"candidates": candidates, **self._head}

    def _last(self, out: list[bytes]) -> None:
        pending, self._pending = self._pending, {}
        candidates = [
            {
                # Google's SDKs keep a turn only if every chunk of it has a part.
                "content": {"parts": pending.get(finish.choice) or [{"text": ""}], "role": "model"},
                "finishReason": finish_word(finish.reason, f"choices[{finish.choice}]", self.losses),
                "index": finish.choice,
                **own(finish.extensions),
            }
            for finish in self._finishes
        ]
        chunk: Wire = {"candidates": candidates}
        if self._usage is not None:
            chunk["usageMetadata"] = encode_usage(self._usage, self.losses)
        out.append(self._chunk({**chunk, **self._head, **self._bag}))
        self._over = True
        if not self._sse:
            out.append(b"]")

    def _failure(self, event: Failure, out: list[bytes]) -> None:
        if self._pending:
            out.append(self._chunk(self._taken()))
        out.append(self._chunk(encode_error(event.error)[1]))
        self._over = True
        if not self._sse:
            out.append(b"]")

    def _chunk(self, document: Wire) -> bytes:
        data = dump_bytes(document)
        if self._sse:
            return sse(data)
        head, self._begun = (b",\r\n" if self._begun else b"["), True
        return head + data
