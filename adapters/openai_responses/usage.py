"""Token counts and the reasons why an answer ended, both ways.

Source: `openai.types.responses.response_usage` and `response.IncompleteDetails`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.canonical import FinishReason, Part, StopReason, ToolCall, Usage
from adapters.openai_responses import notes
from adapters.stop_reasons import Word, exact, nearest

_KNOWN = frozenset(
    {"input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details"}
)

REASONS: dict[str, StopReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
"""`incomplete_details.reason` -> stop reason; others are `other`."""

WORDS: dict[StopReason, Word] = {
    "stop": exact("completed"),
    "stop_sequence": nearest("completed"),
    "tool_calls": exact("completed"),
    "length": exact("max_output_tokens"),
    "context_window": nearest("max_output_tokens"),
    "content_filter": exact("content_filter"),
    "refusal": nearest("content_filter"),
    "pause": nearest("incomplete"),
    "error": nearest("incomplete"),
    "other": nearest("incomplete"),
}
"""Stop reason -> `incomplete_details.reason`, or the status where there is no reason."""


def outcome(word: Word) -> tuple[str, str | None]:
    """The status, and `incomplete_details.reason`."""
    if word.raw in ("completed", "incomplete"):
        return word.raw, None
    return "incomplete", word.raw


def decode_usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    read, written = _details(value, "input_tokens_details"), _details(value, "output_tokens_details")
    return Usage(
        input_tokens=_count(value, "input_tokens") or 0,
        output_tokens=_count(value, "output_tokens") or 0,
        cached_tokens=_count(read, "cached_tokens"),
        cache_write_tokens=_count(read, "cache_write_tokens"),
        reasoning_tokens=_count(written, "reasoning_tokens"),
        extensions=notes.extensions({**notes.quiet(value, _KNOWN), **_more_details(read, written)}),
    )


def _details(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    details = value.get(key)
    return details if isinstance(details, dict) else {}


_COUNTED = frozenset({"cached_tokens", "cache_write_tokens", "reasoning_tokens"})


def _more_details(read: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """How the counted sums are made up, for clients of this protocol."""
    more = {
        name: rest
        for name, details in (("input_tokens_details", read), ("output_tokens_details", written))
        if (rest := {key: one for key, one in details.items() if key not in _COUNTED})
    }
    return {"_:details": more} if more else {}


def _count(value: Mapping[str, Any], key: str) -> int | None:
    count = value.get(key)
    return int(count) if isinstance(count, int | float) and not isinstance(count, bool) else None


def encode_usage(usage: Usage) -> dict[str, Any]:
    bag = notes.own(usage.extensions)
    more: Mapping[str, Mapping[str, Any]] = bag.get("_:details") or {}
    out = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
            **more.get("input_tokens_details", {}),
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens or 0,
            **more.get("output_tokens_details", {}),
        },
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    return notes.restore(out, bag)


def decode_finish(response: Mapping[str, Any], parts: Sequence[Part]) -> FinishReason:
    """A refusal in words is an answer that came to its end; a filter says so in its reason."""
    status = response.get("status")
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    if status == "incomplete" or reason:
        return FinishReason(REASONS.get(str(reason), "other"), str(reason or status))
    if status not in (None, "completed"):
        return FinishReason("other", str(status))
    called = any(isinstance(part, ToolCall) for part in parts)
    return FinishReason("tool_calls" if called else "stop", "completed")
