"""Events to a whole answer: for a client that wants JSON from a target that streams."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from adapters.canonical import (
    NO_EXTENSIONS,
    ChatError,
    ChatResponse,
    Choice,
    Extensions,
    Failure,
    Finish,
    FinishReason,
    Part,
    PartDelta,
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
from adapters.errors import STATUS


@dataclass(slots=True)
class _Growing:
    """One part while its deltas come."""

    skeleton: Part
    text: list[str] = field(default_factory=list)
    signature: Signature | None = None
    extensions: Extensions = NO_EXTENSIONS

    def whole(self) -> Part:
        text = "".join(self.text)
        match self.skeleton:
            case Thinking() as thinking:
                return replace(
                    thinking,
                    text=thinking.text + text,
                    signature=self.signature or thinking.signature,
                    extensions=merge_extensions(thinking.extensions, self.extensions),
                )
            case ToolCall() as call:
                return replace(
                    call,
                    arguments=call.arguments + text,
                    signature=self.signature or call.signature,
                    extensions=merge_extensions(call.extensions, self.extensions),
                )
            case Text() | Refusal() as words:
                return replace(
                    words,
                    text=words.text + text,
                    extensions=merge_extensions(words.extensions, self.extensions),
                )
            case part:
                return part


def merge_extensions(first: Extensions, second: Extensions) -> Extensions:
    """Both bags; the second wins, except that lists under the same key are joined."""
    if not second:
        return first
    if not first:
        return second
    merged = {protocol: dict(bag) for protocol, bag in first.items()}
    for protocol, bag in second.items():
        into = merged.setdefault(protocol, {})
        for key, value in bag.items():
            known = into.get(key)
            joined = isinstance(known, list) and isinstance(value, list)
            into[key] = [*known, *value] if joined and isinstance(known, list) else value
    return merged


class Assembler:
    """Takes events; `response` is the answer once the stream has ended, `error` what broke it."""

    def __init__(self) -> None:
        self.error: ChatError | None = None
        self._ended = False
        self._start: StreamStart | None = None
        self._parts: dict[int, dict[int, _Growing]] = {}
        self._finishes: dict[int, Finish] = {}
        self._usage: Usage | None = None
        self._extensions: Extensions = NO_EXTENSIONS

    def feed(self, events: Iterable[StreamEvent]) -> None:
        for event in events:
            self._take(event)

    def _take(self, event: StreamEvent) -> None:
        match event:
            case StreamStart() as start:
                self._start, self._usage = start, start.usage
            case PartStart(index, part, choice):
                self._parts.setdefault(choice, {})[index] = _Growing(part)
            case PartDelta(index, text, choice, extensions):
                growing = self._parts[choice][index]
                growing.text.append(text)
                if extensions:
                    growing.extensions = merge_extensions(growing.extensions, extensions)
            case PartUpdate(index, signature, extensions, choice):
                growing = self._parts[choice][index]
                growing.signature = signature or growing.signature
                growing.extensions = merge_extensions(growing.extensions, extensions)
            case Finish() as finish:
                self._finishes[finish.choice] = finish
            case UsageUpdate(usage):
                self._usage = usage
            case StreamEnd(extensions):
                self._ended, self._extensions = True, extensions
            case Failure(error):
                self.error = error
            case _:
                pass

    @property
    def response(self) -> ChatResponse | None:
        """The whole answer, or None while the stream has not ended well."""
        if self.error is not None or not self._ended or self._start is None:
            return None
        start = self._start
        choices = sorted({*self._parts, *self._finishes, 0})
        return ChatResponse(
            id=start.id,
            model=start.model,
            choices=tuple(self._choice(choice) for choice in choices),
            usage=self._usage,
            created=start.created,
            service_tier=start.service_tier,
            extensions=merge_extensions(start.extensions, self._extensions),
        )

    def _choice(self, index: int) -> Choice:
        parts = self._parts.get(index, {})
        finish = self._finishes.get(index)
        return Choice(
            parts=tuple(parts[number].whole() for number in sorted(parts)),
            finish=finish.reason if finish else FinishReason("other"),
            index=index,
            extensions=finish.extensions if finish else NO_EXTENSIONS,
        )


def broken_stream(message: str = "the upstream's stream ended before its answer was complete") -> ChatError:
    """The error for a stream that was cut."""
    return ChatError("upstream", message, STATUS["upstream"])
