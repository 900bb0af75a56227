"""Answers whose text holds calls, as answers with calls: whole ones, and streams while they arrive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapters.assemble import merge_extensions
from adapters.canonical import (
    NO_EXTENSIONS,
    ChatResponse,
    Choice,
    Failure,
    Finish,
    FinishReason,
    KeepAlive,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    StreamEvent,
    Text,
    ToolCall,
)
from adapters.codec import StreamDecoder
from adapters.compat.calls import Call, DeclaredTools, Rejected
from adapters.compat.prompt import RESULT_MARK
from adapters.compat.scanner import CallScanner, Item

_ALIVE_EVERY = 1024
"""Characters of a call that arrive without an event before a sign of life is given."""
_ENDS_FOR_CALLS = frozenset(("stop", "stop_sequence", "other"))


class _Minter:
    """Ids of calls: `call_{stem}_{n}`, within every protocol's alphabet and length."""

    __slots__ = ("_count", "_stem")

    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._count = 0

    def call(self, call: Call) -> ToolCall:
        made = ToolCall(f"call_{self._stem}_{self._count}", call.name, call.arguments)
        self._count += 1
        return made


def _finish(reason: FinishReason, found: bool) -> FinishReason:
    """`tool_calls` where there were calls; an answer that was cut stays cut."""
    if found and reason.unified in _ENDS_FOR_CALLS:
        return replace(reason, unified="tool_calls", raw=None, stop_sequence=None)
    if reason.unified == "stop_sequence" and reason.stop_sequence == RESULT_MARK:
        return replace(reason, unified="stop", raw=None, stop_sequence=None)
    return reason


# ---------------------------------------------------------------- whole answers


def response_with_calls(response: ChatResponse, tools: DeclaredTools, stem: str) -> ChatResponse:
    """`stem` makes the ids of the calls unique."""
    minter = _Minter(stem)
    choices = tuple(_choice(choice, tools, minter) for choice in response.choices)
    return replace(response, choices=choices)


def _choice(choice: Choice, tools: DeclaredTools, minter: _Minter) -> Choice:
    parts: list[Part] = []
    found = False
    for part in choice.parts:
        pieces = _pieces(part, tools, minter) if isinstance(part, Text) else [part]
        found = found or pieces != [part]
        parts += pieces
    return replace(choice, parts=tuple(parts), finish=_finish(choice.finish, found))


def _pieces(part: Text, tools: DeclaredTools, minter: _Minter) -> list[Part]:
    scanner = CallScanner(tools)
    items = [*scanner.feed(part.text), *scanner.close()]
    if not scanner.found:
        return [part]
    pieces: list[Part] = []
    extensions = part.extensions
    for item in items:
        last = pieces[-1] if pieces else None
        if isinstance(item, Call):
            pieces.append(minter.call(item))
        elif isinstance(last, Text):
            pieces[-1] = replace(last, text=last.text + _words(item))
        else:
            pieces.append(Text(_words(item), extensions))
            extensions = NO_EXTENSIONS
    return pieces


def _words(item: str | Rejected) -> str:
    return item.text if isinstance(item, Rejected) else item


# ---------------------------------------------------------------- streams


class _TextPart:
    """A text of the upstream, and the parts that become of it."""

    __slots__ = ("alive", "open", "pending", "scanner", "skeleton", "started")

    def __init__(self, skeleton: Text, tools: DeclaredTools) -> None:
        self.scanner = CallScanner(tools)
        self.skeleton = skeleton
        self.open: int | None = None
        """The index of the part that text goes to now."""
        self.started = False
        self.pending = NO_EXTENSIONS
        """Of deltas whose text is held back."""
        self.alive = 0


class _ChoiceState:
    __slots__ = ("found", "indexes", "next", "texts")

    def __init__(self) -> None:
        self.next = 0
        self.indexes: dict[int, int] = {}
        """The upstream's index of a part -> ours."""
        self.texts: dict[int, _TextPart] = {}
        self.found = False

    def index(self) -> int:
        self.next += 1
        return self.next - 1


class CallsInStream:
    """Events in, events out; any division of the upstream's text gives the same parts."""

    def __init__(self, tools: DeclaredTools, stem: str) -> None:
        self._tools = tools
        self._minter = _Minter(stem)
        self._choices: dict[int, _ChoiceState] = {}

    def feed(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        for event in events:
            match event:
                case PartStart() | PartDelta() | PartUpdate() | PartEnd():
                    state = self._choices.setdefault(event.choice, _ChoiceState())
                    self._part(event, state, out)
                case Finish(reason, choice):
                    state = self._choices.setdefault(choice, _ChoiceState())
                    out.append(replace(event, reason=_finish(reason, state.found)))
                case Failure():
                    self._abort(out)
                    out.append(event)
                case _:
                    out.append(event)
        return out

    def _part(
        self,
        event: PartStart | PartDelta | PartUpdate | PartEnd,
        state: _ChoiceState,
        out: list[StreamEvent],
    ) -> None:
        if isinstance(event, PartStart) and isinstance(event.part, Text):
            state.texts[event.index] = _TextPart(event.part, self._tools)
            return
        text = state.texts.get(event.index)
        if text is None:
            if isinstance(event, PartStart):
                state.indexes[event.index] = state.index()
            out.append(replace(event, index=state.indexes[event.index]))
            return
        match event:
            case PartDelta():
                text.pending = merge_extensions(text.pending, event.extensions)
                self._put(text.scanner.feed(event.text), text, state, event.choice, out)
                self._sign_of_life(text, out)
            case PartUpdate():
                if text.open is None:
                    text.skeleton = replace(
                        text.skeleton, extensions=merge_extensions(text.skeleton.extensions, event.extensions)
                    )
                else:
                    out.append(replace(event, index=text.open))
            case PartEnd():
                self._put(text.scanner.close(), text, state, event.choice, out)
                self._end(text, state, event.choice, out)
                del state.texts[event.index]

    def _put(
        self, items: list[Item], text: _TextPart, state: _ChoiceState, choice: int, out: list[StreamEvent]
    ) -> None:
        for item in items:
            if isinstance(item, Call):
                self._close(text, choice, out)
                index = state.index()
                call = self._minter.call(item)
                out.append(PartStart(index, replace(call, arguments=""), choice))
                out.append(PartDelta(index, call.arguments, choice))
                out.append(PartEnd(index, choice))
                state.found = True
            else:
                out.append(self._delta(_words(item), text, state, choice, out))

    def _delta(
        self, words: str, text: _TextPart, state: _ChoiceState, choice: int, out: list[StreamEvent]
    ) -> PartDelta:
        extensions, text.pending = text.pending, NO_EXTENSIONS
        return PartDelta(self._open(text, state, choice, out), words, choice, extensions)

    def _open(self, text: _TextPart, state: _ChoiceState, choice: int, out: list[StreamEvent]) -> int:
        if text.open is None:
            text.open = state.index()
            out.append(PartStart(text.open, text.skeleton, choice))
            text.skeleton = Text("")
            text.started = True
        return text.open

    def _close(self, text: _TextPart, choice: int, out: list[StreamEvent]) -> None:
        if text.open is not None:
            out.append(PartEnd(text.open, choice))
            text.open = None

    def _end(self, text: _TextPart, state: _ChoiceState, choice: int, out: list[StreamEvent]) -> None:
        """An empty text stays one; a text of nothing but calls leaves nothing."""
        if not text.started and not text.scanner.found:
            self._open(text, state, choice, out)
        if text.pending and text.open is not None:
            out.append(PartDelta(text.open, "", choice, text.pending))
        self._close(text, choice, out)

    def _sign_of_life(self, text: _TextPart, out: list[StreamEvent]) -> None:
        """For clients that wait while a long call is held back."""
        steps = text.scanner.held // _ALIVE_EVERY
        if steps > text.alive:
            out.append(KeepAlive())
        text.alive = steps

    def _abort(self, out: list[StreamEvent]) -> None:
        for choice, state in self._choices.items():
            for text in state.texts.values():
                if words := text.scanner.abort():
                    out.append(self._delta(words, text, state, choice, out))


class CallsDecoder:
    """A stream decoder whose events have the calls that were written as text."""

    __slots__ = ("_calls", "_inner")

    def __init__(self, inner: StreamDecoder, tools: DeclaredTools, stem: str) -> None:
        self._inner = inner
        self._calls = CallsInStream(tools, stem)

    def feed(self, data: bytes) -> list[StreamEvent]:
        return self._calls.feed(self._inner.feed(data))

    def close(self) -> list[StreamEvent]:
        return self._calls.feed(self._inner.close())
