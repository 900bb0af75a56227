"""An upstream's whole answer to the canonical response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.canonical import (
    Base64Source,
    ChatResponse,
    Choice,
    Extensions,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
)
from adapters.errors import InvalidRequest, InvalidResponse
from adapters.openai_responses import notes
from adapters.openai_responses.items_decode import decode_items, mark_of
from adapters.openai_responses.usage import decode_finish, decode_usage
from adapters.signatures import for_client, from_client

MAPPED = frozenset(
    {"id", "model", "created_at", "output", "usage", "service_tier", "status", "incomplete_details"}
)


def decode_response(body: Mapping[str, Any]) -> ChatResponse:
    """Raises InvalidResponse: also for an answer that is a failure inside a success."""
    if not isinstance(body, Mapping):
        raise InvalidResponse("the answer is no JSON object")
    error = body.get("error")
    if body.get("status") == "failed" or (error and "output" not in body):
        raise InvalidResponse(_message(error))
    output = body.get("output")
    if not isinstance(output, list):
        raise InvalidResponse("an answer needs a list of items", where="output")
    parts = decode_output(output)
    return ChatResponse(
        id=_text(body, "id"),
        model=_text(body, "model"),
        choices=(Choice(parts, decode_finish(body, parts)),),
        usage=decode_usage(body.get("usage")),
        created=created_of(body),
        service_tier=_text(body, "service_tier") or None,
        extensions=notes.extensions(notes.quiet(body, MAPPED)),
    )


def created_of(body: Mapping[str, Any]) -> int | None:
    created = body.get("created_at")
    return int(created) if isinstance(created, int | float) and not isinstance(created, bool) else None


def decode_output(items: list[Any]) -> tuple[Part, ...]:
    """The parts of all items, in order. Missing ids of calls are minted from their position."""
    try:
        messages = decode_items([_lenient(item, at) for at, item in enumerate(items)], "output", answer=True)
    except InvalidRequest as error:
        raise InvalidResponse(error.message, where=error.where) from error
    parts: list[Part] = []
    for message in messages:
        item = {key: value for key, value in notes.own(message.extensions).items() if key != "_:form"}
        for part in message.parts:
            if (image := _image(part)) is not None:
                parts.append(image)
            elif isinstance(part, Text | Refusal):
                parts.append(replace(part, extensions=content_bag(part.extensions, item)))
            else:
                parts.append(part)
    return tuple(parts)


def _image(part: Part) -> Media | None:
    """The picture of an `image_generation_call`; as an item of the history it stays what it is."""
    if not isinstance(part, Opaque) or part.kind != "image_generation_call":
        return None
    data, form = part.value.get("result"), part.value.get("output_format")
    if not isinstance(data, str) or not data:
        return None
    media_type = f"image/{form}" if isinstance(form, str) and form else "image/png"
    return Media("image", Base64Source(data), media_type, extensions=notes.extensions({"_:raw": part.value}))


def content_bag(extensions: Extensions, item: Mapping[str, Any]) -> Extensions:
    """A content part keeps the keys of the message item that it stood in."""
    bag = notes.own(extensions)
    return notes.extensions({**bag, "_:item": item}) if item else extensions


def _lenient(item: Any, at: int) -> Any:
    """What servers leave away: ids of calls, arguments, the role of a message, nulls in lists."""
    if not isinstance(item, dict):
        return item
    match item.get("type"):
        case "function_call" | "custom_tool_call" as kind:
            key = "arguments" if kind == "function_call" else "input"
            defaults = {"call_id": item.get("id") or f"call_{at}", key: "", "name": ""}
            return {**item, **{name: value for name, value in defaults.items() if item.get(name) is None}}
        case "message":
            return item if item.get("role") else {**item, "role": "assistant"}
        case "reasoning":
            return enclosed(item)
    return item


def enclosed(item: dict[str, Any]) -> dict[str, Any]:
    """A reasoning item whose ciphertext is the upstream's own, whatever it looks like.

    An upstream that is a hub itself has wrapped what another maker signed, and wants the wrapper back.
    What it marked as a call's signature is this upstream's signature of that call.
    """
    value = item.get("encrypted_content")
    if not isinstance(value, str) or not value:
        return item
    mark = mark_of(from_client(value, notes.PROTOCOL).origin)
    return {
        **item,
        "encrypted_content": for_client(Signature(value, notes.PROTOCOL + mark), notes.PROTOCOL),
    }


def _message(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "the upstream could not generate an answer")


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
