"""Events to the chunks that a client of Chat Completions gets.

The first chunk of a choice has the role; thinking goes as `reasoning_content`; a tool call's id,
type and name stand on its first delta only (SDKs append names); the usage chunk comes last and only if
the client asked for it; a failure is an error object without `[DONE]` behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from adapters import stop_reasons
from adapters.canonical import (
    NO_EXTENSIONS,
    Base64Source,
    Failure,
    Finish,
    KeepAlive,
    Media,
    Opaque,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartUpdate,
    Refusal,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    UsageUpdate,
)
from adapters.citations import in_event
from adapters.codec import Reply
from adapters.framing import sse, sse_comment
from adapters.joining import Apart
from adapters.jsontext import dump_bytes
from adapters.openai_chat import thinking
from adapters.openai_chat.content import PROTOCOL
from adapters.openai_chat.errors import error_body
from adapters.openai_chat.outcome import FINISH_OUT, SERVICE_TIERS, encode_finish, encode_usage
from adapters.openai_chat.response_decode import TRIVIA
from adapters.openai_chat.response_encode import (
    encode_audio,
    encode_image,
    extra_content,
    report_item,
    wants_legacy,
)
from adapters.stream_losses import StreamLosses, place
from adapters.tool_names import StreamRestorer

_DONE = b"data: [DONE]\n\n"
_TEXT_KEYS: dict[type[Part], str] = {Text: "content", Refusal: "refusal", Thinking: "reasoning_content"}


class _Open:
    """A part that is being written."""

    __slots__ = ("position", "prefix", "sent", "skeleton", "suffix", "text")

    def __init__(self, skeleton: Part, position: int = 0) -> None:
        self.skeleton = skeleton
        self.position = position
        """Of a tool call among the calls, of thinking among the thoughts; of text, how much went before."""
        self.prefix = b""
        """The chunk up to the text of a delta; `suffix` is what follows it."""
        self.suffix = b""
        self.sent = False
        self.text: list[str] = []
        """Of thinking: all of it so far."""


class _ChoiceState:
    __slots__ = ("apart", "calls", "images", "legacy", "started", "thoughts", "written")

    def __init__(self) -> None:
        self.apart = Apart()
        self.started = False
        self.calls = 0
        self.thoughts = 0
        self.images = 0
        self.written = 0
        """How many characters of text."""
        self.legacy: int | None = None


class ChatStreamEncoder:
    """Sans-I/O: events in, bytes out. Loose ends (an unfinished choice) stay as loose as they came."""

    def __init__(self, reply: Reply) -> None:
        self.losses = StreamLosses(PROTOCOL)
        self._reply = reply
        self._restorer = StreamRestorer(reply.request)
        self._legacy = wants_legacy(reply.request)
        self._wants_usage = bool(reply.request.stream_usage)
        self._usage: Usage | None = None
        self._choices: dict[int, _ChoiceState] = {}
        self._parts: dict[tuple[int, int], _Open] = {}
        self._head = b""
        self._tail = b""
        self._over = False

    def encode(self, events: Iterable[StreamEvent]) -> bytes:
        out: list[bytes] = []
        for event in self._restorer.feed(events):
            if not self._over:
                if type(event) is not PartDelta:
                    event = in_event(event, PROTOCOL, self._before(event))
                self.losses.look(event)
                self._event(event, out)
        return b"".join(out)

    def _before(self, event: StreamEvent) -> int:
        """Links at the text have their places in the message's whole text: how much of it stood before."""
        match event:
            case PartUpdate(index, choice=choice):
                entry = self._parts.get((choice, index))
                return entry.position if entry is not None and isinstance(entry.skeleton, Text) else 0
            case PartStart(choice=choice) if choice in self._choices:
                return self._choices[choice].written
        return 0

    def _event(self, event: StreamEvent, out: list[bytes]) -> None:
        match event:
            case PartDelta():
                self._part_delta(event, out)
            case PartStart():
                self._part_start(event, out)
            case PartUpdate():
                self._part_update(event, out)
            case PartEnd(index, choice):
                self._part_end(choice, index, out)
            case StreamStart():
                self._start(event)
                self._role(0, out)
            case Finish():
                self._finish(event, out)
            case UsageUpdate(usage):
                self._usage = usage
            case KeepAlive():
                out.append(sse_comment())
            case Failure(error):
                self._over = True
                out.append(sse(dump_bytes(error_body(error))))
            case StreamEnd():
                self._end(out)

    # ------------------------------------------------------------ the frame of a chunk

    def _start(self, start: StreamStart) -> None:
        """Everything but the choices is the same in all chunks, so it is written once."""
        head: dict[str, Any] = {
            "id": start.id or f"chatcmpl-{self._reply.id}",
            "object": "chat.completion.chunk",
            "created": start.created or self._reply.created,
            "model": start.model or self._reply.request.model,
        }
        if start.service_tier in SERVICE_TIERS:
            head["service_tier"] = start.service_tier
        bag = start.extensions.get(PROTOCOL, NO_EXTENSIONS)
        head["system_fingerprint"] = bag.get("_system_fingerprint")
        for key, value in bag.items():
            if key[:1] != "_":
                head[key] = value
            elif key[1:] in TRIVIA and key not in ("_obfuscation", "_system_fingerprint"):
                head[key[1:]] = value
        self._usage = start.usage
        self._head = b"data: " + dump_bytes(head)[:-1] + b',"choices":['
        self._tail = (b'],"usage":null}' if self._wants_usage else b"]}") + b"\n\n"

    def _chunk(
        self, choice: int, delta: Mapping[str, Any], finish: str | None = None, logprobs: Any = None
    ) -> bytes:
        body = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._head + dump_bytes(body) + self._tail

    def _frame(self, choice: int, before: bytes, after: bytes) -> tuple[bytes, bytes]:
        """Prefix and suffix of a chunk with one text, which stands between `before` and `after`."""
        prefix = self._head + b'{"index":%d,"delta":' % choice + before
        return prefix, after + b',"logprobs":null,"finish_reason":null}' + self._tail

    def _role(self, choice: int, out: list[bytes]) -> _ChoiceState:
        """The choice's state; its first chunk goes out before anything else of it."""
        state = self._choices.get(choice)
        if state is None:
            if not self._head:
                self._start(StreamStart("", ""))
            state = self._choices[choice] = _ChoiceState()
            out.append(self._chunk(choice, {"role": "assistant", "content": ""}))
        return state

    # ------------------------------------------------------------ parts

    def _part_start(self, event: PartStart, out: list[bytes]) -> None:
        state = self._role(event.choice, out)
        part = event.part
        entry = self._parts[event.choice, event.index] = _Open(part)
        match part:
            case Text() | Refusal() | Thinking():
                key = _TEXT_KEYS[type(part)].encode()
                entry.prefix, entry.suffix = self._frame(event.choice, b'{"' + key + b'":', b"}")
                if isinstance(part, Text):
                    state.apart.text()
                    entry.position = state.written
                if isinstance(part, Thinking):
                    entry.position = state.thoughts
                    state.thoughts += 1
            case ToolCall():
                self._call_start(event.choice, event.index, part, state, entry, out)
            case Media():
                self._media(event, part, state, out)
            case Opaque():
                report_item(part, place(event.choice, event.index), self.losses)
                if part.text:
                    out.append(self._chunk(event.choice, {"content": state.apart.item(part.text)}))
            case ToolResult():
                self.losses.add("tool_result", place(event.choice, event.index), "an answer has none")

    def _call_start(
        self, choice: int, index: int, call: ToolCall, state: _ChoiceState, entry: _Open, out: list[bytes]
    ) -> None:
        if self._legacy and state.legacy is None and not state.calls:
            state.legacy = index
            out.append(
                self._chunk(choice, {"function_call": {"name": call.name, "arguments": call.arguments}})
            )
            entry.prefix, entry.suffix = self._frame(choice, b'{"function_call":{"arguments":', b"}}")
            entry.sent = bool(call.arguments)
            return
        entry.position = state.calls
        state.calls += 1
        text_key = "input" if call.kind == "custom" else "arguments"
        first: dict[str, Any] = {
            "index": entry.position,
            "id": call.id,
            "type": call.kind,
            call.kind: {"name": call.name, text_key: call.arguments},
        }
        extra = extra_content(call)
        if extra:
            first["extra_content"] = extra
        out.append(self._chunk(choice, {"tool_calls": [first]}))
        before = b'{"tool_calls":[{"index":%d,"%s":{"%s":' % (
            entry.position,
            call.kind.encode(),
            text_key.encode(),
        )
        entry.prefix, entry.suffix = self._frame(choice, before, b"}}]}")
        entry.sent = bool(call.arguments)

    def _media(self, event: PartStart, part: Media, state: _ChoiceState, out: list[bytes]) -> None:
        choice = event.choice
        if part.kind == "image" and (image := encode_image(part, state.images)):
            state.images += 1
            out.append(self._chunk(choice, {"images": [image]}))
        elif part.kind == "audio" and isinstance(part.source, Base64Source):
            out.append(self._chunk(choice, {"audio": encode_audio(part)}))
        else:
            self.losses.add(f"media.{part.kind}", place(choice, event.index), "a message has no slot for it")

    def _part_delta(self, event: PartDelta, out: list[bytes]) -> None:
        entry = self._parts.get((event.choice, event.index))
        if entry is None or not entry.prefix or not event.text:
            return
        entry.sent = True
        if isinstance(entry.skeleton, Text):
            self._choices[event.choice].written += len(event.text)
        if isinstance(entry.skeleton, Thinking):
            entry.text.append(event.text)
        elif event.extensions and PROTOCOL in event.extensions:
            tokens = event.extensions[PROTOCOL].get("logprobs")
            key = _TEXT_KEYS.get(type(entry.skeleton))
            if tokens and key:
                logprobs = {"content": tokens, "refusal": None}
                out.append(self._chunk(event.choice, {key: event.text}, logprobs=logprobs))
                return
        out.append(entry.prefix + dump_bytes(event.text) + entry.suffix)

    def _part_update(self, event: PartUpdate, out: list[bytes]) -> None:
        entry = self._parts.get((event.choice, event.index))
        if entry is None:
            return
        own = event.extensions.get(PROTOCOL, NO_EXTENSIONS)
        match entry.skeleton:
            case Thinking(text, signature, redacted, part_id, extensions):
                merged = {**extensions, PROTOCOL: {**extensions.get(PROTOCOL, NO_EXTENSIONS), **own}}
                entry.skeleton = Thinking(text, event.signature or signature, redacted, part_id, merged)
            case ToolCall() as call if event.signature is not None or "extra_content" in own:
                extra = extra_content(
                    ToolCall("", "", signature=event.signature, extensions=event.extensions)
                )
                first = {"index": entry.position, call.kind: {}, "extra_content": extra}
                out.append(self._chunk(event.choice, {"tool_calls": [first]}))
            case Text() if "annotations" in own:
                out.append(self._chunk(event.choice, {"annotations": _indexed(own["annotations"])}))
            case _:
                pass

    def _part_end(self, choice: int, index: int, out: list[bytes]) -> None:
        entry = self._parts.pop((choice, index), None)
        if entry is None:
            return
        match entry.skeleton:
            case Thinking() as thought if thinking.must_survive(thought):
                # with its text, although that went out before: the signature proves just this text
                whole = replace(thought, text="".join(entry.text))
                detail = thinking.client_detail(whole, entry.position) | {"index": entry.position}
                out.append(self._chunk(choice, {"reasoning_details": [detail]}))
            case Text(extensions=extensions) if "annotations" in extensions.get(PROTOCOL, NO_EXTENSIONS):
                annotations = _indexed(extensions[PROTOCOL]["annotations"])
                out.append(self._chunk(choice, {"annotations": annotations}))
            case ToolCall() as call if not entry.sent and call.kind == "function":
                # a call without arguments: clients parse the text as JSON
                out.append(entry.prefix + b'"{}"' + entry.suffix)
            case _:
                pass

    # ------------------------------------------------------------ the end

    def _finish(self, event: Finish, out: list[bytes]) -> None:
        state = self._role(event.choice, out)
        legacy = state.legacy is not None and not state.calls
        word = FINISH_OUT[event.reason.unified]
        stop_reasons.report(event.reason, word, PROTOCOL, f"choices[{event.choice}]", self.losses)
        finish = encode_finish(word, legacy=legacy)
        logprobs = event.extensions.get(PROTOCOL, NO_EXTENSIONS).get("logprobs")
        out.append(self._chunk(event.choice, {}, finish, logprobs))

    def _end(self, out: list[bytes]) -> None:
        self._over = True
        if self._wants_usage and self._usage is not None:
            usage = dump_bytes(encode_usage(self._usage))
            out.append(self._head + b'],"usage":' + usage + b"}\n\n")
        out.append(_DONE)


def _indexed(annotations: Any) -> Any:
    """The OpenAI SDK's accumulator asks for an `index` in every item of a list."""
    if not isinstance(annotations, list):
        return annotations
    return [
        {"index": index, **item} if isinstance(item, Mapping) else item
        for index, item in enumerate(annotations)
    ]
