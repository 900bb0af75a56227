"""Canonical messages to `messages`, in the words of the target's dialect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from adapters.canonical import (
    NO_EXTENSIONS,
    Extensions,
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from adapters.losses import Losses
from adapters.openai_chat import thinking
from adapters.openai_chat.content import (
    PROTOCOL,
    encode_media,
    encode_refusal,
    encode_text,
    note,
    restore,
    with_cache_control,
)
from adapters.openai_chat.dialects import Dialect
from adapters.openai_common import RESPONSES, SHARED_IN_PARTS, hashed_call_id, shared
from adapters.signatures import from_client

Json = dict[str, Any]
Written = TypeVar("Written", Json, Json | str)


def foreign(
    extensions: Extensions, where: str, dialect: Dialect, losses: Losses, *, hinted: bool = False
) -> None:
    """Report what other protocols' bags hold, save the cache hints that do reach the target.

    `hinted`: a cache hint can stand here.
    """
    if not extensions:
        return
    if hinted and (dialect.official or not dialect.known):
        _, extensions = shared(extensions, RESPONSES, SHARED_IN_PARTS)
    hints = extensions.get("anthropic", NO_EXTENSIONS)
    carried = hinted and (dialect.cache_control or note(extensions, "_cache_control"))
    if carried and "cache_control" in hints:
        rest = {key: value for key, value in hints.items() if key != "cache_control"}
        extensions = {**extensions, "anthropic": rest}
    losses.foreign(extensions, PROTOCOL, where)


def report_foreign(messages: Sequence[Message], dialect: Dialect, losses: Losses) -> None:
    for index, message in enumerate(messages):
        where = message.place or f"messages[{index}]"
        if message.extensions:
            foreign(message.extensions, where, dialect, losses)
        report_parts(message.parts, where, dialect, losses)


def report_parts(parts: Iterable[Part], where: str, dialect: Dialect, losses: Losses) -> None:
    for position, part in enumerate(parts):
        place = part.place or f"{where}.content[{position}]"
        if isinstance(part, ToolResult):
            report_parts(part.content, place, dialect, losses)
        if not isinstance(part, Opaque) and part.extensions:
            hinted = isinstance(part, Text | Media | ToolCall)
            foreign(part.extensions, place, dialect, losses, hinted=hinted)


_LONGEST_CALL_ID = 40
"""OpenAI answers longer ones with 400; the Responses API takes 64."""


def call_id(value: str) -> str:
    """An id that the API takes: the same in a call and in its result."""
    return value if 0 < len(value) <= _LONGEST_CALL_ID else hashed_call_id(value)


class MessagesEncoder:
    """Encodes one conversation; `losses` collects what the target cannot say.

    `thinks`: the target will think, which for some dialects asks more of the history.
    """

    def __init__(self, dialect: Dialect, losses: Losses, *, thinks: bool) -> None:
        self._dialect = dialect
        self._losses = losses
        self._thinks = thinks
        self._out: list[Json] = []
        self._shown: list[Json | str] = []
        """Media of tool results that wait for the user message behind them."""

    def encode(self, messages: Sequence[Message]) -> list[Json]:
        for index, message in enumerate(messages):
            self._message(message, message.place or f"messages[{index}]")
        self._flush_shown()
        return self._out

    def _message(self, message: Message, where: str) -> None:
        if message.role != "tool" and message.role != "user":
            self._flush_shown()
        match message.role:
            case "assistant":
                self._assistant(message, where)
            case "system" | "developer":
                role = message.role if self._dialect.developer else "system"
                self._said(role, message, where)
            case _:
                for part in message.parts:
                    if isinstance(part, ToolResult):
                        self._result(part, where)
                others = tuple(part for part in message.parts if not isinstance(part, ToolResult))
                if others or not message.parts:
                    self._said("user", message, where, others)

    # ------------------------------------------------------------ system and user

    def _said(self, role: str, message: Message, where: str, parts: tuple[Part, ...] | None = None) -> None:
        given = message.parts if parts is None else parts
        content = [found for part in given if (found := self._content(part, where, role)) is not None]
        if self._shown:
            content = [*self._shown, *content]
            self._shown = []
        if given and not content:
            return
        out: Json = {"role": role, "content": self._spelled(content, message.extensions)}
        if message.name is not None:
            out["name"] = message.name
        restore(message.extensions, "", out, out)
        self._out.append(out)

    def _content(self, part: Part, where: str, role: str) -> Json | str | None:
        where = part.place or where
        match part:
            case Text():
                return self._hinted(encode_text(part, self._dialect.cache_control), part)
            case Refusal(text):
                return {"type": "text", "text": text}
            case Media():
                return self._media(part, where)
            case Opaque():
                return self._opaque(part, where)
            case _:
                self._losses.add(part.tag, where, f"a {part.tag} has no place in a message of role {role}")
                return None

    def _media(self, part: Media, where: str) -> Json | None:
        out = encode_media(part, self._dialect.cache_control)
        if out is None:
            self._losses.add(f"media.{part.kind}", where, f"Chat Completions takes no such {part.kind}")
            return None
        if part.name is not None and out["type"] in ("image_url", "input_audio"):
            self._losses.add("media.name", where, "only files have names here")
        return self._hinted(out, part)

    def _hinted(self, out: Written, part: Text | Media) -> Written:
        """With the cache breakpoint of a client of the Responses API."""
        if part.extensions and isinstance(out, dict) and (self._dialect.official or not self._dialect.known):
            out |= shared(part.extensions, RESPONSES, SHARED_IN_PARTS)[0]
        return out

    def _opaque(self, part: Opaque, where: str) -> Json | None:
        if part.protocol == PROTOCOL:
            return dict(part.value)
        told = "is told in words" if part.text else "cannot be told"
        self._losses.add(f"item.{part.kind}", where, f"an item of {part.protocol} {told}")
        return {"type": "text", "text": part.text} if part.text else None

    def _spelled(self, content: list[Json | str], extensions: Extensions) -> Any:
        """A lone plain text as a string, unless the client had written a list."""
        if note(extensions, "_content") == "list":
            return content
        if not content:
            return ""
        first = content[0]
        if len(content) == 1 and isinstance(first, dict) and first.keys() == {"type", "text"}:
            return first["text"]
        return content

    # ------------------------------------------------------------ the assistant

    def _assistant(self, message: Message, where: str) -> None:
        thoughts = [part for part in message.parts if isinstance(part, Thinking)]
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        out: Json = {"role": "assistant"}
        content = self._assistant_content(message, where)
        if content is not None or note(message.extensions, "_content") != "absent":
            out["content"] = content
        refusals = [part for part in message.parts if isinstance(part, Refusal)]
        if refusals and not isinstance(content, list):
            out["refusal"] = "".join(part.text for part in refusals)
        if message.name is not None:
            out["name"] = message.name
        self._thinking(out, thoughts, bool(calls), where)
        self._calls(out, calls)
        restore(message.extensions, "", out, out)
        blank = note(message.extensions, "_blank") or NO_EXTENSIONS
        for key, value in blank.items():
            out.setdefault(key, value)
        if not out.get("content") and len(out) <= 2 and not calls:
            if message.parts:
                return  # nothing of it has a place here; each part is reported
            out["content"] = ""
        self._out.append(out)

    def _assistant_content(self, message: Message, where: str) -> Any:
        chunks = self._dialect.history == "chunks"
        listed = note(message.extensions, "_content") == "list"
        content: list[Json | str] = []
        for part in message.parts:
            match part:
                case Text():
                    content.append(encode_text(part, self._dialect.cache_control))
                case Refusal() if listed:
                    content.append(encode_refusal(part))
                case Thinking() if chunks and part.text:
                    content.append({"type": "thinking", "thinking": [{"type": "text", "text": part.text}]})
                case Opaque():
                    told = self._opaque(part, where)
                    content += [told] if told else []
                case Media(kind=kind):
                    self._losses.add(f"media.{kind}", where, "an assistant's message holds text only")
                case _:
                    pass
        if listed:
            return content
        if not content:
            return "" if note(message.extensions, "_content") == "empty" else None
        if all(isinstance(part, dict) and part.keys() == {"type", "text"} for part in content):
            return "".join(part["text"] for part in content if isinstance(part, dict))
        return content

    def _thinking(self, out: Json, thoughts: list[Thinking], has_calls: bool, where: str) -> None:
        slot = self._dialect.history
        spelled = thinking.spelled_keys(thoughts)
        text = thinking.joined(thoughts)
        details = (
            thinking.details_for_upstream(thoughts) if slot == "details" or not self._dialect.known else []
        )
        if slot == "chunks":
            pass
        elif spelled and not self._dialect.known:
            out.update(dict.fromkeys(spelled, text))
            for part in thoughts:
                restore(part.extensions, "", out, out)
        elif slot in ("reasoning_content", "reasoning") and text:
            out[slot] = text
        elif slot == "details" and text:
            out["reasoning"] = text
        elif text:
            self._losses.add("thinking", where, "the target does not take its thoughts back")
        if details:
            out["reasoning_details"] = details
        carried = sum("signature" in item or "data" in item for item in details)
        signed = sum(part.signature is not None for part in thoughts if details or not part.redacted)
        if carried < signed:
            where = thoughts[0].place or where
            self._losses.add("thinking.signature", where, "a signature goes back to its maker only")
        if any(part.redacted for part in thoughts) and not details:
            self._losses.add("thinking.redacted", where, "only its maker can read it")
        if has_calls and self._thinks and self._dialect.needs_thinking and not out.get("reasoning_content"):
            # DeepSeek and Moonshot refuse a history in which such a turn has none: "The
            # `reasoning_content` in the thinking mode must be passed back to the API".
            out["reasoning_content"] = " "

    def _calls(self, out: Json, calls: list[ToolCall]) -> None:
        if len(calls) == 1 and note(calls[0].extensions, "_legacy"):
            out["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments or "{}"}
        elif calls:
            out["tool_calls"] = [self._call(call) for call in calls]

    def _call(self, call: ToolCall) -> Json:
        out: Json = {"id": call_id(call.id), "type": call.kind}
        if call.kind == "custom":
            inner: Json = {"name": call.name, "input": call.arguments}
        else:
            inner = {"name": call.name, "arguments": call.arguments or "{}"}
        out[call.kind] = inner
        if call.extensions:
            restore(call.extensions, call.kind, out, inner)
            with_cache_control(out, call.extensions, self._dialect.cache_control)
        if call.signature is not None:
            self._call_signature(call, call.signature, out)
        return out

    def _call_signature(self, call: ToolCall, signature: Signature, out: Json) -> None:
        """To Google's own API of this protocol, and to an unknown upstream that has told it before."""
        told = signature.origin == PROTOCOL
        if told:
            signature = from_client(signature.value, PROTOCOL)
        google = signature.origin == "gemini"
        back = told or (google and note(call.extensions, "_signed"))
        if (google and self._dialect.call_signatures) or (back and not self._dialect.known):
            maker = "google" if google else signature.origin
            extra = out.setdefault("extra_content", {})
            inner = {**extra.get(maker, {}), "thought_signature": signature.value}
            out["extra_content"] = {**extra, maker: inner}
        else:
            self._losses.add("thinking.signature", call.place, "a signature goes back to its maker only")

    # ------------------------------------------------------------ results of tools

    def _result(self, result: ToolResult, where: str) -> None:
        texts: list[Json | str] = []
        media: list[Json | str] = []
        for part in result.content:
            found = self._content(part, where, "tool")
            if found is None:
                continue
            is_text = isinstance(found, str) or found.get("type") == "text"
            (texts if is_text else media).append(found)
        if result.is_error:
            place = result.place or where
            self._losses.add("tool_result.is_error", place, "tool messages have no error flag")
        out: Json
        content = self._spelled(texts, result.extensions)
        if note(result.extensions, "_legacy"):
            out = {"role": "function", "name": result.name or "", "content": content}
        else:
            out = {"role": "tool", "tool_call_id": call_id(result.call_id), "content": content}
            if result.name is not None and note(result.extensions, "_name"):
                out["name"] = result.name
        restore(result.extensions, "", out, out)
        self._out.append(out)
        if media:
            place = result.place or where
            self._losses.add("tool_result.media", place, "tool messages are text: a user message has it")
            name = f" of {result.name}" if result.name else ""
            words = f"What the tool call {call_id(result.call_id)}{name} returned beside its text:"
            self._shown += [{"type": "text", "text": words}, *media]

    def _flush_shown(self) -> None:
        if self._shown:
            self._out.append({"role": "user", "content": self._shown})
            self._shown = []
