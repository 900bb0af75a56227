"""The items of an upstream's stream while they grow: each turns its events into parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.canonical import (
    NO_EXTENSIONS,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Refusal,
    Signature,
    StreamEvent,
    Text,
    Thinking,
    ToolCall,
)
from adapters.openai_responses import notes
from adapters.openai_responses.items_decode import AFTER_CALL, BEFORE_CALL, mark_of
from adapters.openai_responses.response_decode import content_bag, decode_output
from adapters.signatures import from_client

_MESSAGE = frozenset({"type", "role", "content"})
_BREAK = notes.extensions({"_:break": True})
_SEPARATOR = "\n\n"


class Parts:
    """The events so far, and the numbers of the parts in them."""

    __slots__ = ("events", "signature", "skeletons")

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.skeletons: list[Part] = []
        self.signature: Signature | None = None
        """Of the next call."""

    def start(self, part: Part) -> int:
        if self.signature is not None and isinstance(part, ToolCall):
            part, self.signature = replace(part, signature=self.signature), None
        index = len(self.skeletons)
        self.skeletons.append(part)
        self.events.append(PartStart(index, part))
        return index

    def whole(self, part: Part) -> None:
        """A part whose text comes in one piece."""
        match part:
            case Text() | Refusal() | Thinking():
                index, text = self.start(replace(part, text="")), part.text
            case ToolCall():
                index, text = self.start(replace(part, arguments="")), part.arguments
            case _:
                index, text = self.start(part), ""
        if text:
            self.events.append(PartDelta(index, text))
        self.events.append(PartEnd(index))


class Item:
    """What all kinds of items can be told; most of it means nothing to most of them."""

    __slots__ = ("_ended", "_item", "_parts")

    def __init__(self, parts: Parts, item: Mapping[str, Any]) -> None:
        self._parts, self._item = parts, item
        self._ended = False

    def delta(self, event: Mapping[str, Any], kind: str) -> None:
        """More text; `kind` tells of what."""

    def part_added(self, event: Mapping[str, Any], part: Mapping[str, Any]) -> None: ...

    def part_done(self, event: Mapping[str, Any], part: Mapping[str, Any]) -> None: ...

    def annotation(self, event: Mapping[str, Any]) -> None: ...

    def done(self, item: Mapping[str, Any]) -> None:
        """The finished item."""
        if not self._ended:
            self._ended = True
            self._finish(item)

    def end(self) -> None:
        """The stream ends, and the item was never said to be done."""
        if not self._ended:
            self._ended = True
            self._finish(None)

    def _finish(self, item: Mapping[str, Any] | None) -> None:
        raise NotImplementedError


class WholeItem(Item):
    """An item without deltas that matter: it is read from its end."""

    def _finish(self, item: Mapping[str, Any] | None) -> None:
        for part in decode_output([dict(item if item is not None else self._item)]):
            self._parts.whole(part)


class _Content:
    """A content part of a message."""

    __slots__ = ("annotations", "ended", "index", "length", "noted")

    def __init__(self, index: int) -> None:
        self.index = index
        self.length = 0
        self.annotations = 0
        self.noted = False
        self.ended = False


class MessageItem(Item):
    """A message: its content parts by `content_index`."""

    __slots__ = ("_about", "_contents")

    def __init__(self, parts: Parts, item: Mapping[str, Any]) -> None:
        super().__init__(parts, item)
        self._contents: dict[int, _Content] = {}
        self._about = notes.rest(item, _MESSAGE)

    def _content(self, event: Mapping[str, Any], kind: str) -> _Content:
        at = event.get("content_index")
        at = at if isinstance(at, int) else max(self._contents, default=0)
        found = self._contents.get(at)
        if found is None:
            bag = content_bag(NO_EXTENSIONS, self._about)
            part = Refusal("", bag) if kind == "refusal" else Text("", bag)
            found = self._contents[at] = _Content(self._parts.start(part))
        return found

    def delta(self, event: Mapping[str, Any], kind: str) -> None:
        text = event.get("delta")
        if not text or not isinstance(text, str):
            return
        content = self._content(event, kind)
        if content.ended:
            return
        content.length += len(text)
        logprobs = event.get("logprobs")
        extensions = notes.extensions({"logprobs": logprobs}) if logprobs else NO_EXTENSIONS
        content.noted = content.noted or bool(logprobs)
        self._parts.events.append(PartDelta(content.index, text, extensions=extensions))

    def part_added(self, event: Mapping[str, Any], part: Mapping[str, Any]) -> None:
        self._content(event, str(part["type"]))

    def annotation(self, event: Mapping[str, Any]) -> None:
        annotation = event.get("annotation")
        if not isinstance(annotation, dict):
            return
        content = self._content(event, "output_text")
        if not content.ended:
            content.annotations += 1
            bag = notes.extensions({"annotations": [annotation]})
            self._parts.events.append(PartUpdate(content.index, extensions=bag))

    def part_done(self, event: Mapping[str, Any], part: Mapping[str, Any]) -> None:
        kind = str(part["type"])
        content = self._content(event, kind)
        if content.ended:
            return
        content.ended = True
        text = part.get("refusal" if kind == "refusal" else "text")
        if not content.length and text and isinstance(text, str):
            self._parts.events.append(PartDelta(content.index, text))
        annotations = part.get("annotations")
        rest = annotations[content.annotations :] if isinstance(annotations, list) else []
        bag: dict[str, Any] = {"annotations": rest} if rest else {}
        logprobs = part.get("logprobs")
        if logprobs and not content.noted:
            bag["logprobs"] = logprobs
        if bag:
            self._parts.events.append(PartUpdate(content.index, extensions=notes.extensions(bag)))
        self._parts.events.append(PartEnd(content.index))

    def _finish(self, item: Mapping[str, Any] | None) -> None:
        contents = item.get("content") if item is not None else None
        for at, part in enumerate(contents if isinstance(contents, list) else []):
            if isinstance(part, dict) and part.get("type") in ("output_text", "refusal"):
                self.part_done({"content_index": at}, part)
        for content in self._contents.values():
            if not content.ended:
                content.ended = True
                self._parts.events.append(PartEnd(content.index))


class ReasoningItem(Item):
    """Reasoning: begins with its first text, or at its end if there is nothing but ciphertext."""

    __slots__ = ("_index", "_section")

    def __init__(self, parts: Parts, item: Mapping[str, Any]) -> None:
        super().__init__(parts, item)
        self._index: int | None = None
        self._section: tuple[str, Any] | None = None

    def delta(self, event: Mapping[str, Any], kind: str) -> None:
        text = event.get("delta")
        if not text or not isinstance(text, str) or self._ended:
            return
        section = (kind, event.get(kind))
        if self._section is None:
            self._section = section
        elif section != self._section:
            if kind == "summary_index" and self._section[0] == "content_index":
                return  # the thoughts themselves came already: their summary says nothing new
            self._section = section
            self._parts.events.append(PartDelta(self._open(), _SEPARATOR, extensions=_BREAK))
        self._parts.events.append(PartDelta(self._open(), text))

    def _open(self) -> int:
        if self._index is None:
            item_id = self._item.get("id")
            self._index = self._parts.start(Thinking("", id=item_id if isinstance(item_id, str) else None))
        return self._index

    def _finish(self, item: Mapping[str, Any] | None) -> None:
        encrypted = item.get("encrypted_content") if item is not None else None
        signature = Signature(encrypted, notes.PROTOCOL) if isinstance(encrypted, str) and encrypted else None
        if self._index is None:
            if item is not None:
                self._whole(item, signature)
            return
        if item is not None:
            bag = notes.extensions({"_:raw": item})
            self._parts.events.append(PartUpdate(self._index, signature, bag))
        self._parts.events.append(PartEnd(self._index))

    def _whole(self, item: Mapping[str, Any], signature: Signature | None) -> None:
        mark = mark_of(from_client(signature.value, notes.PROTOCOL).origin) if signature else ""
        if signature and mark == BEFORE_CALL:
            self._parts.signature = signature
            return
        if signature and mark == AFTER_CALL:  # the call has ended: its signature stays an item of its own
            bag = notes.extensions({"_:raw": item})
            self._parts.whole(Thinking("", signature, redacted=True, extensions=bag))
            return
        for part in decode_output([dict(item)]):
            self._parts.whole(part)


class CallItem(Item):
    """A call of a function or a free-text tool."""

    __slots__ = ("_index", "_length")

    def __init__(self, parts: Parts, item: dict[str, Any], at: int) -> None:
        super().__init__(parts, item)
        self._length = 0
        key = "input" if item.get("type") == "custom_tool_call" else "arguments"
        call_id = item.get("call_id") or item.get("id") or f"call_{at}"
        (call,) = decode_output([{**item, key: "", "call_id": call_id}])
        self._index = parts.start(call)
        text = item.get(key)
        if text and isinstance(text, str):
            self.delta({"delta": text}, key)

    def delta(self, event: Mapping[str, Any], kind: str) -> None:
        text = event.get("delta")
        if text and isinstance(text, str) and not self._ended:
            self._length += len(text)
            self._parts.events.append(PartDelta(self._index, text))

    def _finish(self, item: Mapping[str, Any] | None) -> None:
        if item is not None:
            text = item.get("arguments", item.get("input"))
            if not self._length and text and isinstance(text, str):
                self._parts.events.append(PartDelta(self._index, text))
            if item.get("status") is not None:
                bag = notes.extensions({"_status": item["status"]})
                self._parts.events.append(PartUpdate(self._index, extensions=bag))
        self._parts.events.append(PartEnd(self._index))
