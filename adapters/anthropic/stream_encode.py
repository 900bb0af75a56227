"""Events to the bytes of a Messages stream: one block open at a time, every event with its name.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from adapters.anthropic.errors import error_body
from adapters.anthropic.marks import thought_slot
from adapters.anthropic.names import PROTOCOL, bag, fields, own
from adapters.anthropic.response_encode import (
    call_signature,
    message_id,
    report_foreign,
)
from adapters.anthropic.stop_reasons import encode_stop
from adapters.anthropic.usage import encode_usage
from adapters.canonical import (
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Refusal,
    Signature,
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
from adapters.joining import Apart, report_refusal
from adapters.jsontext import dump, dump_bytes
from adapters.sequence import Sequencer
from adapters.stream_losses import StreamLosses, place
from adapters.tokens import of_request
from adapters.tool_names import StreamRestorer

_PING = sse(b'{"type":"ping"}', "ping")
_DELTAS = {
    "text": (b'"text_delta","text":', b"}}\n\n"),
    "thinking": (b'"thinking_delta","thinking":', b"}}\n\n"),
    "tool_use": (b'"input_json_delta","partial_json":', b"}}\n\n"),
}
_DELTA_HEAD = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":'


class MessagesStreamEncoder:
    """One stream."""

    __slots__ = (
        "_apart",
        "_block",
        "_delta_head",
        "_delta_tail",
        "_extra",
        "_finish",
        "_has_calls",
        "_index",
        "_over",
        "_part",
        "_reply",
        "_restorer",
        "_sequencer",
        "_signature",
        "_started",
        "_tier",
        "_usage",
        "_waits",
        "losses",
    )

    def __init__(self, reply: Reply) -> None:
        self.losses = StreamLosses(PROTOCOL)
        self._reply = reply
        self._restorer = StreamRestorer(reply.request)
        self._sequencer = Sequencer()
        self._apart = Apart()
        self._index = 0
        self._block = ""
        self._part: Any = None
        self._signature: Signature | None = None
        self._delta_head = self._delta_tail = b""
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self._tier: str | None = None
        self._extra: dict[str, Any] = {}
        self._has_calls = self._started = self._over = False
        self._waits = False
        """A thought without a signature has ended, its block has not: the next call may sign it."""

    def encode(self, events: Iterable[StreamEvent]) -> bytes:
        out: list[bytes] = []
        for event in self._sequencer.feed(self._restorer.feed(self._mine(events))):
            if not self._over:
                self.losses.look(event)
                self._take(event, out)
        return b"".join(out)

    def _mine(self, events: Iterable[StreamEvent]) -> Iterable[StreamEvent]:
        """The events of the first choice: the protocol has one answer."""
        for event in events:
            if getattr(event, "choice", 0) == 0:
                yield event
            elif isinstance(event, Finish):
                self.losses.add("n", "choices", "the protocol has one answer")

    def _take(self, event: StreamEvent, out: list[bytes]) -> None:
        match event:
            case PartDelta():
                self._delta(event, out)
            case PartStart():
                self._start_part(event, out)
            case PartUpdate():
                self._update(event, out)
            case PartEnd():
                self._end_part(out)
            case StreamStart():
                self._start(event, out)
            case UsageUpdate():
                self._usage = event.usage
            case Finish():
                self._finish = event.reason
                self._extra.update(fields(event.extensions))
            case StreamEnd():
                self._end(event, out)
            case KeepAlive():
                out.append(_PING)
            case Failure():
                self._settle(None, out)
                self._over = True
                out.append(sse(dump_bytes(error_body(event.error)), "error"))

    # ------------------------------------------------------------ message

    def _start(self, event: StreamStart, out: list[bytes]) -> None:
        self._started, self._tier = True, event.service_tier
        usage = event.usage
        if usage is None or usage.input_tokens == 0:
            # Clients show this count at once; the true one follows in message_delta.
            usage = Usage(input_tokens=of_request(self._reply.request), estimated=True)
        self._usage = usage
        message = {
            "id": message_id(event.id, self._reply),
            "type": "message",
            "role": "assistant",
            "model": event.model or self._reply.request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": encode_usage(usage, self._tier),
            **fields(event.extensions),
        }
        self._send("message_start", {"message": message}, out)

    def _end(self, event: StreamEnd, out: list[bytes]) -> None:
        self._settle(None, out)
        self._over = True
        finish = self._finish or FinishReason("other")
        known = {"container": self._extra.pop("container")} if "container" in self._extra else {}
        delta = {**encode_stop(finish, self._has_calls, self._reply.request, self.losses), **known}
        usage = encode_usage(self._usage)
        body = {"delta": delta, "usage": usage, **self._extra, **fields(event.extensions)}
        self._send("message_delta", body, out)
        self._send("message_stop", {}, out)

    def _send(self, name: str, body: dict[str, Any], out: list[bytes]) -> None:
        out.append(sse(dump_bytes({"type": name, **body}), name))

    # ------------------------------------------------------------ blocks

    def _start_part(self, event: PartStart, out: list[bytes]) -> None:
        part = event.part
        self._part, self._signature = part, None
        if not isinstance(part, ToolCall):
            self._settle(None, out)
        match part:
            case Text() | Refusal():
                self._apart.text()
                if isinstance(part, Refusal):
                    report_refusal(place(0, event.index), self.losses)
                self._open("text", {"type": "text", "text": "", **fields(part.extensions)}, out)
            case Thinking(redacted=False):
                self._signature = part.signature
                block = {"type": "thinking", "thinking": "", "signature": "", **fields(part.extensions)}
                self._open("thinking", block, out)
            case Thinking():
                self._signature = part.signature
                self._block = "redacted"
            case ToolCall():
                self._start_call(part, event.index, out)
            case Opaque(protocol=protocol) if protocol == PROTOCOL:
                self._opaque(part, out)
            case Opaque() if part.text:
                report_foreign(part, place(0, event.index), self.losses)
                self._open("text", {"type": "text", "text": ""}, out)
                out.append(self._delta_bytes(self._apart.item(part.text)))
            case _:
                report_foreign(part, place(0, event.index), self.losses)
                self._block = ""

    def _open(self, kind: str, block: dict[str, Any], out: list[bytes]) -> None:
        self._block = kind
        if kind in _DELTAS:
            head, tail = _DELTAS[kind]
            self._delta_head = _DELTA_HEAD + str(self._index).encode() + b',"delta":{"type":' + head
            self._delta_tail = tail
        self._send("content_block_start", {"index": self._index, "content_block": block}, out)

    def _close(self, out: list[bytes]) -> None:
        self._send("content_block_stop", {"index": self._index}, out)
        self._index += 1
        self._block = ""

    def _settle(self, signature: str | None, out: list[bytes]) -> bool:
        """End the block of a thought that waits; whether it took the signature."""
        if not self._waits:
            return False
        self._waits = False
        if signature is not None:
            self._sign(signature, out)
        self._close(out)
        return signature is not None

    def _sign(self, value: str, out: list[bytes]) -> None:
        delta = {"type": "signature_delta", "signature": value}
        self._send("content_block_delta", {"index": self._index, "delta": delta}, out)

    def _start_call(self, part: ToolCall, number: int, out: list[bytes]) -> None:
        self._has_calls = True
        call_id = part.id or f"toolu_{self._reply.id}{number}"
        self._part = ToolCall(call_id, part.name, kind=part.kind)
        signed = call_signature(part, call_id)
        if self._settle(signed[0]["data"] if signed else None, out):
            signed = []
        for block in signed:
            self._open("", block, out)
            self._close(out)
        block = {"type": "tool_use", "id": call_id, "name": part.name, "input": {}, **fields(part.extensions)}
        self._open("tool_use", block, out)
        if part.kind == "custom":
            out.append(self._delta_bytes('{"input":"'))

    def _opaque(self, part: Opaque, out: list[bytes]) -> None:
        """Calls of server tools have their input in deltas, like those of the client's tools."""
        value = dict(part.value)
        given = value.get("input")
        if part.kind in ("server_tool_use", "mcp_tool_use") and given:
            self._open("tool_use", {**value, "input": {}}, out)
            out.append(self._delta_bytes(given if isinstance(given, str) else dump(given)))
        else:
            self._open(part.kind, value, out)

    def _delta(self, event: PartDelta, out: list[bytes]) -> None:
        if not event.text or self._block not in _DELTAS:
            return
        part = self._part
        if isinstance(part, ToolCall) and part.kind == "custom":
            out.append(self._delta_bytes(dump(event.text)[1:-1]))
            return
        out.append(self._delta_bytes(event.text))

    def _delta_bytes(self, text: str) -> bytes:
        return self._delta_head + dump_bytes(text) + self._delta_tail

    def _update(self, event: PartUpdate, out: list[bytes]) -> None:
        if event.signature is not None:
            self._signature = event.signature
        citations = own(event.extensions).get("citations") if event.extensions else None
        if self._block == "text" and isinstance(citations, list):
            for citation in citations:
                delta = {"type": "citations_delta", "citation": citation}
                self._send("content_block_delta", {"index": self._index, "delta": delta}, out)

    def _end_part(self, out: list[bytes]) -> None:
        signature, self._signature = self._signature, None
        part, self._part = self._part, None
        match self._block:
            case "":
                return
            case "redacted":
                if value := thought_slot(replace(part, signature=signature)):
                    block = {"type": "redacted_thinking", "data": value, **fields(part.extensions)}
                    self._open("", block, out)
                    self._close(out)
                self._block = ""
                return
            case "thinking" if signature is not None:
                self._sign(thought_slot(replace(part, signature=signature)), out)
            case "thinking":
                self._waits, self._block = True, ""
                return
            case "tool_use" if isinstance(part, ToolCall) and part.kind == "custom":
                out.append(self._delta_bytes('"}'))
        self._close(out)
        if isinstance(part, ToolCall) and signature is not None:
            late = ToolCall(part.id, part.name, signature=signature, extensions=bag({}))
            for block in call_signature(late, part.id):
                self._open("", block, out)
                self._close(out)
