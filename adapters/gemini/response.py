"""Whole answers, both ways; and what streams share with them: stop reasons, usage, candidates.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters import stop_reasons
from adapters.canonical import (
    ChatResponse,
    Choice,
    FinishReason,
    Media,
    Opaque,
    Part,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from adapters.codec import Reply
from adapters.errors import InvalidRequest, InvalidResponse
from adapters.gemini import carry
from adapters.gemini.calls import AnswerIds
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.parts_decode import decode_part, extensions_of
from adapters.gemini.parts_encode import PartEncoder, Wire, arguments_of, note, own
from adapters.gemini.reading import Fields, fields
from adapters.joining import Apart, report_refusal
from adapters.losses import Losses
from adapters.stop_reasons import Word, exact, nearest
from adapters.stream_losses import place
from adapters.tool_names import restore_response
from adapters.usage_losses import report_counts, says_nothing

# ---------------------------------------------------------------- stop reasons

STOP_REASONS: Mapping[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "CONTINUATION": "pause",
    "NO_IMAGE": "other",
    "IMAGE_OTHER": "other",
    "OTHER": "other",
    "FINISH_REASON_UNSPECIFIED": "other",
}
"""https://ai.google.dev/api/generate-content#FinishReason"""

_WORDS: Mapping[StopReason, Word] = {
    "stop": exact("STOP"),
    "stop_sequence": nearest("STOP"),
    "tool_calls": exact("STOP"),
    "length": exact("MAX_TOKENS"),
    "context_window": nearest("MAX_TOKENS"),
    "content_filter": exact("SAFETY"),
    "refusal": nearest("SAFETY"),
    "pause": nearest("OTHER"),
    "error": nearest("OTHER"),
    "other": nearest("OTHER"),
}


def finish_reason(raw: str | None, *, calls: bool) -> FinishReason:
    """A turn with function calls stops with STOP, too."""
    unified: StopReason = STOP_REASONS.get(raw or "", "other")
    return FinishReason("tool_calls" if unified == "stop" and calls else unified, raw)


def finish_word(reason: FinishReason, where: str, losses: Losses) -> str:
    """Gemini's own word as it was, else the nearest, which is reported."""
    own_word = reason.raw is not None and reason.raw in STOP_REASONS
    word = exact(str(reason.raw)) if own_word else _WORDS[reason.unified]
    stop_reasons.report(reason, word, PROTOCOL, where, losses)
    return word.raw


# ---------------------------------------------------------------- usage


def decode_usage(value: Any) -> Usage | None:
    """Thoughts are counted beside the candidates, and so is what Google's own tools read in."""
    if not isinstance(value, dict):
        return None
    members = fields(value, "usageMetadata")

    def take(key: str) -> int | None:
        count = members.pop(key, None)
        return int(count) if isinstance(count, int | float) and not isinstance(count, bool) else None

    tools, thoughts = take("toolUsePromptTokenCount"), take("thoughtsTokenCount")
    prompt, answer = take("promptTokenCount"), take("candidatesTokenCount")
    cached = take("cachedContentTokenCount")
    take("totalTokenCount")
    if tools is not None:
        members["toolUsePromptTokenCount"] = tools
    members = {f"_{key}" if _is_plain(key, one) else key: one for key, one in members.items()}
    return Usage(
        input_tokens=(prompt or 0) + (tools or 0),
        output_tokens=(answer or 0) + (thoughts or 0),
        cached_tokens=cached,
        reasoning_tokens=thoughts,
        extensions=extensions_of(members),
    )


def _is_plain(key: str, value: Any) -> bool:
    """Whether details say no more than the sums: all of it is text; or how the server was reached."""
    if key in ("trafficType", "serviceTier") or says_nothing(value):
        return True
    return isinstance(value, list) and all(
        isinstance(one, dict) and one.get("modality") == "TEXT" for one in value
    )


def encode_usage(usage: Usage, losses: Losses) -> Wire:
    report_counts(usage, ("cache_write_tokens",), losses)
    bag = {key.removeprefix("_"): value for key, value in usage.extensions.get(PROTOCOL, {}).items()}
    thoughts = min(usage.reasoning_tokens or 0, usage.output_tokens)
    wire: Wire = {
        "promptTokenCount": usage.input_tokens - bag.get("toolUsePromptTokenCount", 0),
        "candidatesTokenCount": usage.output_tokens - thoughts,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens is not None:
        wire["cachedContentTokenCount"] = usage.cached_tokens
    if usage.reasoning_tokens is not None:
        wire["thoughtsTokenCount"] = thoughts
    return {**wire, **bag}


# ---------------------------------------------------------------- from an upstream


def decode_response(body: Mapping[str, Any]) -> ChatResponse:
    """Raises InvalidResponse."""
    try:
        return _decoded(fields(body, ""))
    except InvalidRequest as error:
        raise InvalidResponse(error.message, where=error.where) from error


def _decoded(members: Fields) -> ChatResponse:
    response_id, model = _word(members, "responseId"), _word(members, "modelVersion")
    usage = decode_usage(members.pop("usageMetadata", None))
    candidates = members.pop("candidates", None)
    if not candidates and "promptFeedback" not in members:
        raise InvalidResponse("has neither candidates nor promptFeedback")
    ids = AnswerIds(response_id)
    choices = [
        _choice(fields(raw, f"candidates[{at}]"), at, ids)
        for at, raw in enumerate(candidates if isinstance(candidates, list) else [])
    ]
    return ChatResponse(
        id=response_id,
        model=model,
        choices=tuple(choices) or (Choice((), blocked(members.get("promptFeedback"))),),
        usage=usage,
        extensions=extensions_of(members),
    )


def _word(members: Fields, key: str) -> str:
    value = members.pop(key, None)
    return value if isinstance(value, str) else ""


def blocked(feedback: Any) -> FinishReason:
    """The prompt was refused: there are no candidates, but `promptFeedback.blockReason`."""
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return FinishReason("content_filter", reason if isinstance(reason, str) else None)


def _choice(candidate: Fields, at: int, ids: AnswerIds) -> Choice:
    raw = _word(candidate, "finishReason") or None
    index = candidate.pop("index", at)
    parts = tuple(
        part
        for position, wire in enumerate(content_parts(candidate, f"candidates[{at}]"))
        for part in decode_part(wire, f"candidates[{at}].content.parts[{position}]", ids)
    )
    calls = any(isinstance(part, ToolCall) for part in parts)
    return Choice(
        parts=tuple(part for part in parts if not _says_nothing(part)),
        finish=finish_reason(raw, calls=calls),
        index=index if isinstance(index, int) else at,
        extensions=extensions_of(candidate),
    )


def content_parts(candidate: Fields, where: str) -> Sequence[Any]:
    """Take the parts out of a candidate; a candidate without content has none."""
    content = candidate.pop("content", None)
    if content is None:
        return ()
    parts = fields(content, f"{where}.content").get("parts")
    return parts if isinstance(parts, list) else ()


def _says_nothing(part: Part) -> bool:
    return isinstance(part, Text) and not part.text and not part.extensions


# ---------------------------------------------------------------- to a client


def encode_response(response: ChatResponse, reply: Reply) -> tuple[Wire, Losses]:
    losses = Losses()
    response = restore_response(response, reply.request)
    losses.foreign(response.extensions, PROTOCOL, "")
    body: Wire = {"candidates": [_candidate(choice, losses) for choice in response.choices]}
    if response.usage is not None:
        losses.foreign(response.usage.extensions, PROTOCOL, "usage")
        body["usageMetadata"] = encode_usage(response.usage, losses)
    body["modelVersion"] = response.model or reply.request.model
    body["responseId"] = response.id or reply.id
    body.update(own(response.extensions))
    return body, losses


def _candidate(choice: Choice, losses: Losses) -> Wire:
    where = f"choices[{choice.index}]"
    losses.foreign(choice.extensions, PROTOCOL, where)
    encoder = AnswerParts(losses)
    parts = [
        wire for at, part in enumerate(choice.parts) for wire in encoder.encode(part, place(choice.index, at))
    ]
    return {
        "content": {"parts": parts or [{"text": ""}], "role": "model"},
        "finishReason": finish_word(choice.finish, where, losses),
        "index": choice.index,
        **own(choice.extensions),
    }


class AnswerParts:
    """Encodes the parts of one candidate for a client."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._shared = PartEncoder(losses, media_in_results=True)
        self._thinkings: list[Thinking] = []
        self._apart = Apart()

    def encode(self, part: Part, where: str) -> list[Wire]:
        match part:
            case Thinking():
                self._losses.foreign(part.extensions, PROTOCOL, where)
                self._thinkings.append(part)
                return [thought(part)]
            case ToolCall():
                return [self.call(part, where)]
            case Opaque() if part.protocol != PROTOCOL:
                self._losses.add(f"item.{part.kind}", where, f"only {part.protocol} has it")
                return [{"text": self._apart.item(part.text)}] if part.text else []
            case Text() | Refusal() | Media() | Opaque() | ToolResult():
                if isinstance(part, Text | Refusal):
                    self.text(part, where)
                return self._shared.encode(part, where)

    def text(self, part: Text | Refusal, where: str) -> None:
        """A text begins."""
        self._apart.text()
        if isinstance(part, Refusal):
            report_refusal(where, self._losses)

    def call(self, part: ToolCall, where: str) -> Wire:
        """A call of the client's function. What other makers thought before it goes along."""
        self._losses.foreign(part.extensions, PROTOCOL, where)
        arguments, readable = arguments_of(part.arguments)
        if not readable:
            self._losses.add("tool_call.arguments", where, "no JSON object: sent as text under `input`")
        call: Wire = {"name": part.name, "args": arguments}
        if part.id and not note(part.extensions, "_no_id"):
            call["id"] = part.id
        bag = own(part.extensions)
        call.update({key.removeprefix("functionCall."): bag.pop(key) for key in list(bag) if "." in key})
        wire: Wire = {"functionCall": call, **bag}
        before, self._thinkings = self._thinkings, []
        value = carry.to_client(part.signature) if part.signature else carry.turn_to_client(before)
        if value:
            wire["thoughtSignature"] = value
        return wire

    def remember(self, part: Thinking) -> None:
        """Thinking that was sent in pieces."""
        self._thinkings.append(part)


def thought(part: Thinking) -> Wire:
    wire: Wire = {"text": part.text, "thought": True}
    value = carry.thinking_to_client(part)
    if value:
        wire["thoughtSignature"] = value
    return {**wire, **own(part.extensions)}
