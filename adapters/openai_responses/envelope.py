"""The `response` object around the output: what was asked is echoed, as the API does."""

from __future__ import annotations

from typing import Any

from adapters.canonical import ChatRequest, ChatResponse, StreamStart, Text, Usage
from adapters.codec import Reply
from adapters.losses import Losses
from adapters.openai_common import TIERS
from adapters.openai_responses import notes
from adapters.openai_responses.request_encode import output_format
from adapters.openai_responses.tools import encode_choice, encode_tools
from adapters.openai_responses.usage import encode_usage

_ECHOED = (
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "top_logprobs",
    "truncation",
    "store",
    "background",
)


def response_id(upstream_id: str, reply: Reply) -> str:
    return upstream_id if upstream_id.startswith("resp_") else f"resp_{reply.id}"


def tier(answered: str | None) -> str:
    """The service tier, where it is one of OpenAI's."""
    return answered if answered is not None and answered in TIERS else "default"


_OF_THE_REQUEST = frozenset({"_error", "_tools", "_tool_choice", "_instructions", "_text", "_reasoning"})
"""What an upstream of this protocol echoes: the client is told of its own request instead."""


def around(start: ChatResponse | StreamStart, reply: Reply) -> dict[str, Any]:
    """The object without status, output and usage."""
    out: dict[str, Any] = {
        "id": response_id(start.id, reply),
        "created_at": start.created or reply.created,
        "model": start.model or reply.request.model,
        **base(reply),
    }
    bag = notes.own(start.extensions)
    notes.restore(out, {key: one for key, one in bag.items() if key not in _OF_THE_REQUEST})
    out["service_tier"] = tier(start.service_tier)
    return out


def base(reply: Reply) -> dict[str, Any]:
    """Everything but id, times, status, output and usage."""
    request = reply.request
    out: dict[str, Any] = {
        "object": "response",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": _instructions(request),
        "max_output_tokens": request.max_tokens,
        "max_tool_calls": None,
        "parallel_tool_calls": True if request.parallel_tool_calls is None else request.parallel_tool_calls,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": _reasoning(request),
        "safety_identifier": None,
        "store": False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": _text(request),
        "tool_choice": "auto",
        "tools": encode_tools(request.tools, Losses()),
        "top_logprobs": 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": "disabled",
        "user": request.user,
        "metadata": dict(request.metadata or {}),
    }
    if request.tool_choice is not None:
        out["tool_choice"] = encode_choice(request.tool_choice, request.tools, Losses())
    for tool in out["tools"]:
        if tool.get("type") == "function":
            tool.setdefault("strict", True)
            tool.setdefault("parameters", None)
    bag = notes.own(request.extensions)
    for key in _ECHOED:
        value = bag.get(key, bag.get(f"_{key}"))
        if value is not None:
            out[key] = value
    return out


def _instructions(request: ChatRequest) -> str | None:
    texts = [part.text for part in request.instructions if isinstance(part, Text)]
    return "\n\n".join(texts) if texts else None


def _reasoning(request: ChatRequest) -> dict[str, Any]:
    wanted = request.reasoning
    if wanted is None:
        return {"effort": None, "summary": None}
    return notes.restore({"effort": wanted.effort, "summary": wanted.summary}, notes.own(wanted.extensions))


def _text(request: ChatRequest) -> dict[str, Any]:
    wanted = request.output_format
    form = output_format(wanted, is_own=True) if wanted is not None else None
    return {"format": form or {"type": "text"}, "verbosity": request.verbosity or "medium"}


def with_result(
    envelope: dict[str, Any],
    *,
    status: str,
    reason: str | None,
    output: list[dict[str, Any]],
    usage: Usage | None,
) -> dict[str, Any]:
    """The same with its outcome."""
    return {
        **envelope,
        "status": status,
        "incomplete_details": None if status != "incomplete" else {"reason": reason},
        "output": output,
        "usage": None if usage is None else encode_usage(usage),
    }
