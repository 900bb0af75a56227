"""Token counts. Anthropic's `input_tokens` leaves out what the cache gave or took.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.anthropic.names import bag, own
from adapters.canonical import Usage
from adapters.usage_losses import says_nothing

_COUNTED = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "output_tokens_details",
        "service_tier",
    }
)
_OF_THE_SERVER = frozenset({"inference_geo"})
"""What a server tells about itself: kept for clients of this protocol, missed by no other."""
_SERVICE_TIERS = {"standard": "default"}
_TO_CLIENT = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}


def decode_usage(usage: Mapping[str, Any]) -> Usage:
    read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    details = usage.get("output_tokens_details")
    thinking = _count(details, "thinking_tokens") if isinstance(details, Mapping) else None
    more = {
        f"_{key}" if key in _OF_THE_SERVER or says_nothing(value) else key: value
        for key, value in usage.items()
        if key not in _COUNTED and value is not None
    }
    return Usage(
        input_tokens=(_count(usage, "input_tokens") or 0) + (read or 0) + (written or 0),
        output_tokens=_count(usage, "output_tokens") or 0,
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=thinking,
        extensions=bag(more),
    )


def _count(source: Mapping[str, Any], key: str) -> int | None:
    value = source.get(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def decode_tier(usage: Mapping[str, Any]) -> str | None:
    tier = usage.get("service_tier")
    return _SERVICE_TIERS.get(tier, tier) if isinstance(tier, str) else None


def encode_usage(usage: Usage | None, tier: str | None = None) -> dict[str, Any]:
    """The cache's counts are always there: clients add them up."""
    usage = usage or Usage()
    read, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    counts: dict[str, Any] = {
        "input_tokens": max(usage.input_tokens - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if tier in _TO_CLIENT:
        counts["service_tier"] = _TO_CLIENT[tier]
    return {**counts, **{key.removeprefix("_"): value for key, value in own(usage.extensions).items()}}
