"""Gemini's stream to events: every chunk is a whole GenerateContentResponse with what is new.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from adapters.assemble import broken_stream
from adapters.canonical import (
    ChatError,
    Failure,
    Finish,
    FinishReason,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
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
from adapters.errors import STATUS, InvalidRequest
from adapters.framing import JsonArrayDecoder, SseDecoder
from adapters.gemini.calls import AnswerIds
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.errors import of_document
from adapters.gemini.partial_arguments import put
from adapters.gemini.parts_decode import decode_part, extensions_of
from adapters.gemini.reading import fields, items
from adapters.gemini.response import blocked, decode_usage, finish_reason
from adapters.jsontext import dump, load

_PLAIN_TEXT = {"text"}
_PLAIN_THOUGHT = {"text", "thought"}


class GeminiStreamDecoder:
    """Server-sent events (`alt=sse`) or one JSON array: the first byte tells which."""

    def __init__(self) -> None:
        self._frames: SseDecoder | JsonArrayDecoder | None = None
        self._head = b""
        self._answer = _Answer()

    def feed(self, data: bytes) -> list[StreamEvent]:
        frames = self._frames or self._choose(data)
        if frames is None or self._answer.over:
            return []
        if self._head:
            data, self._head = self._head, b""
        events: list[StreamEvent] = []
        for frame in frames.feed(data):
            self._answer.take(frame if isinstance(frame, bytes) else frame.data, events)
        return events

    def _choose(self, data: bytes) -> SseDecoder | JsonArrayDecoder | None:
        self._head += data
        first = self._head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if first:
            self._frames = JsonArrayDecoder() if first in b"[{" else SseDecoder()
        return self._frames

    def close(self) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if self._answer.over:
            return events
        for frame in self._frames.close() if self._frames else []:
            self._answer.take(frame if isinstance(frame, bytes) else frame.data, events)
        self._answer.close(events)
        return events


@dataclass(slots=True)
class _Candidate:
    """What is open of one candidate."""

    index: int
    parts: int = 0
    open: str = ""
    """`text`, `thought` or nothing: the part that further text continues."""
    calls: bool = False
    finish: str | None = None
    bag: dict[str, Any] = field(default_factory=dict)
    call: ToolCall | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


class _Answer:
    """Chunks to events. The finish waits for the end: some models say STOP in every chunk."""

    def __init__(self) -> None:
        self.over = False
        self._ids: AnswerIds | None = None
        self._candidates: dict[int, _Candidate] = {}
        self._usage: Any = None
        self._bag: dict[str, Any] = {}
        self._blocked: FinishReason | None = None

    # ------------------------------------------------------------ chunks

    def take(self, text: str | bytes, events: list[StreamEvent]) -> None:
        if self.over or not text.strip() or text in ("[DONE]", b"[DONE]"):
            return
        try:
            self._chunk(_parsed(text), events)
        except InvalidRequest as error:
            self._fail(ChatError("upstream", f"the upstream's stream: {error}", STATUS["upstream"]), events)
        except ValueError:
            self._fail(broken_stream("the upstream's stream has a chunk that is not JSON"), events)

    def _fail(self, error: ChatError, events: list[StreamEvent]) -> None:
        self.over = True
        events.append(Failure(error))

    def _chunk(self, chunk: Any, events: list[StreamEvent]) -> None:
        if isinstance(chunk, dict) and isinstance(chunk.get("error"), dict):
            self._fail(of_document(chunk["error"]), events)
            return
        members = fields(chunk, "")
        usage = members.pop("usageMetadata", None)
        candidates = members.pop("candidates", None)
        response_id, model = members.pop("responseId", None), members.pop("modelVersion", None)
        if usage is not None:
            self._usage = usage
        if self._ids is None:
            self._start(response_id, model, events)
        if members:
            self._bag.update(members)
            if "promptFeedback" in members and not candidates:
                self._blocked = blocked(members["promptFeedback"])
        for at, raw in enumerate(candidates if isinstance(candidates, list) else ()):
            self._candidate(raw, at, events)

    def _start(self, response_id: Any, model: Any, events: list[StreamEvent]) -> None:
        response_id = response_id if isinstance(response_id, str) else ""
        self._ids = AnswerIds(response_id)
        events.append(
            StreamStart(response_id, model if isinstance(model, str) else "", usage=decode_usage(self._usage))
        )

    def _candidate(self, raw: Any, at: int, events: list[StreamEvent]) -> None:
        where = f"candidates[{at}]"
        members = fields(raw, where)
        index = members.pop("index", at)
        index = index if isinstance(index, int) and not isinstance(index, bool) else at
        candidate = self._candidates.get(index)
        if candidate is None:
            candidate = self._candidates[index] = _Candidate(index)
        content = members.pop("content", None)
        finish = members.pop("finishReason", None)
        if isinstance(content, dict):
            parts = content.get("parts")
            for position, part in enumerate(parts if isinstance(parts, list) else ()):
                self._part(candidate, part, f"{where}.content.parts[{position}]", events)
        if isinstance(finish, str) and finish != "FINISH_REASON_UNSPECIFIED":
            candidate.finish = finish
        for key, value in members.items():
            if value or key not in candidate.bag:  # an empty groundingMetadata stands in every chunk
                candidate.bag[key] = value

    # ------------------------------------------------------------ parts

    def _part(self, one: _Candidate, raw: Any, where: str, events: list[StreamEvent]) -> None:
        if isinstance(raw, dict) and isinstance(raw.get("text"), str):
            if raw.keys() == _PLAIN_TEXT:
                self._words(one, "text", raw["text"], events)
                return
            if raw.keys() == _PLAIN_THOUGHT and isinstance(raw["thought"], bool):
                self._words(one, "thought" if raw["thought"] else "text", raw["text"], events)
                return
        if isinstance(raw, dict) and self._continues_call(one, raw, where, events):
            return
        assert self._ids is not None
        for part in decode_part(raw, where, self._ids):
            match part:
                case Text():
                    self._words(one, "text", part.text, events, part)
                case Thinking():
                    self._words(one, "thought", part.text, events, part)
                case ToolCall():
                    one.calls = True
                    self._whole(one, replace(part, arguments=""), part.arguments, events)
                case _:
                    self._whole(one, part, "", events)

    def _words(
        self,
        one: _Candidate,
        kind: str,
        text: str,
        events: list[StreamEvent],
        part: Text | Thinking | None = None,
    ) -> None:
        """Text that continues the open part of its kind, or begins one. A signature ends its part:
        "don't merge one part with a signature with another part without a signature"."""
        if not text and part is None:
            return
        if one.open != kind:
            self._close(one, events)
            one.open = kind
            skeleton: Part = Text("") if kind == "text" else Thinking("")
            events.append(PartStart(one.parts, skeleton, one.index))
            one.parts += 1
        at = one.parts - 1
        if text:
            events.append(PartDelta(at, text, one.index))
        if part is None:
            return
        signature = part.signature if isinstance(part, Thinking) else None
        bag = {key: value for key, value in part.extensions.get(PROTOCOL, {}).items() if key != "_unsigned"}
        if signature or bag:
            events.append(PartUpdate(at, signature, extensions_of(bag), one.index))
        if signature or "thoughtSignature" in bag:
            self._close(one, events)

    def _whole(self, one: _Candidate, skeleton: Part, text: str, events: list[StreamEvent]) -> None:
        self._close(one, events)
        events.append(PartStart(one.parts, skeleton, one.index))
        if text:
            events.append(PartDelta(one.parts, text, one.index))
        events.append(PartEnd(one.parts, one.index))
        one.parts += 1

    def _close(self, one: _Candidate, events: list[StreamEvent]) -> None:
        if one.open:
            events.append(PartEnd(one.parts - 1, one.index))
            one.open = ""
        if one.call is not None:
            call, one.call = one.call, None
            self._whole(one, call, dump(one.arguments), events)

    # ------------------------------------------------------------ calls in pieces

    def _continues_call(
        self, one: _Candidate, raw: dict[str, Any], where: str, events: list[StreamEvent]
    ) -> bool:
        """Whether the part is a piece of a call: it begins with a name, goes on without one."""
        value = raw.get("functionCall") or raw.get("function_call")
        if value is None and not ("functionCall" in raw and one.call is not None):
            return False
        call = fields(value or {}, f"{where}.functionCall")
        goes_on = call.get("willContinue") is True
        begins = isinstance(call.get("name"), str)
        if begins and not (goes_on or "partialArgs" in call):
            return False
        if begins:
            assert self._ids is not None
            pieces = call.pop("partialArgs", [])
            call.pop("willContinue", None)
            part = decode_part({**raw, "functionCall": call}, where, self._ids)[-1]
            self._close(one, events)
            one.calls = True
            given = load(part.arguments) if isinstance(part, ToolCall) else {}
            one.call = replace(part, arguments="") if isinstance(part, ToolCall) else None
            one.arguments = given if isinstance(given, dict) else {}
        else:
            if one.call is None:
                return False
            pieces = call.get("partialArgs", [])
            signature = raw.get("thoughtSignature")
            if isinstance(signature, str):
                one.call = replace(one.call, signature=Signature(signature, PROTOCOL))
        for piece in items(pieces, f"{where}.functionCall.partialArgs"):
            put(one.arguments, piece)
        if not goes_on:
            self._close(one, events)
        return True

    # ------------------------------------------------------------ the end

    def close(self, events: list[StreamEvent]) -> None:
        if self.over:
            return
        self.over = True
        unfinished = any(one.finish is None for one in self._candidates.values())
        if self._ids is None or unfinished or not (self._candidates or self._blocked):
            events.append(Failure(broken_stream()))
            return
        for one in self._candidates.values():
            self._close(one, events)
            reason = finish_reason(one.finish, calls=one.calls)
            events.append(Finish(reason, one.index, extensions_of(one.bag)))
        if not self._candidates and self._blocked:
            events.append(Finish(self._blocked))
        usage: Usage | None = decode_usage(self._usage)
        if usage is not None:
            events.append(UsageUpdate(usage))
        events.append(StreamEnd(extensions_of(self._bag)))


def _parsed(text: str | bytes) -> Any:
    """Arguments may hold integers beyond 64 bits, which only the slower reader keeps."""
    calls = b"unctionCall" in text if isinstance(text, bytes) else "unctionCall" in text
    return load(text) if calls else orjson.loads(text)
