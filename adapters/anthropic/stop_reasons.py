"""Why an answer ended: one table, used both ways and in streams.

https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.anthropic.names import PROTOCOL, bag, own
from adapters.canonical import ChatRequest, FinishReason, StopReason
from adapters.losses import Losses
from adapters.stop_reasons import Word, exact, nearest, report, with_sequence

TO_UNIFIED: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "context_window",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "pause",
}

FROM_UNIFIED: dict[StopReason, Word] = {
    "stop": exact("end_turn"),
    "stop_sequence": exact("stop_sequence"),
    "length": exact("max_tokens"),
    "context_window": exact("model_context_window_exceeded"),
    "tool_calls": exact("tool_use"),
    "refusal": exact("refusal"),
    "content_filter": nearest("refusal"),
    "pause": exact("pause_turn"),
    "error": nearest("refusal"),  # the answer is not whole, and no other word says so
    "other": nearest("end_turn"),
}


def decode_stop(
    delta: Mapping[str, Any], *, unwrapped: bool = False, has_calls: bool = False
) -> FinishReason:
    """From a message or the delta of a stream. `unwrapped`: the only call was the answer itself.

    Compatible servers may end a turn with calls for the client with `end_turn`: it waits for tools all the
    same.
    """
    raw, sequence = delta.get("stop_reason"), delta.get("stop_sequence")
    unified = TO_UNIFIED.get(raw, "other") if isinstance(raw, str) else "other"
    if unified == "tool_calls" and unwrapped:
        unified = "stop"
    elif unified == "stop" and has_calls:
        unified = "tool_calls"
    details = delta.get("stop_details")
    return FinishReason(
        unified,
        raw if isinstance(raw, str) else None,
        sequence if isinstance(sequence, str) else None,
        bag({"stop_details": details} if details else {}),
    )


def encode_stop(
    reason: FinishReason, has_calls: bool, request: ChatRequest, losses: Losses
) -> dict[str, Any]:
    """`stop_reason`, `stop_sequence` and what belongs to them."""
    reason = with_sequence(reason, request)
    word = _word(reason, has_calls)
    report(reason, word, PROTOCOL, "choices[0]", losses, names_sequence=reason.stop_sequence is not None)
    block: dict[str, Any] = {"stop_reason": word.raw, "stop_sequence": reason.stop_sequence}
    if details := own(reason.extensions).get("stop_details"):
        block["stop_details"] = details
    return block


def _word(reason: FinishReason, has_calls: bool) -> Word:
    if reason.raw is not None and TO_UNIFIED.get(reason.raw) == reason.unified:
        return exact(reason.raw)
    if has_calls and reason.unified in ("stop", "other"):
        return exact("tool_use")
    if reason.unified == "stop_sequence" and reason.stop_sequence is None:
        return nearest("end_turn")  # clients look which one it was
    return FROM_UNIFIED[reason.unified]
