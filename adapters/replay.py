"""A whole answer as events: for a client that wants a stream from a target that gives JSON."""

from __future__ import annotations

from dataclasses import replace

from adapters.canonical import (
    ChatResponse,
    Choice,
    Finish,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Refusal,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)


def replay(response: ChatResponse) -> list[StreamEvent]:
    """The events of a stream that assembles to `response`."""
    events: list[StreamEvent] = [
        StreamStart(
            id=response.id,
            model=response.model,
            created=response.created,
            usage=response.usage,
            service_tier=response.service_tier,
            extensions=response.extensions,
        )
    ]
    for choice in response.choices:
        events += _choice(choice)
    if response.usage is not None:
        events.append(UsageUpdate(response.usage))
    events.append(StreamEnd())
    return events


def _choice(choice: Choice) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    for index, part in enumerate(choice.parts):
        skeleton, text = _split(part)
        events.append(PartStart(index, skeleton, choice.index))
        if text:
            events.append(PartDelta(index, text, choice.index))
        events.append(PartEnd(index, choice.index))
    events.append(Finish(choice.finish, choice.index, choice.extensions))
    return events


def _split(part: Part) -> tuple[Part, str]:
    """A part's skeleton and the text that its deltas carry."""
    match part:
        case Text() | Refusal() | Thinking():
            return replace(part, text=""), part.text
        case ToolCall():
            return replace(part, arguments=""), part.arguments
        case _:
            return part, ""
