"""Items, of a request's `input` or of an answer's `output`, to messages: one message for each item.

Source: `openai.types.responses.response_input_item_param` and `response_output_item`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from adapters.canonical import (
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    placed,
)
from adapters.errors import InvalidRequest
from adapters.jsontext import dump
from adapters.openai_responses import client_tools, media, notes
from adapters.reading import as_list, as_mapping, as_string, required_string, string
from adapters.signatures import from_client

COMPACTION_ORIGIN = "hub-compaction"
"""Origin of a summary that this codec put into a compaction item."""

BEFORE_CALL = "#call"
AFTER_CALL = "#called"
"""Behind the origin of a signature that belongs to the tool call which follows, or went before."""

_ROLES: dict[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}
_MESSAGE = frozenset({"type", "role", "content"})
_TEXT = frozenset({"type", "text"})
_REFUSAL = frozenset({"type", "refusal"})
_CALL = frozenset({"type", "call_id", "name", "arguments", "input", "namespace"})
_OUTPUT = frozenset({"type", "call_id", "name", "output"})


def decode_items(
    items: Iterable[Any], where: str, *, searches: bool = True, answer: bool = False
) -> tuple[Message, ...]:
    """`searches`: the client runs the tool search. Else its history is the provider's own business.
    `answer`: they are an upstream's output, in which results of tools are of those that it ran itself.

    Raises InvalidRequest with the path of the item that cannot be read.
    """
    decoders = _OF_ANSWERS if answer else _DECODERS if searches else _WITHOUT_SEARCH
    messages: list[Message] = []
    signature: Signature | None = None
    for at, value in enumerate(items):
        path = f"{where}[{at}]"
        item = as_mapping(value, path)
        kind = item.get("type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference"
        decode = decoders.get(kind) if isinstance(kind, str) else None
        message = placed(decode(item, path) if decode else _opaque(item, path), path)
        for part in message.parts:
            placed(part, path)
        carried = _call_signature(message)
        if carried is None:
            messages.append(_signed(message, signature))
            signature = None
        elif carried[1] == BEFORE_CALL:
            signature = carried[0]
        elif messages:
            messages[-1] = _signed(messages[-1], carried[0])
    return tuple(messages)


def _call_signature(message: Message) -> tuple[Signature, str] | None:
    """The signature of a call, where an item carries nothing else."""
    match message.parts:
        case (Thinking(text="", signature=Signature(value, origin)),) if mark := mark_of(origin):
            return Signature(value, origin.removesuffix(mark)), mark
    return None


def mark_of(origin: str) -> str:
    """BEFORE_CALL or AFTER_CALL where the signature is a call's, else ""."""
    return next((mark for mark in (BEFORE_CALL, AFTER_CALL) if origin.endswith(mark)), "")


def _signed(message: Message, signature: Signature | None) -> Message:
    if signature is None or not message.parts or not isinstance(message.parts[0], ToolCall):
        return message
    return replace(message, parts=(replace(message.parts[0], signature=signature), *message.parts[1:]))


# ---------------------------------------------------------------- messages


def _message(item: Mapping[str, Any], where: str) -> Message:
    name = required_string(item, "role", where)
    role = _ROLES.get(name)
    if role is None:
        raise InvalidRequest(
            f"unknown role {name!r}; expected one of {', '.join(_ROLES)}", where=f"{where}.role"
        )
    bag = notes.rest(item, _MESSAGE)
    content = item.get("content")
    form = ["typed" if "type" in item else "untyped"]
    parts: tuple[Part, ...]
    if isinstance(content, str):
        parts = (placed(Text(content), f"{where}.content"),)
        form.append("string")
    else:
        parts = decode_content(content or [], f"{where}.content")
    bag["_:form"] = tuple(form)
    return Message(role, parts, extensions=notes.extensions(bag))


def decode_content(content: Any, where: str) -> tuple[Part, ...]:
    """The parts of a message or of a tool's output."""
    return tuple(
        placed(_content(as_mapping(part, f"{where}[{at}]"), f"{where}[{at}]"), f"{where}[{at}]")
        for at, part in enumerate(as_list(content, where))
    )


def _content(part: Mapping[str, Any], where: str) -> Part:
    kind = part.get("type")
    match kind:
        case "input_text" | "output_text" | "text" | "summary_text":
            return Text(required_string(part, "text", where), notes.extensions(notes.rest(part, _TEXT)))
        case "refusal":
            return Refusal(
                required_string(part, "refusal", where), notes.extensions(notes.rest(part, _REFUSAL))
            )
        case "input_image":
            return media.decode_image(part, where)
        case "input_file":
            return media.decode_file(part, where)
        case "input_audio":
            return media.decode_audio(part, where)
        case str():
            return Opaque(notes.PROTOCOL, kind, part)
    raise InvalidRequest("a content part needs a type", where=f"{where}.type")


# ---------------------------------------------------------------- reasoning


def _reasoning(item: Mapping[str, Any], where: str) -> Message:
    return Message("assistant", (decode_reasoning(item, where),))


def decode_reasoning(item: Mapping[str, Any], where: str) -> Thinking:
    texts = [
        required_string(as_mapping(part, f"{where}.{key}[{at}]"), "text", f"{where}.{key}[{at}]")
        for key in ("content", "summary")
        for at, part in enumerate(as_list(item.get(key) or [], f"{where}.{key}"))
        if key == "content" or not item.get("content")
    ]
    encrypted = string(item, "encrypted_content", where)
    signature = from_client(encrypted, notes.PROTOCOL) if encrypted else None
    text = "\n\n".join(texts)
    return Thinking(
        text,
        signature,
        redacted=not text and signature is not None,
        id=string(item, "id", where),
        extensions=notes.extensions({"_:raw": item}),
    )


# ---------------------------------------------------------------- calls and their results


def _function_call(item: Mapping[str, Any], where: str) -> Message:
    return _call(item, where, required_string(item, "arguments", where), custom=False)


def _custom_call(item: Mapping[str, Any], where: str) -> Message:
    return _call(item, where, required_string(item, "input", where), custom=True)


def _call(item: Mapping[str, Any], where: str, arguments: str, *, custom: bool) -> Message:
    call = ToolCall(
        required_string(item, "call_id", where),
        required_string(item, "name", where),
        arguments,
        "custom" if custom else "function",
        string(item, "namespace", where),
        extensions=notes.extensions(notes.rest(item, _CALL)),
    )
    return Message("assistant", (call,))


def _client_call(item: Mapping[str, Any], where: str) -> Message:
    if item.get("type") == "tool_search_call" and item.get("execution") != "client":
        return _opaque(item, where)
    call_id = string(item, "call_id", where) or string(item, "id", where) or ""
    return Message("assistant", (client_tools.decode_call(item, call_id),))


def _function_output(item: Mapping[str, Any], where: str) -> Message:
    return _output(item, where, custom=False)


def _custom_output(item: Mapping[str, Any], where: str) -> Message:
    return _output(item, where, custom=True)


def _output(item: Mapping[str, Any], where: str, *, custom: bool) -> Message:
    output = item.get("output")
    bag = notes.rest(item, _OUTPUT)
    if isinstance(output, str):
        bag["_:form"] = ("string",)
        content: tuple[Part, ...] = (placed(Text(output), f"{where}.output"),) if output else ()
    elif output is None:
        raise InvalidRequest("a tool's output is missing", where=f"{where}.output")
    else:
        bag["_:form"] = ("list",)
        content = decode_content(output, f"{where}.output")
    result = ToolResult(
        required_string(item, "call_id", where),
        content,
        string(item, "name", where),
        kind="custom" if custom else "function",
        extensions=notes.extensions(bag),
    )
    return Message("tool", (result,))


def _client_output(item: Mapping[str, Any], where: str) -> Message:
    if item.get("type") == "tool_search_output" and item.get("execution") != "client":
        return _note(item, where)
    call_id = string(item, "call_id", where) or string(item, "id", where) or ""
    return Message("tool", (client_tools.decode_output(item, call_id),))


# ---------------------------------------------------------------- everything else


def _note(item: Mapping[str, Any], where: str) -> Message:
    """Tools that are declared in mid-conversation: the request has them in `tools`, too."""
    return Message("developer", (), extensions=notes.extensions({"_:raw": item}))


def _reference(item: Mapping[str, Any], where: str) -> Message:
    if "id" not in item:
        raise InvalidRequest("an item needs a type", where=f"{where}.type")
    return Message("user", (), extensions=notes.extensions({"_:raw": item, "!item_reference": item["id"]}))


def _compaction(item: Mapping[str, Any], where: str) -> Message:
    signature = from_client(string(item, "encrypted_content", where) or "", notes.PROTOCOL)
    if signature.origin == COMPACTION_ORIGIN:
        return Message("user", (Text(signature.value),))
    return _opaque(item, where)


def _opaque(item: Mapping[str, Any], where: str) -> Message:
    kind = as_string(item.get("type"), f"{where}.type")
    is_answer = kind.endswith("_output") or kind == "mcp_approval_response"
    return Message(
        "user" if is_answer else "assistant", (Opaque(notes.PROTOCOL, kind, item, _told(kind, item)),)
    )


def _told(kind: str, item: Mapping[str, Any]) -> str:
    """A provider-run tool's call in words, where its result would else be unknown to the next model."""
    match kind:
        case "code_interpreter_call":
            outputs = item.get("outputs")
            logs = [str(one["logs"]) for one in _objects(outputs) if one.get("logs")]
            return "\n".join([f"[ran code]\n{item.get('code') or ''}", *logs])
        case "mcp_call":
            said = item.get("output") or dump(item.get("error"))
            return f"[called {item.get('name')} with {item.get('arguments')}]\n{said}"
        case "file_search_call":
            found = [str(one["text"]) for one in _objects(item.get("results")) if one.get("text")]
            return "\n".join(["[searched files]", *found]) if found else ""
    return ""


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


_DECODERS: dict[str, Callable[[Mapping[str, Any], str], Message]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "custom_tool_call": _custom_call,
    "function_call_output": _function_output,
    "custom_tool_call_output": _custom_output,
    "item_reference": _reference,
    "additional_tools": _note,
    "compaction": _compaction,
    **dict.fromkeys(client_tools.BY_CALL, _client_call),
    **dict.fromkeys(client_tools.BY_OUTPUT, _client_output),
}
"""Item type -> reader. Types that are not here are carried as they are."""

_OF_ANSWERS = {
    kind: reader
    for kind, reader in _DECODERS.items()
    if kind not in client_tools.BY_OUTPUT
    and not kind.endswith("_output")
    and kind not in ("item_reference", "additional_tools")
}
_WITHOUT_SEARCH = {**_DECODERS, "tool_search_call": _opaque, "tool_search_output": _note}
