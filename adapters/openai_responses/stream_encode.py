"""Events to the client's stream: typed server-sent events with numbers, ids and places.

Every item has its `added` and `done`, every content part too; the last event holds the whole output.
Message items stay open until something else begins, so that neighbouring parts share one.
Source: `openai.types.responses.response_stream_event`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapters import stop_reasons
from adapters.canonical import (
    ChatError,
    ErrorKind,
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
    Media,
    Opaque,
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
    ToolResult,
    Usage,
    UsageUpdate,
)
from adapters.citations import in_event
from adapters.codec import Reply
from adapters.framing import sse_comment
from adapters.joining import Apart
from adapters.openai_responses import envelope, items_output, notes
from adapters.openai_responses.stream_parts import (
    Emitter,
    OpenCall,
    OpenContent,
    OpenMessage,
    OpenPart,
    OpenReasoning,
)
from adapters.openai_responses.usage import WORDS, outcome
from adapters.sequence import Sequencer
from adapters.stream_losses import StreamLosses
from adapters.tool_names import StreamRestorer

ERROR_CODES: dict[ErrorKind, str] = {
    "rate_limit": "rate_limit_exceeded",
    "billing": "insufficient_quota",
    "invalid_request": "invalid_prompt",
    "too_large": "invalid_prompt",
}
"""`response.error.code`, else `server_error`: the codes of the API's type, and one that clients know."""

_KEPT_CODES = frozenset({*ERROR_CODES.values(), "server_error", "context_length_exceeded"})
"""An upstream's code that means the same there. Codex compacts when the context is too long."""


class ResponsesStreamEncoder:
    """One answer's stream."""

    def __init__(self, reply: Reply) -> None:
        self.losses = StreamLosses(notes.PROTOCOL)
        self._reply = reply
        self._restorer = StreamRestorer(reply.request)
        self._sequencer = Sequencer()
        self._apart = Apart()
        self._kinds = items_output.declared_client_tools(reply.request)
        self._emitter = Emitter(reply.id)
        self._envelope: dict[str, Any] | None = None
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._message: OpenMessage | None = None
        self._part: OpenPart | None = None
        self._ended = False

    def encode(self, events: Iterable[StreamEvent]) -> bytes:
        for event in self._sequencer.feed(self._restorer.feed(self._first_choice(events))):
            if not self._ended:
                if type(event) is not PartDelta:
                    event = in_event(event, notes.PROTOCOL)
                self.losses.look(event)
                self._event(event)
        return self._emitter.take()

    def _event(self, event: StreamEvent) -> None:
        match event:
            case PartDelta():
                if self._part is not None:
                    self._part.delta(event)
            case PartStart():
                self._start_part(event.part)
            case PartUpdate():
                if self._part is not None:
                    self._part.update(event)
            case PartEnd():
                if self._part is not None:
                    self._part.end()
                    self._part = None
            case StreamStart():
                self._start(event)
            case UsageUpdate(usage):
                self._usage = usage
            case Finish(reason):
                self._finish = self._finish or reason
            case StreamEnd():
                self._end()
            case Failure(error):
                self._fail(error)
            case KeepAlive():
                self._emitter.raw(sse_comment())

    # ------------------------------------------------------------ the stream

    def _start(self, event: StreamStart) -> None:
        if self._envelope is not None:
            return
        self._usage = event.usage
        self._envelope = envelope.around(event, self._reply)
        response = envelope.with_result(
            self._envelope, status="in_progress", reason=None, output=[], usage=None
        )
        self._emitter.emit("response.created", {"response": response})
        self._emitter.emit("response.in_progress", {"response": response})

    def _start_part(self, given: Part) -> None:
        part = items_output.told(given, self.losses, self._apart)
        if isinstance(part, Text | Refusal):
            about = items_output.message_of(part)
            if self._message is None or not items_output.continues(about, self._message.about):
                self._close_message()
                self._message = OpenMessage(self._emitter, about)
            self._part = OpenContent(self._emitter, self._message, part)
            return
        self._close_message()
        match part:
            case Thinking():
                self._part = OpenReasoning(self._emitter, part)
            case ToolCall():
                self._part = OpenCall(self._emitter, part, self._kinds)
            case Media() | Opaque() | ToolResult():
                self._whole(part)

    def _whole(self, part: Part) -> None:
        at = len(self._emitter.output)
        item = items_output.whole_item(part, self._reply.id, at, self._kinds, self.losses)
        if item is not None:
            self._emitter.whole(item)

    def _close_message(self, status: str = "completed") -> None:
        if self._message is not None:
            self._message.close(status)
            self._message = None

    def _end(self) -> None:
        self._ended = True
        if self._envelope is None:
            self._start(StreamStart("", ""))
        finish = self._finish or FinishReason("other")
        word = WORDS[finish.unified]
        stop_reasons.report(finish, word, notes.PROTOCOL, "choices[0]", self.losses)
        status, reason = outcome(word)
        if self._part is not None:
            self._part.end()
        self._close_message(status)
        assert self._envelope is not None
        response = envelope.with_result(
            self._envelope,
            status=status,
            reason=reason,
            output=self._emitter.output,
            usage=self._usage or Usage(),
        )
        self._emitter.emit(f"response.{status}", {"response": response})

    def _fail(self, error: ChatError) -> None:
        self._ended = True
        if self._envelope is None:
            self._start(StreamStart("", ""))
        assert self._envelope is not None
        response = envelope.with_result(
            self._envelope, status="failed", reason=None, output=self._emitter.output, usage=self._usage
        )
        code = error.code if error.code in _KEPT_CODES else ERROR_CODES.get(error.kind, "server_error")
        response["error"] = {"code": code, "message": error.message}
        self._emitter.emit("response.failed", {"response": response})

    def _first_choice(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """The API gives one answer: events of further choices go."""
        mine: list[StreamEvent] = []
        for event in events:
            if not getattr(event, "choice", 0):
                mine.append(event)
            elif isinstance(event, Finish):
                self.losses.add("n", "choices", "the Responses API gives one answer")
        return mine
