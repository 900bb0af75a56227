"""How an answer ended, and what it cost: finish reasons and usage. Both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import NO_EXTENSIONS, FinishReason, StopReason, Usage
from adapters.openai_chat.content import PROTOCOL
from adapters.stop_reasons import Word, exact, nearest

FINISH_IN: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # providers' own words
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "context_window",  # Mistral
    "model_context_window_exceeded": "context_window",  # Z.ai
    "sensitive": "content_filter",  # Z.ai
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "refusal",
    "error": "error",  # OpenRouter, Mistral
    "network_error": "error",  # Z.ai
    "insufficient_system_resource": "error",  # DeepSeek
    "malformed_function_call": "error",
    "abort": "error",  # vLLM
}
"""`finish_reason` (in lower case) -> unified; anything else is `other`."""

FINISH_OUT: dict[StopReason, Word] = {
    "stop": exact("stop"),
    "stop_sequence": nearest("stop"),
    "length": exact("length"),
    "context_window": nearest("length"),
    "tool_calls": exact("tool_calls"),
    "content_filter": exact("content_filter"),
    "refusal": nearest("content_filter"),
    "pause": nearest("stop"),
    "error": nearest("stop"),
    "other": nearest("stop"),
}
"""Unified -> one of the five that the SDK's type knows."""

SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
"""What the SDK's type takes in an answer; another provider's tier (`standard`) is not told."""


def decode_finish(raw: Any, *, has_calls: bool) -> FinishReason:
    """A turn with tool calls is never `stop`, whatever the server said; nor the reverse.

    A refusal in the model's own words is an ordinary end, as it is for the models of all others.
    """
    text = raw if isinstance(raw, str) else None
    unified: StopReason = "other"
    if text is not None:
        unified = FINISH_IN.get(text) or FINISH_IN.get(text.lower(), "other")
    if has_calls and unified in ("stop", "other"):
        unified = "tool_calls"
    elif not has_calls and unified == "tool_calls":
        unified = "stop"
    return FinishReason(unified, text)


def encode_finish(word: Word, *, legacy: bool = False) -> str:
    return "function_call" if legacy and word.raw == "tool_calls" else word.raw


# ---------------------------------------------------------------- usage

_USAGE = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """The counts of an answer or a chunk, wherever its provider puts them."""
    usage = body.get("usage")
    if not usage and "x_groq" in body:
        groq = body["x_groq"]
        usage = groq.get("usage") if isinstance(groq, Mapping) else None
    if not usage:  # Moonshot's streams: https://platform.moonshot.ai/docs/api/chat
        choices = body.get("choices")
        last = choices[-1] if isinstance(choices, list) and choices else None
        usage = last.get("usage") if isinstance(last, Mapping) else None
    return decode_usage(usage) if usage else None


def decode_usage(value: Any) -> Usage | None:
    """None unless there are counts. What is told beyond them is kept for clients of this protocol."""
    if not isinstance(value, Mapping):
        return None
    prompt, completion = _count(value, "prompt_tokens"), _count(value, "completion_tokens")
    if prompt is None and completion is None:
        return None
    asked = _details(value, "prompt_tokens_details")
    given = _details(value, "completion_tokens_details")
    cached = _count(asked, "cached_tokens")
    for other in ("prompt_cache_hit_tokens", "cached_tokens"):  # DeepSeek; Moonshot
        cached = _count(value, other) if cached is None else cached
    reasoning = _count(given, "reasoning_tokens")
    if reasoning is None:
        reasoning = _count(value, "reasoning_tokens")
    prompt, completion = prompt or 0, completion or 0
    if reasoning and _count(value, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # xAI counts reasoning beside the completion
    bag = _bag(value, _USAGE, "")
    bag |= _bag(asked, frozenset({"cached_tokens"}), "prompt_tokens_details.")
    bag |= _bag(given, frozenset({"reasoning_tokens"}), "completion_tokens_details.")
    return Usage(
        prompt,
        completion,
        cached_tokens=cached,
        cache_write_tokens=_count(asked, "cache_write_tokens"),
        reasoning_tokens=reasoning,
        extensions={PROTOCOL: bag} if bag else NO_EXTENSIONS,
    )


def _bag(source: Mapping[str, Any], known: frozenset[str], prefix: str) -> dict[str, Any]:
    """Counts of nothing are noted only: no client of another protocol misses them."""
    return {
        prefix + key if value else f"_{prefix}{key}": value
        for key, value in source.items()
        if key not in known and value is not None
    }


def _details(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else NO_EXTENSIONS


def _count(value: Mapping[str, Any], key: str) -> int | None:
    found = value.get(key)
    return int(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def encode_usage(usage: Usage) -> dict[str, Any]:
    asked: dict[str, Any] = {"cached_tokens": usage.cached_tokens or 0}
    if usage.cache_write_tokens is not None:
        asked["cache_write_tokens"] = usage.cache_write_tokens
    given: dict[str, Any] = {"reasoning_tokens": usage.reasoning_tokens or 0}
    out: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": asked,
        "completion_tokens_details": given,
    }
    nested = {"prompt_tokens_details": asked, "completion_tokens_details": given}
    for key, value in usage.extensions.get(PROTOCOL, NO_EXTENSIONS).items():
        prefix, dot, name = key.removeprefix("_").partition(".")
        into = nested.get(prefix) if dot else out
        if into is not None:
            into.setdefault(name if dot else prefix, value)
    return out
