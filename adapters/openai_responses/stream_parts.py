"""What is open in a stream to the client: a message with its content, a reasoning item, a call.

Each writes its own `added`, delta and `done` events through the stream's `Emitter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.assemble import merge_extensions
from adapters.canonical import (
    NO_EXTENSIONS,
    Part,
    PartDelta,
    PartUpdate,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from adapters.framing import sse
from adapters.jsontext import dump_bytes
from adapters.openai_responses import items_output, notes
from adapters.openai_responses.items_decode import AFTER_CALL
from adapters.openai_responses.items_encode import MINTED_REASONING

_WITH_PROGRESS = frozenset({"function_call", "custom_tool_call", "image_generation_call", "web_search_call"})


class Emitter:
    """Numbers the events and keeps the output's items by their places."""

    __slots__ = ("_number", "_stem", "_waiting", "output")

    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._number = 0
        self._waiting: list[bytes] = []
        self.output: list[dict[str, Any]] = []

    @property
    def suffix(self) -> str:
        """The end of the next item's id."""
        return f"{self._stem}{len(self.output)}"

    def raw(self, data: bytes) -> None:
        self._waiting.append(data)

    def emit(self, kind: str, fields: dict[str, Any]) -> None:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        self._waiting.append(sse(dump_bytes(event), kind))

    def take(self) -> bytes:
        """What was written since the last time."""
        out = b"".join(self._waiting)
        self._waiting = []
        return out

    def add(self, item: dict[str, Any]) -> int:
        """A new item; its place in the output."""
        at = len(self.output)
        self.output.append(item)
        self.emit("response.output_item.added", {"output_index": at, "item": item})
        return at

    def done(self, at: int, item: dict[str, Any]) -> None:
        self.output[at] = item
        self.emit("response.output_item.done", {"output_index": at, "item": item})

    def whole(self, item: dict[str, Any]) -> None:
        """An item that comes in one piece."""
        started = {**item, "status": "in_progress"} if item.get("type") in _WITH_PROGRESS else item
        self.done(self.add(started), item)


class OpenPart:
    """A part whose deltas arrive."""

    __slots__ = ("emitter", "part", "texts")

    def __init__(self, emitter: Emitter, part: Part) -> None:
        self.emitter, self.part = emitter, part
        self.texts: list[str] = []

    def delta(self, event: PartDelta) -> None:
        raise NotImplementedError

    def update(self, event: PartUpdate) -> None:
        part = self.part
        if isinstance(part, Thinking | ToolCall) and event.signature is not None:
            part = replace(part, signature=event.signature)
        if event.extensions and isinstance(part, Text | Refusal | Thinking | ToolCall):
            part = replace(part, extensions=merge_extensions(part.extensions, event.extensions))
        self.part = part

    def end(self) -> None:
        raise NotImplementedError


class OpenMessage:
    """An open message item with its content so far."""

    __slots__ = ("about", "at", "content", "emitter", "id")

    def __init__(self, emitter: Emitter, about: Mapping[str, Any]) -> None:
        self.emitter, self.about = emitter, about
        self.content: list[dict[str, Any]] = []
        item = items_output.message_item(about, f"msg_{emitter.suffix}", "in_progress", [])
        self.id: str = item["id"]
        self.at = emitter.add(item)

    def close(self, status: str) -> None:
        self.emitter.done(self.at, items_output.message_item(self.about, self.id, status, self.content))


class OpenContent(OpenPart):
    """Text or a refusal within a message item."""

    __slots__ = ("_annotated", "_is_text", "_message", "_place")

    def __init__(self, emitter: Emitter, message: OpenMessage, part: Text | Refusal) -> None:
        super().__init__(emitter, part)
        self._message = message
        self._is_text = isinstance(part, Text)
        self._annotated = 0
        self._place = {
            "item_id": message.id,
            "output_index": message.at,
            "content_index": len(message.content),
        }
        empty = items_output.content_part(replace(part, text="", extensions=NO_EXTENSIONS))
        emitter.emit("response.content_part.added", {**self._place, "part": empty})
        if part.text:
            self.delta(PartDelta(0, part.text))

    def delta(self, event: PartDelta) -> None:
        if not event.text:
            return
        self.texts.append(event.text)
        if self._is_text:
            bag = event.extensions and notes.own(event.extensions)
            logprobs: Any = bag.get("logprobs", []) if bag else []
            fields = {**self._place, "delta": event.text, "logprobs": logprobs}
            self.emitter.emit("response.output_text.delta", fields)
        else:
            self.emitter.emit("response.refusal.delta", {**self._place, "delta": event.text})

    def update(self, event: PartUpdate) -> None:
        super().update(event)
        annotations = notes.own(event.extensions).get("annotations")
        for annotation in annotations if isinstance(annotations, list) else ():
            fields = {**self._place, "annotation_index": self._annotated, "annotation": annotation}
            self.emitter.emit("response.output_text.annotation.added", fields)
            self._annotated += 1

    def end(self) -> None:
        text = "".join(self.texts)
        assert isinstance(self.part, Text | Refusal)
        written = items_output.content_part(replace(self.part, text=text))
        self._message.about = items_output.message_of(self.part) or self._message.about
        if self._is_text:
            fields = {**self._place, "text": text, "logprobs": written["logprobs"] or []}
            self.emitter.emit("response.output_text.done", fields)
        else:
            self.emitter.emit("response.refusal.done", {**self._place, "refusal": text})
        self.emitter.emit("response.content_part.done", {**self._place, "part": written})
        self._message.content.append(written)


class OpenReasoning(OpenPart):
    """A reasoning item: a summary of one or more parts."""

    __slots__ = ("_at", "_finished", "_id", "_place")

    def __init__(self, emitter: Emitter, part: Thinking) -> None:
        super().__init__(emitter, part)
        item = items_output.reasoning_of(
            replace(part, signature=None), f"{MINTED_REASONING}{emitter.suffix}", ()
        )
        self._id: str = item["id"]
        self._at = emitter.add(item)
        self._finished: list[str] = []
        self._place: dict[str, Any] | None = None
        if part.text:
            self.delta(PartDelta(0, part.text))

    def delta(self, event: PartDelta) -> None:
        if event.extensions and "_:break" in notes.own(event.extensions):
            self._end_summary()
            return
        if not event.text:
            return
        if self._place is None:
            self._place = {
                "item_id": self._id,
                "output_index": self._at,
                "summary_index": len(self._finished),
            }
            empty = {"type": "summary_text", "text": ""}
            self.emitter.emit("response.reasoning_summary_part.added", {**self._place, "part": empty})
        self.texts.append(event.text)
        self.emitter.emit("response.reasoning_summary_text.delta", {**self._place, "delta": event.text})

    def _end_summary(self) -> None:
        if self._place is None:
            return
        text = "".join(self.texts)
        self.emitter.emit("response.reasoning_summary_text.done", {**self._place, "text": text})
        part = {"type": "summary_text", "text": text}
        self.emitter.emit("response.reasoning_summary_part.done", {**self._place, "part": part})
        self._finished.append(text)
        self.texts, self._place = [], None

    def end(self) -> None:
        self._end_summary()
        assert isinstance(self.part, Thinking)
        item = items_output.reasoning_of(self.part, self._id, self._finished)
        raw = notes.own(self.part.extensions).get("_:raw") or {}
        if raw.get("summary", []) == item["summary"]:
            item = {**raw, **item}
        self.emitter.done(self._at, {**item, "id": self._id})


class OpenCall(OpenPart):
    """A call of a function or of a free-text tool. Items of other kinds come whole at their end."""

    __slots__ = ("_at", "_early_signature", "_event", "_key", "_kinds", "_place", "_suffix")

    def __init__(self, emitter: Emitter, part: ToolCall, kinds: Mapping[str, str]) -> None:
        super().__init__(emitter, part)
        self._early_signature = part.signature
        carrier = items_output.signature_item(part, f"{MINTED_REASONING}{emitter.suffix}")
        if carrier:
            emitter.whole(carrier)
        suffix = emitter.suffix
        self._suffix, self._kinds = suffix, kinds
        item = items_output.call_item(replace(part, arguments=""), suffix, kinds)
        self._key, self._event = _CALL_EVENTS.get(item["type"], ("", ""))
        self._at = -1
        self._place: dict[str, Any] = {}
        if self._event:
            self._at = emitter.add({**item, "status": "in_progress", self._key: ""})
            self._place = {"item_id": item["id"], "output_index": self._at}
        if part.arguments:
            self.delta(PartDelta(0, part.arguments))

    def delta(self, event: PartDelta) -> None:
        if not event.text:
            return
        self.texts.append(event.text)
        if self._event:
            self.emitter.emit(f"{self._event}.delta", {**self._place, "delta": event.text})

    def end(self) -> None:
        assert isinstance(self.part, ToolCall)
        call = replace(self.part, arguments="".join(self.texts))
        item = items_output.call_item(call, self._suffix, self._kinds)
        if not self._event:
            self.emitter.whole(item)
            return
        if not call.arguments and item[self._key]:
            self.delta(PartDelta(0, item[self._key]))
        self.emitter.emit(f"{self._event}.done", {**self._place, self._key: item[self._key]})
        self.emitter.done(self._at, {**item, "id": self._place["item_id"]})
        if self._early_signature is None:
            carrier = items_output.signature_item(self.part, f"{MINTED_REASONING}{self._suffix}s", AFTER_CALL)
            if carrier:
                self.emitter.whole(carrier)


_CALL_EVENTS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}
"""Item type -> the key of its text, and the stem of its events."""
