"""`messages` of a request to canonical messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters import reading
from adapters.canonical import (
    NO_EXTENSIONS,
    Extensions,
    Message,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    placed,
)
from adapters.errors import InvalidRequest
from adapters.jsontext import dump
from adapters.openai_chat import thinking
from adapters.openai_chat.content import PROTOCOL, decode_part
from adapters.reading import member
from adapters.signatures import from_client

_COMMON = frozenset({"role", "content", "name"})
_ASSISTANT = _COMMON | {"refusal", "tool_calls", "function_call"} | thinking.SLOTS
_TOOL = frozenset({"role", "content", "name", "tool_call_id"})


def decode_messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    found = reading.items(body, "messages")
    if "messages" not in body:
        raise InvalidRequest("missing: a list of messages is required", where="messages")
    decoder = _Decoder()
    return tuple(decoder.message(value, f"messages[{index}]") for index, value in enumerate(found))


class _Decoder:
    """Counts the calls of the legacy `function_call`, which have no ids."""

    def __init__(self) -> None:
        self._legacy = 0
        self._open: dict[str, list[str]] = {}

    def message(self, value: Any, where: str) -> Message:
        message = placed(self._message(value, where), where)
        for part in message.parts:  # those that are no element of a list: thinking, a result
            placed(part, where)
        return message

    def _message(self, value: Any, where: str) -> Message:
        source = reading.as_mapping(value, where)
        role = source.get("role")
        match role:
            case "system" | "developer" | "user":
                parts, notes = _content(source, where)
                bag = reading.rest(source, _COMMON) | notes
                return Message(role, tuple(parts), reading.string(source, "name", where), _bag(bag))
            case "assistant":
                return self._assistant(source, where)
            case "tool":
                return self._tool(source, where)
            case "function":
                return self._function(source, where)
            case _:
                expected = "one of system, developer, user, assistant, tool, function"
                raise InvalidRequest(f"expected {expected}, got {role!r:.60}", where=member("role", where))

    def _assistant(self, source: Mapping[str, Any], where: str) -> Message:
        content, notes = _content(source, where)
        parts: list[Part] = [*thinking.decode(source), *content]
        refusal = reading.string(source, "refusal", where)
        if refusal:
            parts.append(placed(Refusal(refusal), member("refusal", where)))
        calls = reading.items(source, "tool_calls", where)
        for index, call in enumerate(calls):
            at = f"{where}.tool_calls[{index}]"
            parts.append(placed(decode_call(call, at), at))
        legacy = reading.mapping(source, "function_call", where)
        if legacy is not None:
            at = member("function_call", where)
            parts.append(placed(self._legacy_call(legacy, at), at))
        notes |= _blanks(source)
        bag = reading.rest(source, _ASSISTANT) | notes
        if bag.get("annotations") == []:
            del bag["annotations"]
        return Message("assistant", tuple(parts), reading.string(source, "name", where), _bag(bag))

    def _legacy_call(self, call: Mapping[str, Any], where: str) -> ToolCall:
        name = reading.required_string(call, "name", where)
        call_id = f"call_{name}_{self._legacy}"[:64]
        self._legacy += 1
        self._open.setdefault(name, []).append(call_id)
        arguments = _arguments(call.get("arguments"), member("arguments", where))
        return ToolCall(call_id, name, arguments, extensions={PROTOCOL: {"_legacy": True}})

    def _tool(self, source: Mapping[str, Any], where: str) -> Message:
        content, notes = _content(source, where)
        if content == [Text("")]:
            content = []
        call_id = reading.required_string(source, "tool_call_id", where)
        name = reading.string(source, "name", where)
        bag = reading.rest(source, _TOOL) | notes
        if name is not None:
            bag["_name"] = True
        result = ToolResult(call_id, tuple(content), name, extensions=_bag(bag))
        return Message("tool", (result,))

    def _function(self, source: Mapping[str, Any], where: str) -> Message:
        """The legacy result: it answers the latest open call of its name."""
        content, notes = _content(source, where)
        name = reading.required_string(source, "name", where)
        waiting = self._open.get(name)
        call_id = waiting.pop(0) if waiting else f"call_{name}_{self._legacy}"[:64]
        bag = reading.rest(source, _COMMON) | notes | {"_legacy": True}
        return Message("tool", (ToolResult(call_id, tuple(content), name, extensions=_bag(bag)),))


def _bag(own: dict[str, Any]) -> Extensions:
    return {PROTOCOL: own} if own else NO_EXTENSIONS


def _content(source: Mapping[str, Any], where: str) -> tuple[list[Part], dict[str, Any]]:
    """The parts, and notes on how they were spelled: encoders for this protocol give it back so."""
    content = source.get("content")
    if isinstance(content, str):
        if not content and source.get("role") == "assistant":
            return [], {"_content": "empty"}
        return [placed(Text(content), member("content", where))], {}
    if content is None:
        return [], {} if "content" in source else {"_content": "absent"}
    if not isinstance(content, list):
        reading.wrong(content, "a string or a list of parts", member("content", where))
    at = member("content", where)
    parts = [_part(part, f"{at}[{index}]") for index, part in enumerate(content)]
    plain = len(parts) <= 1 and not any(isinstance(part, Text) and part.extensions for part in parts)
    return parts, {"_content": "list"} if plain else {}


def _part(value: Any, where: str) -> Part:
    if isinstance(value, Mapping) and value.get("type") == "thinking":
        chunk = Thinking(thinking.chunk_text(value), extensions={PROTOCOL: {"_chunk": value}})
        return placed(chunk, where)
    return decode_part(value, where)


def _blanks(source: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of an answer that clients send back although they say nothing (`refusal: null`)."""
    blank = {
        key: value
        for key, value in source.items()
        if (value is None or value == [] or (value == "" and key in thinking.SLOTS))
        and key not in ("content", "role", "tool_calls")
    }
    return {"_blank": blank} if blank else {}


def decode_call(value: Any, where: str) -> ToolCall:
    """One element of `tool_calls`. `type` may be missing; it shows in the keys."""
    call = reading.as_mapping(value, where)
    custom = reading.mapping(call, "custom", where)
    kind = "custom" if custom is not None and call.get("function") is None else "function"
    inner = custom if kind == "custom" and custom is not None else reading.required_mapping(call, kind, where)
    at = member(kind, where)
    name = reading.required_string(inner, "name", at)
    content = "input" if kind == "custom" else "arguments"
    arguments = _arguments(inner.get(content), member(content, at))
    call_id = reading.string(call, "id", where) or ""
    if not call_id:
        reading.wrong(call.get("id"), "a string that is not empty", member("id", where))
    signature, extra = call_signature(call.get("extra_content"))
    own = reading.rest(call, frozenset({"id", "type", kind, "extra_content"}))
    own |= reading.rest(inner, frozenset({"name", content}), f"{kind}.")
    if extra is not None:
        own["extra_content"] = extra
    if signature is not None:
        own["_signed"] = True
    if "type" not in call:
        own["_type"] = "absent"
    return ToolCall(call_id, name, arguments, kind, signature=signature, extensions=_bag(own))  # type: ignore[arg-type]


def _arguments(value: Any, where: str) -> str:
    """JSON text verbatim; some clients send the object itself."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        reading.wrong(value, "a string", where)
    return dump(value)


def call_signature(extra: Any, read: thinking.ReadSignature = from_client) -> tuple[Signature | None, Any]:
    """The signature in a call's `extra_content`, and what else stands there.

    `extra_content.google.thought_signature` is Google's slot in its OpenAI-compatible API
    (https://ai.google.dev/gemini-api/docs/thought-signatures): an untagged value there is Gemini's.
    """
    if not isinstance(extra, Mapping):
        return None, extra
    for maker, inner in extra.items():
        value = inner.get("thought_signature") if isinstance(inner, Mapping) else None
        if isinstance(value, str) and value:
            others = {key: other for key, other in inner.items() if key != "thought_signature"}
            left = {key: other for key, other in extra.items() if key != maker}
            if others:
                left[maker] = others
            return read(value, "gemini" if maker == "google" else maker), left or None
    return None, extra
