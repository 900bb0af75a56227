"""Ids of tool calls that are new to the conversation.

Some upstreams give none, or count from `call_0` in every answer. A client that meets an id again takes
the new call for the old one: it finds it answered, and waits for ever. So an id that the conversation
has already, or an empty one, is replaced before the answer is encoded. All others stay.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.canonical import (
    ChatRequest,
    ChatResponse,
    Part,
    PartStart,
    StreamEvent,
    ToolCall,
    ToolResult,
)
from adapters.codec import StreamDecoder


class FreshIds:
    """For one answer. `stem` is unlike that of any other answer: `[a-z0-9]`, at most 40 characters."""

    __slots__ = ("_stem", "_taken")

    def __init__(self, request: ChatRequest, stem: str) -> None:
        self._stem = stem
        self._taken = {
            part.id if isinstance(part, ToolCall) else part.call_id
            for message in request.messages
            for part in message.parts
            if isinstance(part, ToolCall | ToolResult)
        }

    def call(self, call: ToolCall) -> ToolCall:
        """The call under an id of its own. To be asked once for each call, in their order."""
        fresh = call.id
        count = 0
        while not fresh or fresh in self._taken:
            fresh = f"call_{self._stem}_{count}"
            count += 1
        self._taken.add(fresh)
        return call if fresh == call.id else replace(call, id=fresh)

    def part(self, part: Part) -> Part:
        return self.call(part) if isinstance(part, ToolCall) else part

    def response(self, response: ChatResponse) -> ChatResponse:
        choices = tuple(
            replace(choice, parts=tuple(self.part(part) for part in choice.parts))
            for choice in response.choices
        )
        return replace(response, choices=choices)


class FreshIdsDecoder:
    """A stream decoder whose calls have fresh ids."""

    __slots__ = ("_decoder", "_ids")

    def __init__(self, decoder: StreamDecoder, ids: FreshIds) -> None:
        self._decoder = decoder
        self._ids = ids

    def feed(self, data: bytes) -> list[StreamEvent]:
        return [self._event(event) for event in self._decoder.feed(data)]

    def close(self) -> list[StreamEvent]:
        return [self._event(event) for event in self._decoder.close()]

    def _event(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, PartStart) and isinstance(event.part, ToolCall):
            return replace(event, part=self._ids.call(event.part))
        return event
