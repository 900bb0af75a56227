"""Where a parameter stands in a client's body, for losses to tell.

Parts, messages and tools keep their own JSON path (`place`). Encoders name everything else by its field in
the canonical request; this table says what that field is called in each protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adapters.losses import Loss, Losses

_CONFIG = "generationConfig"
_OPTIONS = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "stop")

PLACES: Mapping[str, Mapping[str, str]] = {
    "openai": {
        "output_format": "response_format",
        "reasoning": "reasoning_effort",
    },
    "openai-responses": {
        "max_tokens": "max_output_tokens",
        "output_format": "text.format",
        "verbosity": "text.verbosity",
        "logprobs": "include",
        "system": "instructions",
    },
    "anthropic": {
        "stop": "stop_sequences",
        "output_format": "output_config.format",
        "reasoning": "thinking",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "user": "metadata.user_id",
    },
    "gemini": {
        "system": "systemInstruction",
        "tool_choice": "toolConfig",
        "output_format": f"{_CONFIG}.responseMimeType",
        "reasoning": f"{_CONFIG}.thinkingConfig",
        "max_tokens": f"{_CONFIG}.maxOutputTokens",
        "temperature": f"{_CONFIG}.temperature",
        "top_p": f"{_CONFIG}.topP",
        "top_k": f"{_CONFIG}.topK",
        "stop": f"{_CONFIG}.stopSequences",
        "seed": f"{_CONFIG}.seed",
        "presence_penalty": f"{_CONFIG}.presencePenalty",
        "frequency_penalty": f"{_CONFIG}.frequencyPenalty",
        "n": f"{_CONFIG}.candidateCount",
        "logprobs": f"{_CONFIG}.responseLogprobs",
        "top_logprobs": f"{_CONFIG}.logprobs",
        "service_tier": "serviceTier",
    },
    "ollama": {
        "output_format": "format",
        "reasoning": "think",
        "max_tokens": "options.num_predict",
        **{name: f"options.{name}" for name in _OPTIONS},
    },
}


def located(losses: Losses, protocol: str) -> Losses:
    """The same losses with the paths of a body of `protocol`."""
    names = PLACES.get(protocol)
    if not names or not len(losses):
        return losses
    out = Losses()
    for loss in losses:
        place = _place(loss, names)
        out.append(loss if place == loss.where else replace(loss, where=place))
    return out


def _place(loss: Loss, names: Mapping[str, str]) -> str:
    end = next((at for at, letter in enumerate(loss.where) if letter in ".["), len(loss.where))
    head = loss.where[:end]
    return names[head] + loss.where[end:] if head in names else loss.where
