"""Bytes of a Messages stream to events.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from adapters.anthropic.errors import from_document
from adapters.anthropic.names import OUTPUT_TOOL, bag, leftover
from adapters.anthropic.opaque import opaque
from adapters.anthropic.response_decode import decode_block, is_output_call, signature_of, text_of
from adapters.anthropic.response_encode import kept_arguments
from adapters.anthropic.stop_reasons import decode_stop
from adapters.anthropic.usage import decode_tier, decode_usage
from adapters.assemble import broken_stream
from adapters.canonical import (
    Failure,
    Finish,
    KeepAlive,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)
from adapters.framing import SseDecoder, SseEvent
from adapters.jsontext import load, load_object

_START = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"}
)
_DELTA = frozenset({"stop_reason", "stop_sequence", "stop_details"})
_MESSAGE_DELTA = frozenset({"type", "delta", "usage"})

_Handler = Callable[[Any, dict[str, Any], list[StreamEvent]], None]


@dataclass(slots=True)
class _Block:
    """An open block. `part` is its index among the parts, -1 for one that waits to be whole."""

    part: int
    value: dict[str, Any]
    start: StreamEvent | None = None
    texts: list[str] = field(default_factory=list)
    signature: str = ""


class MessagesStreamDecoder:
    """One stream. Blocks of other kinds than text, thinking and calls come whole, at their end."""

    __slots__ = (
        "_blocks",
        "_calls",
        "_finished",
        "_next",
        "_over",
        "_sse",
        "_started",
        "_unwrapped",
        "_usage",
    )

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._blocks: dict[int, _Block] = {}
        self._next = 0
        self._usage: dict[str, Any] = {}
        self._started = self._finished = self._over = False
        self._unwrapped = self._calls = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        for event in self._sse.feed(data):
            self._take(event, out)
        return out

    def close(self) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        for event in self._sse.close():
            self._take(event, out)
        if not self._over:
            self._over = True
            out.append(StreamEnd() if self._finished else Failure(broken_stream()))
        return out

    def _take(self, sent: SseEvent, out: list[StreamEvent]) -> None:
        if self._over:
            return
        try:
            # the only events with a whole object that is written anew
            event = load(sent.data) if "content_block_start" in sent.data else orjson.loads(sent.data)
        except ValueError:
            event = self._unusual(sent.data, out)
        if not isinstance(event, dict):
            return
        kind = event.get("type") or sent.event
        handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is not None:
            handler(self, event, out)
        elif "error" in event:
            self._error(event, out)

    def _unusual(self, data: str, out: list[StreamEvent]) -> Any:
        """What the fast parser refuses: lone surrogates, or no JSON at all."""
        if data.strip() == "[DONE]":  # some servers end all their streams like OpenAI's
            return None
        try:
            return load(data)
        except ValueError:
            self._fail(broken_stream("the upstream's stream has an event that is no JSON"), out)
            return None

    def _fail(self, error: Any, out: list[StreamEvent]) -> None:
        self._over = True
        out.append(Failure(error))

    def _error(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        self._fail(from_document(event), out)

    def _ping(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        out.append(KeepAlive())

    # ------------------------------------------------------------ message

    def _message_start(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        if self._started:
            return
        message = event.get("message")
        if not isinstance(message, dict):
            message = {}
        self._started = True
        usage = message.get("usage")
        if isinstance(usage, dict):
            self._usage.update(usage)
        out.append(
            StreamStart(
                id=text_of(message, "id"),
                model=text_of(message, "model"),
                usage=decode_usage(usage) if isinstance(usage, dict) else None,
                service_tier=decode_tier(usage) if isinstance(usage, dict) else None,
                extensions=bag(leftover(message, _START)),
            )
        )

    def _require_start(self, out: list[StreamEvent]) -> None:
        if not self._started:
            self._message_start({}, out)

    def _message_delta(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        self._require_start(out)
        usage = event.get("usage")
        if isinstance(usage, dict):
            self._usage.update((key, value) for key, value in usage.items() if value is not None)
            out.append(UsageUpdate(decode_usage(self._usage)))
        delta = event.get("delta")
        if self._finished or not isinstance(delta, dict) or not delta.get("stop_reason"):
            return
        for index in sorted(self._blocks):
            self._end(index, out)
        self._finished = True
        reason = decode_stop(delta, unwrapped=self._unwrapped and not self._calls, has_calls=self._calls)
        extra = {**leftover(delta, _DELTA), **leftover(event, _MESSAGE_DELTA)}
        out.append(Finish(reason, extensions=bag(extra)))

    def _message_stop(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        if not self._finished:
            self._fail(broken_stream("the upstream's stream stopped without a stop reason"), out)
            return
        self._over = True
        out.append(StreamEnd())

    # ------------------------------------------------------------ blocks

    def _block_start(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        self._require_start(out)
        block = event.get("content_block")
        if self._finished or not isinstance(block, dict) or not isinstance(block.get("type"), str):
            return
        index = self._index(event)
        if index in self._blocks:
            self._end(index, out)
        part = decode_block(block, self._next)
        text = ""
        skeleton: Text | Thinking | ToolCall
        match part:
            case Text():
                if is_output_call(block):
                    self._unwrapped, text = True, kept_arguments(block.get("input"))
                else:
                    text = part.text
                skeleton = Text("", part.extensions)
            case Thinking(redacted=False):
                text, skeleton = part.text, Thinking("", part.signature, extensions=part.extensions)
            case ToolCall():
                self._calls = True
                skeleton = ToolCall(part.id, part.name, extensions=part.extensions)
            case _:
                self._blocks[index] = _Block(-1, block)
                return
        number = self._next
        self._next += 1
        self._blocks[index] = _Block(number, block)
        out.append(PartStart(number, skeleton))
        if text:
            out.append(PartDelta(number, text))

    def _index(self, event: dict[str, Any]) -> int:
        """The block that an event is about; where it does not say, the latest one."""
        index = event.get("index")
        if isinstance(index, int):
            return index
        return self._next if event.get("type") == "content_block_start" else max(self._blocks, default=-1)

    def _block_delta(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        block = self._blocks.get(self._index(event))
        delta = event.get("delta")
        if block is None or not isinstance(delta, dict):
            return
        kind = delta.get("type")
        key = _TEXT_KEYS.get(kind) if isinstance(kind, str) else None
        if key is None:
            self._other_delta(block, delta, out)
            return
        text = delta.get(key)
        if not isinstance(text, str) or not text:
            return
        if key == "partial_json":
            block.texts.append(text)
        if block.part >= 0:
            out.append(PartDelta(block.part, text))
        elif key != "partial_json":
            block.value[key] = text_of(block.value, key) + text

    def _other_delta(self, block: _Block, delta: dict[str, Any], out: list[StreamEvent]) -> None:
        match delta.get("type"):
            case "signature_delta":
                block.signature += text_of(delta, "signature")
                if block.part >= 0 and block.signature:
                    out.append(PartUpdate(block.part, signature_of(block.signature)))
            case "citations_delta":
                if block.part >= 0:
                    out.append(PartUpdate(block.part, extensions=bag({"citations": [delta.get("citation")]})))
            case "compaction_delta":
                for key, value in delta.items():
                    if key != "type" and isinstance(value, str):
                        block.value[key] = text_of(block.value, key) + value

    def _block_stop(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        index = self._index(event)
        if index in self._blocks:
            self._end(index, out)

    def _end(self, index: int, out: list[StreamEvent]) -> None:
        block = self._blocks.pop(index)
        if block.part >= 0:
            if block.value["type"] == "tool_use" and not block.texts:
                arguments = kept_arguments(block.value.get("input"))
                if arguments and block.value.get("name") != OUTPUT_TOOL:
                    out.append(PartDelta(block.part, arguments))
            out.append(PartEnd(block.part))
            return
        out += self._whole(block)

    def _whole(self, block: _Block) -> list[StreamEvent]:
        value = block.value
        if block.texts:
            joined = "".join(block.texts)
            parsed = load_object(joined)
            value["input"] = joined if parsed is None else parsed
        part = decode_block(value, self._next)
        if not isinstance(part, Opaque | Thinking):
            part = opaque(value, value["type"])
        number = self._next
        self._next += 1
        return [PartStart(number, part), PartEnd(number)]

    _HANDLERS: ClassVar[Mapping[str, _Handler]] = {
        "content_block_delta": _block_delta,
        "content_block_start": _block_start,
        "content_block_stop": _block_stop,
        "message_start": _message_start,
        "message_delta": _message_delta,
        "message_stop": _message_stop,
        "ping": _ping,
        "error": _error,
    }


_TEXT_KEYS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""Type of a delta -> where its text is."""
