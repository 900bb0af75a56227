"""A ChatResponse to the answer that a client of Chat Completions gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters import stop_reasons
from adapters.canonical import (
    NO_EXTENSIONS,
    Base64Source,
    ChatRequest,
    ChatResponse,
    Choice,
    Extensions,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from adapters.citations import in_answer
from adapters.codec import Reply
from adapters.joining import joined_turn
from adapters.losses import Losses
from adapters.openai_chat import thinking
from adapters.openai_chat.content import PROTOCOL, data_url, note, restore
from adapters.openai_chat.outcome import FINISH_OUT, SERVICE_TIERS, encode_finish, encode_usage
from adapters.openai_chat.response_decode import TRIVIA
from adapters.signatures import for_client, named
from adapters.stream_losses import place
from adapters.tool_names import restore_response

Json = dict[str, Any]


def encode_response(response: ChatResponse, reply: Reply) -> tuple[Json, Losses]:
    losses = Losses()
    response = in_answer(restore_response(response, reply.request), PROTOCOL)
    legacy = wants_legacy(reply.request)
    out: Json = {
        "id": response.id or f"chatcmpl-{reply.id}",
        "object": "chat.completion",
        "created": response.created or reply.created,
        "model": response.model or reply.request.model,
        "choices": [_choice(choice, legacy, losses) for choice in response.choices],
    }
    if response.usage is not None:
        out["usage"] = encode_usage(response.usage)
        losses.foreign(response.usage.extensions, PROTOCOL, "usage")
    if response.service_tier in SERVICE_TIERS:
        out["service_tier"] = response.service_tier
    out["system_fingerprint"] = None
    restore(response.extensions, "", out, out)
    restore_trivia(response.extensions, out)
    losses.foreign(response.extensions, PROTOCOL, "")
    return out, losses


def restore_trivia(extensions: Extensions, out: Json) -> None:
    """What the upstream's server told about itself, back at its place."""
    for key, value in extensions.get(PROTOCOL, NO_EXTENSIONS).items():
        if key[:1] == "_" and key[1:] in TRIVIA:
            out[key[1:]] = value


def wants_legacy(request: ChatRequest) -> bool:
    """Whether the client declared `functions`, and so expects `function_call`."""
    return any(isinstance(tool, Tool) and note(tool.extensions, "_legacy") for tool in request.tools)


def _choice(choice: Choice, legacy: bool, losses: Losses) -> Json:
    where = f"choices[{choice.index}]"
    message = _message(choice.parts, legacy, where, losses)
    for position, part in enumerate(choice.parts):
        _report(part, place(choice.index, position), losses)
    word = FINISH_OUT[choice.finish.unified]
    tokens = [token for part in choice.parts for token in _logprobs(part)]
    out: Json = {
        "index": choice.index,
        "message": message,
        "logprobs": {"content": tokens, "refusal": None} if tokens else None,
        "finish_reason": encode_finish(word, legacy=legacy),
    }
    restore(choice.extensions, "message", out, message)
    restore_trivia(choice.extensions, out)
    losses.foreign(choice.extensions, PROTOCOL, where)
    stop_reasons.report(choice.finish, word, PROTOCOL, where, losses)
    return out


def _logprobs(part: Part) -> list[Any]:
    """Of an answer that was put together from a stream."""
    found = note(part.extensions, "logprobs") if isinstance(part, Text) else None
    return found if isinstance(found, list) else []


def _message(parts: Sequence[Part], legacy: bool, where: str, losses: Losses) -> Json:
    texts = [part for part in parts if isinstance(part, Text)]
    words = joined_turn(part for part in parts if not isinstance(part, Refusal))
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    # OpenAI's own: null beside calls and refusals, "" where the model said nothing at all
    silent = any(isinstance(part, ToolCall | Refusal | Media) for part in parts)
    out: Json = {
        "role": "assistant",
        "content": None if silent and not (texts or words) else words,
        "refusal": "".join(refusals) if refusals else None,
        "annotations": _annotations(texts),
    }
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    if thoughts:
        write_thinking(out, thoughts)
    calls = [part for part in parts if isinstance(part, ToolCall)]
    if legacy and len(calls) == 1:
        out["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments or "{}"}
    elif calls:
        out["tool_calls"] = [encode_call(call) for call in calls]
    _media(out, parts, where, losses)
    return out


def _annotations(texts: Sequence[Text]) -> list[Any]:
    found: list[Any] = []
    for part in texts:
        value = note(part.extensions, "annotations")
        found += value if isinstance(value, list) else []
    return found


def write_thinking(out: Json, thoughts: Sequence[Thinking]) -> None:
    text = thinking.joined(thoughts)
    if text:
        out["reasoning_content"] = text
    details = thinking.details_for_client(thoughts)
    if details:
        out["reasoning_details"] = details


def encode_call(call: ToolCall) -> Json:
    if call.kind == "custom":
        out: Json = {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    else:
        function = {"name": call.name, "arguments": call.arguments or "{}"}
        out = {"id": call.id, "type": "function", "function": function}
    extra = extra_content(call)
    if extra:
        out["extra_content"] = extra
    return out


def extra_content(call: ToolCall) -> Json | None:
    """What a client has to send back with the call: Google's slot for Gemini's thought signatures.

    A signature of another maker stands under that maker's name. What Google's own API of this protocol
    signed is given as it came.
    """
    given = note(call.extensions, "extra_content")
    extra: Json = dict(given) if isinstance(given, Mapping) else {}
    if call.signature is not None:
        signature = call.signature
        if signature.origin == PROTOCOL and (google := named(signature, "gemini")):
            signature = Signature(google, "gemini")
        maker = "google" if signature.origin == "gemini" else signature.origin
        value = for_client(signature, signature.origin)
        extra[maker] = {**extra.get(maker, {}), "thought_signature": value}
    return extra or None


def _media(out: Json, parts: Sequence[Part], where: str, losses: Losses) -> None:
    images: list[Json] = []
    for part in parts:
        if not isinstance(part, Media):
            continue
        if part.kind == "image" and (image := encode_image(part, len(images))):
            images.append(image)
        elif part.kind == "audio" and isinstance(part.source, Base64Source):
            out["audio"] = encode_audio(part)
        else:
            losses.add(f"media.{part.kind}", where, "a message has no slot for it")
    if images:
        out["images"] = images


def encode_image(part: Media, index: int) -> Json | None:
    """OpenRouter's slot for pictures that the model made; OpenAI has none in this API."""
    url = data_url(part, "image/png")
    return {"type": "image_url", "image_url": {"url": url}, "index": index} if url else None


def encode_audio(part: Media) -> Json:
    audio: Json = {"id": "", "expires_at": 0, "transcript": ""}
    restore(part.extensions, "audio", {}, audio)
    audio["data"] = part.source.data if isinstance(part.source, Base64Source) else ""
    return audio


def _report(part: Part, where: str, losses: Losses) -> None:
    if isinstance(part, Opaque):
        report_item(part, where, losses)
    elif isinstance(part, ToolResult):
        losses.add("tool_result", where, "an answer has no results of tools")
    else:
        losses.foreign(part.extensions, PROTOCOL, where)


def report_item(part: Opaque, where: str, losses: Losses) -> None:
    """What only another protocol has: it is told in words, if there are any."""
    losses.add(f"item.{part.kind}", where, f"an item of {part.protocol} has no place in a message")
