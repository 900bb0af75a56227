"""Ollama's answers, whole: read from an upstream, written for a client.

https://docs.ollama.com/api/chat. Durations are in nanoseconds; the hub has none to tell, but Ollama's
clients divide by them, so they are there and never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from adapters import stop_reasons
from adapters.canonical import (
    NO_EXTENSIONS,
    Base64Source,
    ChatResponse,
    Choice,
    Extensions,
    FinishReason,
    Media,
    Opaque,
    Part,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from adapters.codec import Reply
from adapters.errors import InvalidResponse
from adapters.joining import Apart, report_refusal
from adapters.jsontext import dump, load_object
from adapters.losses import Losses
from adapters.ollama.request_decode import PROTOCOL
from adapters.stop_reasons import Word, exact, nearest
from adapters.stream_losses import place
from adapters.tool_names import restore_response
from adapters.usage_losses import report_counts

DONE_REASONS: dict[StopReason, Word] = {
    "stop": exact("stop"),
    "stop_sequence": nearest("stop"),
    "length": exact("length"),
    "context_window": nearest("length"),
    "tool_calls": exact("stop"),
    "content_filter": nearest("stop"),
    "refusal": nearest("stop"),
    "pause": nearest("stop"),
    "error": nearest("stop"),
    "other": nearest("stop"),
}
"""Canonical -> `done_reason`."""

STOP_REASONS: dict[str, StopReason] = {"stop": "stop", "length": "length", "load": "stop", "unload": "stop"}

_TOP = frozenset(
    {"model", "created_at", "message", "response", "thinking", "image", "done", "done_reason"}
) | {
    "prompt_eval_count",
    "eval_count",
}
_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


# ---------------------------------------------------------------- from an upstream


def decode_response(body: Mapping[str, Any]) -> ChatResponse:
    message = body.get("message")
    if not isinstance(message, Mapping):
        if not isinstance(body.get("response"), str):
            raise InvalidResponse("neither `message` nor `response`", where="message")
        message = {
            "content": body["response"],
            "thinking": body.get("thinking"),
            "images": [body.get("image")],
        }
    parts = list(message_parts(message, str(body.get("created_at") or "")))
    rest = {key: value for key, value in body.items() if key not in _TOP and key not in _DURATIONS}
    if durations := {key: body[key] for key in _DURATIONS if key in body}:
        rest["_durations"] = durations  # how long it took is no part of the answer: a note, and no loss
    return ChatResponse(
        id="",
        model=str(body.get("model") or ""),
        choices=(Choice(tuple(parts), finish_reason(body, parts)),),
        usage=usage(body),
        extensions={PROTOCOL: rest} if rest else NO_EXTENSIONS,
    )


def message_parts(message: Mapping[str, Any], stem: str, first_call: int = 0) -> Iterable[Part]:
    """The parts of a message or of a stream's piece of one.

    Ollama may give calls no ids. Those that are made for them come from `stem`, which tells this
    answer from others of the conversation, and from the call's number.
    """
    thinking, content = message.get("thinking"), message.get("content")
    if isinstance(thinking, str) and thinking:
        yield Thinking(thinking)
    if isinstance(content, str) and content:
        yield Text(content)
    for image in _list(message.get("images")):
        if isinstance(image, str):
            yield Media("image", Base64Source(image), "image/png")
    for number, call in enumerate(_list(message.get("tool_calls")), first_call):
        if isinstance(call, Mapping) and isinstance(call.get("function"), Mapping):
            yield _call(call, f"{stem}/{number}")


def _call(call: Mapping[str, Any], stem: str) -> ToolCall:
    function = call["function"]
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else dump(arguments if arguments is not None else {})
    name, given = str(function.get("name") or ""), call.get("id")
    if not isinstance(given, str) or not given:
        given = f"call_{sha256(f'{stem}/{name}/{text}'.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
    return ToolCall(id=given, name=name, arguments=text)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def finish_reason(body: Mapping[str, Any], parts: Iterable[Part]) -> FinishReason:
    """Ollama says `stop` for a turn with tool calls, too."""
    raw = body.get("done_reason")
    raw = raw if isinstance(raw, str) else None
    unified: StopReason = STOP_REASONS.get(raw or "stop", "other")
    if unified == "stop" and any(isinstance(part, ToolCall) for part in parts):
        unified = "tool_calls"
    return FinishReason(unified, raw)


def usage(body: Mapping[str, Any]) -> Usage | None:
    read, written = body.get("prompt_eval_count"), body.get("eval_count")
    if not isinstance(read, int) and not isinstance(written, int):
        return None
    return Usage(
        input_tokens=read if isinstance(read, int) else 0,
        output_tokens=written if isinstance(written, int) else 0,
    )


# ---------------------------------------------------------------- for a client


def encode_response(response: ChatResponse, reply: Reply) -> tuple[dict[str, Any], Losses]:
    losses = Losses()
    response = restore_response(response, reply.request)
    for choice in response.choices[1:]:
        losses.add("n", f"choices[{choice.index}]", "Ollama gives one answer")
    first = response.choices[0] if response.choices else Choice((), FinishReason("other"))
    report_extensions(response, first, losses)
    piece = message_of(first.parts, losses, shows_pictures=shows_pictures(reply))
    body = head(response.model, reply)
    body.update(as_reply(piece, reply))
    body.update(tail(first.finish, response.usage, response.extensions, losses))
    return body, losses


def report_extensions(response: ChatResponse, first: Choice, losses: Losses) -> None:
    """What other protocols say beyond the model: Ollama's answers have no place for it."""
    losses.foreign(response.extensions, PROTOCOL, "")
    losses.foreign(first.extensions, PROTOCOL, "choices[0]")
    for at, part in enumerate(first.parts):
        if not isinstance(part, Opaque):
            losses.foreign(part.extensions, PROTOCOL, place(0, at))
    if response.usage is not None:
        losses.foreign(response.usage.extensions, PROTOCOL, "usage")


def head(model: str, reply: Reply) -> dict[str, Any]:
    return {"model": model or reply.request.model, "created_at": timestamp(reply.created)}


def timestamp(seconds: int) -> str:
    """RFC 3339, as Ollama writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", ".000000Z")


def as_reply(message: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """`/api/generate` has `response` and `thinking` at the top, `/api/chat` a message."""
    if reply.action != "generate":
        return {"message": message}
    flat = {"response": message["content"]}
    if "thinking" in message:
        flat["thinking"] = message["thinking"]
    if "images" in message:
        flat["image"] = message["images"][0]
    return flat


def tail(finish: FinishReason, usage: Usage | None, extensions: Extensions, losses: Losses) -> dict[str, Any]:
    """What the last object has besides."""
    word = DONE_REASONS[finish.unified]
    stop_reasons.report(finish, word, PROTOCOL, "choices[0]", losses)
    report_counts(usage, ("cached_tokens", "cache_write_tokens", "reasoning_tokens"), losses)
    counted = usage or Usage()
    own = dict(extensions.get(PROTOCOL, {}))
    return {
        "done_reason": word.raw,
        "done": True,
        **dict.fromkeys(_DURATIONS, 1),
        **own.pop("_durations", {}),
        "prompt_eval_count": counted.input_tokens,
        "eval_count": counted.output_tokens,
        **own,
    }


def shows_pictures(reply: Reply) -> bool:
    """`/api/generate` answers with a picture in `image`; Ollama's own SDK fails at one in a message."""
    return reply.action == "generate"


def message_of(
    parts: Iterable[Part],
    losses: Losses,
    first: int = 0,
    apart: Apart | None = None,
    *,
    shows_pictures: bool,
) -> dict[str, Any]:
    """An assistant's message; calls are numbered from 0. `first`: the number of its first part."""
    apart = apart or Apart()
    content: list[str] = []
    thinking: list[str] = []
    images: list[str] = []
    calls: list[dict[str, Any]] = []
    for at, part in enumerate(parts, first):
        where = place(0, at)
        match part:
            case Text(text):
                apart.text()
                content.append(text)
            case Refusal(text):
                apart.text()
                report_refusal(where, losses)
                content.append(text)
            case Thinking(text, signature):
                thinking.append(text)
                if signature is not None:
                    losses.add("thinking.signature", where, "Ollama has no place for it")
            case ToolCall():
                calls.append(encode_call(part, len(calls), losses, where))
            case Media(kind="image", source=Base64Source(data)) if shows_pictures and not images:
                images.append(data)
            case Media():
                losses.add(
                    f"media.{part.kind}",
                    where,
                    "Ollama answers with one picture at most, and on /api/generate",
                )
            case Opaque(_, kind, _, text):
                losses.add(f"item.{kind}", where, "Ollama has no such item")
                content += [apart.item(text)] if text else []
            case _:
                losses.add(part.tag, where, "Ollama's answers have no such part")
    message: dict[str, Any] = {"role": "assistant", "content": "".join(content)}
    if thinking:
        message["thinking"] = "".join(thinking)
    if images:
        message["images"] = images
    if calls:
        message["tool_calls"] = calls
    return message


def encode_call(call: ToolCall, index: int, losses: Losses, where: str = "") -> dict[str, Any]:
    if call.signature is not None:
        losses.add("thinking.signature", where, "Ollama has no place for it")
    arguments = load_object(call.arguments) if call.kind == "function" else {"input": call.arguments}
    if arguments is None:
        losses.add("tool_call.arguments", where, "not a JSON object; carried as text")
        arguments = {"arguments": call.arguments}
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}}
