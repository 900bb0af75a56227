"""An upstream's stream to events, whatever dialect it speaks.

One part of text, refusal or thinking is open at a time: another kind of delta ends it. Tool calls
stay open until the choice finishes, since servers interleave their deltas. The finish waits until the
stream ends or the usage chunk comes, because some servers say `stop` and send calls behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from adapters.canonical import (
    NO_EXTENSIONS,
    ChatError,
    Failure,
    Finish,
    Media,
    Opaque,
    Part,
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
    UsageUpdate,
)
from adapters.errors import STATUS
from adapters.framing import SseDecoder
from adapters.jsontext import load
from adapters.openai_chat import thinking
from adapters.openai_chat.content import PROTOCOL
from adapters.openai_chat.errors import is_error, stream_error
from adapters.openai_chat.outcome import decode_finish, usage_of
from adapters.openai_chat.response_decode import (
    answer_signature,
    arguments_text,
    bag_of,
    called,
    content_parts,
    listed_calls,
    media_parts,
)
from adapters.openai_chat.stream_calls import Call, Calls

_TOP = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier", "error"})
_CHOICE = frozenset({"index", "delta", "finish_reason", "message"})
_CUT = "the upstream's stream ended before its answer was complete"

Json = Mapping[str, Any]


class _ChoiceState:
    """The parts of one choice."""

    __slots__ = (
        "calls",
        "extensions",
        "finish",
        "number",
        "open",
        "open_kind",
        "parts",
        "thought",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.parts = 0
        self.open: int | None = None
        self.open_kind: type[Part] | None = None
        self.calls = Calls()
        self.finish: str | None = None
        self.extensions: dict[str, Any] = {}
        self.thought: list[str] = []
        """What stood under the plain keys: an item of `reasoning_details` may repeat it whole."""


def _broken(message: str) -> ChatError:
    return ChatError("upstream", message, STATUS["upstream"])


class ChatStreamDecoder:
    """Sans-I/O: `feed(bytes)` and `close()` give events in the order of `adapters.grammar`."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._choices: dict[int, _ChoiceState] = {}
        self._started = False
        self._over = False
        self._id = ""

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._over:
            return []
        out: list[StreamEvent] = []
        for event in self._sse.feed(data):
            if not self._document(event.data, out):
                break
        return out

    def close(self) -> list[StreamEvent]:
        """A stream is whole once every choice has its finish reason, with or without `[DONE]`."""
        if self._over:
            return []
        out: list[StreamEvent] = []
        if all(self._document(event.data, out) for event in self._sse.close()):
            self._end(out)
        return out

    # ------------------------------------------------------------ documents

    def _document(self, text: str, out: list[StreamEvent]) -> bool:
        """Whether the stream goes on."""
        if text[:6] == "[DONE]":
            self._end(out, said=True)
            return False
        try:
            chunk = orjson.loads(text)
        except ValueError:
            try:
                chunk = load(text)
            except ValueError:
                self._fail(
                    ChatError("upstream", f"not JSON in the stream: {text[:80]!r}", STATUS["upstream"]), out
                )
                return False
        if isinstance(chunk, dict) and not self._piece_of_text(chunk, out):
            self._chunk(chunk, out)
        return not self._over

    def _piece_of_text(self, chunk: dict[str, Any], out: list[StreamEvent]) -> bool:
        """Take what nearly all chunks are, a further piece of an open text and nothing else; or leave it."""
        choices = chunk.get("choices")
        if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
            return False
        delta, number = choice.get("delta"), choice.get("index")
        if type(delta) is not dict or len(delta) != 1 or type(number) is not int:
            return False
        text, state = delta.get("content"), self._choices.get(number)
        if (
            type(text) is not str
            or not text
            or state is None
            or state.open is None
            or state.open_kind is not Text
            or choice.get("finish_reason")
            or choice.get("logprobs")
            or choice.get("error")
            or chunk.get("error")
            or chunk.get("usage")
            or choice.get("usage")
            or "x_groq" in chunk
        ):
            return False
        out.append(PartDelta(state.open, text, number))
        return True

    def _chunk(self, chunk: dict[str, Any], out: list[StreamEvent]) -> None:
        if chunk.get("error") or is_error(chunk):
            self._fail(stream_error(chunk), out)
            return
        choices = chunk.get("choices")
        if not self._started:
            if not choices and not isinstance(choices, list):
                return  # a prelude of some server's own
            self._start(chunk, out)
        for position, choice in enumerate(choices or ()) if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice, position, out)
                if self._over:
                    return
        found = usage_of(chunk)
        if found is not None:
            out.append(UsageUpdate(found))

    def _start(self, chunk: Json, out: list[StreamEvent]) -> None:
        self._started = True
        chunk_id, model, created = chunk.get("id"), chunk.get("model"), chunk.get("created")
        tier = chunk.get("service_tier")
        self._id = chunk_id if isinstance(chunk_id, str) else ""
        out.append(
            StreamStart(
                self._id,
                model if isinstance(model, str) else "",
                int(created) if isinstance(created, int | float) else None,
                service_tier=tier if isinstance(tier, str) else None,
                extensions=bag_of(chunk, _TOP),
            )
        )

    # ------------------------------------------------------------ choices

    def _choice(self, choice: dict[str, Any], position: int, out: list[StreamEvent]) -> None:
        if choice.get("error"):
            self._fail(stream_error(choice), out)
            return
        number = choice.get("index")
        if not isinstance(number, int) or number < 0:
            number = position
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = _ChoiceState(number)
        delta = choice.get("delta")
        if delta is None:
            delta = choice.get("message")  # some servers end with the whole message in one piece
        if isinstance(delta, dict) and delta:
            logprobs = choice.get("logprobs")
            self._delta(state, delta, logprobs, out)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason and state.finish is None:
            state.finish = reason

    def _delta(
        self, state: _ChoiceState, delta: dict[str, Any], logprobs: Any, out: list[StreamEvent]
    ) -> None:
        if "reasoning_content" in delta or "reasoning" in delta or "reasoning_details" in delta:
            self._reasoning(state, delta, out)
        content = delta.get("content")
        if content:
            if isinstance(content, str):
                self._text(state, Text, content, out, logprobs)
            else:
                self._content(state, content, out)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._text(state, Refusal, refusal, out)
        if delta.get("tool_calls"):
            for call in listed_calls(delta["tool_calls"]):
                if isinstance(call, dict):
                    self._call(state, call, out)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._legacy_call(state, legacy, out)
        if delta.get("annotations"):
            self._annotations(state, delta["annotations"], out)
        if "images" in delta or "audio" in delta:
            self._media(state, delta, out)

    def _text(
        self,
        state: _ChoiceState,
        kind: type[Text | Refusal | Thinking],
        text: str,
        out: list[StreamEvent],
        logprobs: Any = None,
    ) -> None:
        index = self._running(state, kind, out)
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            own = {PROTOCOL: {"logprobs": logprobs["content"]}}
            out.append(PartDelta(index, text, state.number, own))
        else:
            out.append(PartDelta(index, text, state.number))

    def _running(
        self, state: _ChoiceState, kind: type[Text | Refusal | Thinking], out: list[StreamEvent]
    ) -> int:
        """The open part of that kind, started if there is none."""
        if state.open_kind is kind and state.open is not None:
            return state.open
        return self._open(state, kind(""), out)

    def _open(self, state: _ChoiceState, part: Part, out: list[StreamEvent]) -> int:
        """Start a part of running text; the one before ends."""
        self._close(state, out)
        index = state.parts
        state.parts += 1
        state.open, state.open_kind = index, type(part)
        out.append(PartStart(index, part, state.number))
        return index

    def _close(self, state: _ChoiceState, out: list[StreamEvent]) -> None:
        if state.open is not None:
            out.append(PartEnd(state.open, state.number))
            state.open = state.open_kind = None

    def _whole(self, state: _ChoiceState, part: Part, out: list[StreamEvent]) -> None:
        self._open(state, part, out)
        self._close(state, out)

    def _content(self, state: _ChoiceState, content: Any, out: list[StreamEvent]) -> None:
        """Mistral's list of chunks."""
        for part in content_parts(content, "delta.content"):
            match part:
                case Text(text):
                    self._text(state, Text, text, out)
                case Thinking(text):
                    self._text(state, Thinking, text, out)
                case Media() | Opaque():
                    self._whole(state, part, out)
                case _:
                    pass

    # ------------------------------------------------------------ thinking

    def _reasoning(self, state: _ChoiceState, delta: Json, out: list[StreamEvent]) -> None:
        text = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(text, str) and text:
            self._text(state, Thinking, text, out)
            state.thought.append(text)
        else:
            text = None
        details = delta.get("reasoning_details")
        if isinstance(details, list):
            for detail in details:
                if isinstance(detail, dict):
                    self._detail(state, detail, text is not None, out)

    def _detail(self, state: _ChoiceState, detail: Json, told: bool, out: list[StreamEvent]) -> None:
        """One item of OpenRouter's list: more text, a signature, or a block that only its maker reads."""
        part = thinking.decode_detail(detail, Signature)
        if part is None:
            return
        if part.redacted:
            if part.signature is not None:
                self._whole(state, part, out)
            return
        if part.text and not told and not "".join(state.thought).endswith(part.text):
            self._text(state, Thinking, part.text, out)
        if part.signature is not None:
            state.thought.clear()
        if state.open_kind is Thinking or part.signature is not None:
            index = self._running(state, Thinking, out)
            out.append(PartUpdate(index, part.signature, part.extensions, state.number))
            if part.signature is not None:  # it proves what went before, and nothing after it
                self._close(state, out)

    def _annotations(self, state: _ChoiceState, annotations: Any, out: list[StreamEvent]) -> None:
        index = (
            state.open
            if state.open_kind is Text and state.open is not None
            else self._open(state, Text(""), out)
        )
        out.append(PartUpdate(index, None, {PROTOCOL: {"annotations": annotations}}, state.number))

    def _media(self, state: _ChoiceState, delta: Json, out: list[StreamEvent]) -> None:
        """Pictures come whole. Sound comes in pieces, which are gathered until the finish."""
        for part in media_parts({"images": delta.get("images")}):
            self._whole(state, part, out)
        audio = delta.get("audio")
        if isinstance(audio, dict):
            kept = state.extensions.setdefault("audio", {"data": "", "transcript": ""})
            for key, value in audio.items():
                known = kept.get(key)
                together = isinstance(value, str) and isinstance(known, str) and key != "id"
                kept[key] = known + value if together else value

    # ------------------------------------------------------------ tool calls

    def _call(self, state: _ChoiceState, delta: Json, out: list[StreamEvent]) -> None:
        is_custom = isinstance(delta.get("custom"), dict) or delta.get("type") == "custom"
        inner = called(delta, is_custom=is_custom)
        name = inner.get("name")
        arguments = arguments_text(inner.get("input" if is_custom else "arguments"))
        call_id = delta.get("id")
        call = state.calls.find(
            delta.get("index"),
            call_id if isinstance(call_id, str) else "",
            name if isinstance(name, str) else "",
            arguments,
            stem=self._id,
        )
        call.is_custom = call.is_custom or is_custom
        if delta.get("extra_content"):
            self._signature(state, call, delta["extra_content"], out)
        self._arguments(state, call, arguments, out)

    def _arguments(self, state: _ChoiceState, call: Call, text: str, out: list[StreamEvent]) -> None:
        index = call.part
        if index is None:
            if not call.name:
                call.held += text
                return
            index = self._begin(state, call, out)
            text = call.held + text
            call.held = ""
        if text:
            call.arguments.append(text)
            out.append(PartDelta(index, text, state.number))

    def _begin(self, state: _ChoiceState, call: Call, out: list[StreamEvent]) -> int:
        self._close(state, out)
        index = call.part = state.parts
        state.parts += 1
        own: dict[str, Any] = {}
        if call.extra is not None:
            own["extra_content"] = call.extra
        if call.signature is not None:
            own["_signed"] = True
        if call.legacy:
            own["_legacy"] = True
        part = ToolCall(
            call.call_id,
            call.name,
            kind="custom" if call.is_custom else "function",
            signature=call.signature,
            extensions={PROTOCOL: own} if own else NO_EXTENSIONS,
        )
        out.append(PartStart(index, part, state.number))
        return index

    def _signature(self, state: _ChoiceState, call: Call, extra: Any, out: list[StreamEvent]) -> None:
        signature, rest = answer_signature(extra)
        if call.part is None:
            call.signature, call.extra = signature or call.signature, rest
            return
        own = {} if rest is None else {"extra_content": rest}
        if signature is not None or own:
            out.append(
                PartUpdate(call.part, signature, {PROTOCOL: own} if own else NO_EXTENSIONS, state.number)
            )

    def _legacy_call(self, state: _ChoiceState, delta: Json, out: list[StreamEvent]) -> None:
        name = delta.get("name")
        call = state.calls.find(0, "", name if isinstance(name, str) else "", "", stem=self._id)
        call.legacy = True
        self._arguments(state, call, arguments_text(delta.get("arguments")), out)

    # ------------------------------------------------------------ the end

    def _end(self, out: list[StreamEvent], *, said: bool = False) -> None:
        """`said`: by `[DONE]`, which counts for servers that give no finish reason at all."""
        states = self._choices.values()
        if not states or not (said or all(state.finish is not None for state in states)):
            self._fail(_broken(_CUT), out)
            return
        for state in states:
            self._finish(state, out)
        out.append(StreamEnd())
        self._over = True

    def _finish(self, state: _ChoiceState, out: list[StreamEvent]) -> None:
        self._close(state, out)
        for call in state.calls:
            index = call.part
            if index is None:  # it never had a name
                index = self._begin(state, call, out)
                if call.held:
                    out.append(PartDelta(index, call.held, state.number))
            out.append(PartEnd(index, state.number))
        audio = state.extensions.pop("audio", None)
        if audio and audio["data"]:
            for part in media_parts({"audio": audio}):
                self._whole(state, part, out)
        reason = decode_finish(state.finish or "stop", has_calls=len(state.calls) > 0)
        out.append(Finish(reason, state.number))

    def _fail(self, error: ChatError, out: list[StreamEvent]) -> None:
        self._over = True
        out.append(Failure(error))
