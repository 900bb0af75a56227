"""An upstream's stream to events.

Items are told by `output_index`, content within a message by `content_index` too. Servers differ in what
they leave out (added events, deltas, numbers): whatever was not told by deltas is read from the item's
`done`, and at the last from the final response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from adapters.assemble import broken_stream
from adapters.canonical import (
    ChatError,
    Extensions,
    Failure,
    Finish,
    StreamEnd,
    StreamEvent,
    StreamStart,
    UsageUpdate,
)
from adapters.errors import InvalidResponse
from adapters.framing import SseDecoder
from adapters.openai_chat.errors import stream_error
from adapters.openai_responses import notes
from adapters.openai_responses.response_decode import MAPPED, created_of
from adapters.openai_responses.stream_items import (
    CallItem,
    Item,
    MessageItem,
    Parts,
    ReasoningItem,
    WholeItem,
)
from adapters.openai_responses.usage import decode_finish, decode_usage


class ResponsesStreamDecoder:
    """Bytes in any chunking to events."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._parts = Parts()
        self._items: dict[int, Item] = {}
        self._by_id: dict[str, int] = {}
        self._current = -1
        self._started = False
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        for event in self._sse.feed(data):
            self._document(event.data)
        return self._take()

    def close(self) -> list[StreamEvent]:
        for event in self._sse.close():
            self._document(event.data)
        if not self._ended:
            self._fail(broken_stream())
        return self._take()

    def _take(self) -> list[StreamEvent]:
        events = self._parts.events
        self._parts.events = []
        return events

    # ------------------------------------------------------------ documents

    def _document(self, data: str) -> None:
        if self._ended or data == "[DONE]":
            return
        try:
            event = orjson.loads(data)
        except ValueError:
            self._fail(broken_stream("the upstream's stream has an event that is no JSON"))
            return
        if not isinstance(event, dict):
            return
        kind = event.get("type")
        handle = self._handlers.get(kind) if isinstance(kind, str) else None
        try:
            if handle is not None:
                handle(self, event)
            elif kind is None and event.get("error"):
                self._error(event)
        except InvalidResponse as error:
            self._fail(broken_stream(f"the upstream's stream cannot be read: {error}"))

    def _begin(self, event: Mapping[str, Any]) -> None:
        if self._started:
            return
        self._started = True
        response = event.get("response")
        if not isinstance(response, dict):
            response = {}
        tier = response.get("service_tier")
        self._parts.events.append(
            StreamStart(
                id=str(response.get("id") or ""),
                model=str(response.get("model") or ""),
                created=created_of(response),
                service_tier=tier if isinstance(tier, str) else None,
                extensions=notes.extensions(
                    {f"_{key}": one for key, one in response.items() if key not in MAPPED}
                ),
            )
        )

    # ------------------------------------------------------------ items

    def _place(self, event: Mapping[str, Any]) -> int:
        at = event.get("output_index")
        if isinstance(at, int) and at >= 0:
            return at
        item_id = event.get("item_id")
        return self._by_id.get(item_id, self._current) if isinstance(item_id, str) else self._current

    def _next(self) -> int:
        """The place of an item that has none."""
        return max(self._items, default=-1) + 1

    def _added(self, event: Mapping[str, Any]) -> None:
        self._begin({})
        item = event.get("item")
        if not isinstance(item, dict):
            return
        at = event.get("output_index")
        if not isinstance(at, int) or at < 0:
            at = self._next()
        if at not in self._items:
            self._open(at, item)

    def _open(self, at: int, item: dict[str, Any]) -> Item:
        item_id = item.get("id")
        if isinstance(item_id, str):
            self._by_id[item_id] = at
        self._current = at
        match item.get("type"):
            case "message":
                opened: Item = MessageItem(self._parts, item)
            case "reasoning":
                opened = ReasoningItem(self._parts, item)
            case "function_call" | "custom_tool_call":
                opened = CallItem(self._parts, item, at)
            case _:
                opened = WholeItem(self._parts, item)
        self._items[at] = opened
        return opened

    def _item(self, event: Mapping[str, Any], kind: str) -> Item:
        """The item of a delta, opened now if the server never said that it was added."""
        self._begin({})
        at = self._place(event)
        found = self._items.get(at)
        if found is None:
            found = self._open(at if at >= 0 else self._next(), {"type": kind, "id": event.get("item_id")})
        return found

    def _done(self, event: Mapping[str, Any]) -> None:
        self._begin({})
        item = event.get("item")
        if not isinstance(item, dict):
            return
        at = event.get("output_index")
        if not isinstance(at, int) or at < 0:
            item_id = item.get("id")
            at = self._by_id.get(item_id, -1) if isinstance(item_id, str) else self._current
            at = at if at >= 0 else self._next()
        opened = self._items.get(at) or self._open(at, item)
        opened.done(item)

    # ------------------------------------------------------------ deltas

    def _text_delta(self, event: Mapping[str, Any]) -> None:
        self._item(event, "message").delta(event, "output_text")

    def _refusal_delta(self, event: Mapping[str, Any]) -> None:
        self._item(event, "message").delta(event, "refusal")

    def _content_added(self, event: Mapping[str, Any]) -> None:
        part = event.get("part")
        if isinstance(part, dict) and part.get("type") in ("output_text", "refusal"):
            self._item(event, "message").part_added(event, part)

    def _content_done(self, event: Mapping[str, Any]) -> None:
        part = event.get("part")
        if isinstance(part, dict) and part.get("type") in ("output_text", "refusal"):
            self._item(event, "message").part_done(event, part)

    def _annotation(self, event: Mapping[str, Any]) -> None:
        self._item(event, "message").annotation(event)

    def _reasoning_delta(self, event: Mapping[str, Any]) -> None:
        self._item(event, "reasoning").delta(event, "summary_index")

    def _reasoning_text_delta(self, event: Mapping[str, Any]) -> None:
        self._item(event, "reasoning").delta(event, "content_index")

    def _arguments_delta(self, event: Mapping[str, Any]) -> None:
        self._item(event, "function_call").delta(event, "arguments")

    def _input_delta(self, event: Mapping[str, Any]) -> None:
        self._item(event, "custom_tool_call").delta(event, "input")

    # ------------------------------------------------------------ the end

    def _completed(self, event: Mapping[str, Any]) -> None:
        self._begin(event)
        response = event.get("response")
        if not isinstance(response, dict):
            response = {"status": str(event.get("type", "")).removeprefix("response.")}
        if response.get("status") == "failed":
            self._failed(event)
            return
        output = response.get("output")
        for at, item in enumerate(output if isinstance(output, list) else []):
            if isinstance(item, dict) and at not in self._items and str(item.get("id")) not in self._by_id:
                self._open(at, item).done(item)
        for opened in self._items.values():
            opened.end()
        self._ended = True
        events = self._parts.events
        events.append(Finish(decode_finish(response, self._parts.skeletons)))
        usage = decode_usage(response.get("usage"))
        if usage is not None:
            events.append(UsageUpdate(usage))
        events.append(StreamEnd(_echo(response)))

    def _failed(self, event: Mapping[str, Any]) -> None:
        response = event.get("response")
        error = response.get("error") if isinstance(response, dict) else None
        self._fail(stream_error(error if isinstance(error, dict) else {"message": error or ""}))

    def _error(self, event: Mapping[str, Any]) -> None:
        inner = event.get("error")
        self._fail(stream_error(inner if isinstance(inner, dict) else {**event, "type": None}))

    def _fail(self, error: ChatError) -> None:
        if not self._ended:
            self._ended = True
            self._parts.events.append(Failure(error))

    _handlers: Mapping[str, Callable[[ResponsesStreamDecoder, Mapping[str, Any]], None]] = {
        "response.output_text.delta": _text_delta,
        "response.function_call_arguments.delta": _arguments_delta,
        "response.reasoning_summary_text.delta": _reasoning_delta,
        "response.reasoning_text.delta": _reasoning_text_delta,
        "response.custom_tool_call_input.delta": _input_delta,
        "response.refusal.delta": _refusal_delta,
        "response.created": _begin,
        "response.in_progress": _begin,
        "response.queued": _begin,
        "response.output_item.added": _added,
        "response.output_item.done": _done,
        "response.content_part.added": _content_added,
        "response.content_part.done": _content_done,
        "response.output_text.annotation.added": _annotation,
        "response.completed": _completed,
        "response.incomplete": _completed,
        "response.cancelled": _completed,
        "response.failed": _failed,
        "error": _error,
    }
    """Event type -> what it does. Types that are not here tell nothing that an item's end does not."""


def _echo(response: Mapping[str, Any]) -> Extensions:
    """What else the response object says. Lists are echoes of the request, and would add up."""
    told = {key: one for key, one in response.items() if not isinstance(one, list)}
    return notes.extensions(notes.quiet(told, MAPPED))
