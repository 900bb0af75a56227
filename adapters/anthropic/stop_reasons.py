"""Why an answer ended: one table, used both ways and in streams.

https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.anthropic.names import bag, own
from adapters.canonical import FinishReason, StopReason

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

FROM_UNIFIED: dict[StopReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "context_window": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "content_filter": "refusal",
    "pause": "pause_turn",
    "error": "refusal",  # the answer is not whole, and no other word says so
    "other": "end_turn",
}


def decode_stop(delta: Mapping[str, Any], *, unwrapped: bool = False) -> FinishReason:
    """From a message or the delta of a stream. `unwrapped`: the only call was the answer itself."""
    raw, sequence = delta.get("stop_reason"), delta.get("stop_sequence")
    unified = TO_UNIFIED.get(raw, "other") if isinstance(raw, str) else "other"
    if unified == "tool_calls" and unwrapped:
        unified = "stop"
    details = delta.get("stop_details")
    return FinishReason(
        unified,
        raw if isinstance(raw, str) else None,
        sequence if isinstance(sequence, str) else None,
        bag({"stop_details": details} if details else {}),
    )


def encode_stop(reason: FinishReason, has_calls: bool) -> dict[str, Any]:
    """`stop_reason`, `stop_sequence` and what belongs to them."""
    if reason.raw is not None and TO_UNIFIED.get(reason.raw) == reason.unified:
        said = reason.raw
    elif has_calls and reason.unified in ("stop", "other"):
        said = "tool_use"
    elif reason.unified == "stop_sequence" and reason.stop_sequence is None:
        said = "end_turn"
    else:
        said = FROM_UNIFIED[reason.unified]
    block: dict[str, Any] = {"stop_reason": said, "stop_sequence": reason.stop_sequence}
    if details := own(reason.extensions).get("stop_details"):
        block["stop_details"] = details
    return block
