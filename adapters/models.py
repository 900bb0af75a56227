"""What models accept beyond their protocol: one table from name patterns to traits.

The first row that fits wins. A name that no row knows has traits which restrain nothing: what the
client said goes through, and the provider decides.

Sources: https://developers.openai.com/api/docs/guides/reasoning (efforts),
https://platform.claude.com/docs/en/build-with-claude/thinking and …/about-claude/models/overview,
https://ai.google.dev/gemini-api/docs/thinking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from adapters.canonical import Effort

ReasoningStyle = Literal["none", "effort", "budget", "adaptive", "level", "unknown"]


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """How a model wants to be asked."""

    reasoning: ReasoningStyle = "unknown"
    """`none`: it does not reason. `effort`: OpenAI's levels. `budget`: a number of tokens. `adaptive`:
    Anthropic's adaptive thinking with `output_config.effort`. `level`: Gemini's `thinkingLevel`."""
    efforts: tuple[Effort, ...] = ()
    """The efforts or levels that it takes, ascending, without `none`. Empty where `reasoning` is
    `unknown` (all go through) or where it takes no effort (a plain budget)."""
    can_disable: bool = True
    """Whether reasoning can be switched off (effort none, budget 0, type disabled)."""
    takes_budget: bool = False
    """Whether a token budget is accepted."""
    budget_range: tuple[int, int] = (1024, 128_000)
    rejects_sampling: bool = False
    """Temperature, top_p, top_k and penalties are an error."""
    sampling_when_off: bool = False
    """They are an error only while it reasons."""
    needs_max_completion_tokens: bool = False
    """Chat Completions: `max_tokens` is an error."""
    max_output_tokens: int | None = None
    """The model's own limit of output tokens, where a protocol requires one to be sent."""


_O: tuple[Effort, ...] = ("low", "medium", "high")
_TO_XHIGH: tuple[Effort, ...] = (*_O, "xhigh")
_TO_MAX: tuple[Effort, ...] = (*_O, "xhigh", "max")
_FROM_MINIMAL: tuple[Effort, ...] = ("minimal", *_O)

UNKNOWN = ModelTraits()
_PLAIN = ModelTraits("none")


def _openai(
    *efforts: Effort, off: bool = False, reasoning: ReasoningStyle = "effort", sampling: bool = False
) -> ModelTraits:
    return ModelTraits(
        reasoning,
        efforts,
        can_disable=off,
        rejects_sampling=not sampling,
        sampling_when_off=off,
        needs_max_completion_tokens=True,
    )


def _claude(
    reasoning: ReasoningStyle,
    limit: int,
    efforts: tuple[Effort, ...] = (),
    *,
    budget: bool = False,
    always: bool = False,
) -> ModelTraits:
    return ModelTraits(
        reasoning,
        efforts,
        can_disable=not always,
        takes_budget=budget,
        rejects_sampling=reasoning == "adaptive" and not budget,
        max_output_tokens=limit,
    )


def _gemini_budget(low: int, high: int, *, off: bool) -> ModelTraits:
    return ModelTraits("budget", can_disable=off, takes_budget=True, budget_range=(low, high))


def _gemini_level(*levels: Effort) -> ModelTraits:
    return ModelTraits("level", levels, can_disable=False)


MODELS: tuple[tuple[str, ModelTraits], ...] = (
    # OpenAI
    ("gpt-3*", _PLAIN),
    ("gpt-4*", _PLAIN),
    ("chatgpt-4o*", _PLAIN),
    ("gpt-audio*", _PLAIN),
    ("gpt-oss*", ModelTraits("effort", _O, can_disable=False)),
    ("gpt-5-chat*", _openai(reasoning="none", sampling=True)),
    ("gpt-5.?-chat*", _openai("medium")),
    ("gpt-5-pro*", _openai("high")),
    ("gpt-5.?-pro*", _openai("medium", "high", "xhigh")),
    ("gpt-5-codex*", _openai(*_O)),
    ("gpt-5.1-codex-max*", _openai(*_TO_XHIGH)),
    ("gpt-5.1-codex*", _openai(*_O)),
    ("gpt-5.?-codex*", _openai(*_TO_XHIGH)),
    ("gpt-5.1*", _openai(*_O, off=True)),
    ("gpt-5.[2-5]*", _openai(*_TO_XHIGH, off=True)),
    ("gpt-5.*", _openai(*_TO_MAX, off=True)),
    ("gpt-5*", _openai(*_FROM_MINIMAL)),
    ("gpt-[6-9]*", _openai(*_TO_MAX, off=True)),
    ("o1-mini*", _openai(reasoning="none")),
    ("o1-preview*", _openai(reasoning="none")),
    ("o?-*deep-research*", _openai("medium")),
    ("o[1-9]*", _openai(*_O)),
    ("codex-mini*", _openai(*_O)),
    # Anthropic
    ("claude-*-3-7*", _claude("budget", 64_000, budget=True)),
    ("claude-*-3-5*", _claude("none", 8_192)),
    ("claude-*-3*", _claude("none", 4_096)),
    ("claude-2*", _claude("none", 4_096)),
    ("claude-instant*", _claude("none", 4_096)),
    ("claude-opus-4-5*", _claude("budget", 64_000, _O, budget=True)),
    ("claude-*-4-5*", _claude("budget", 64_000, budget=True)),
    ("claude-*-4-6*", _claude("adaptive", 128_000, (*_O, "max"), budget=True)),
    ("claude-*-4-[7-9]*", _claude("adaptive", 128_000, _TO_MAX)),
    ("claude-opus-4*", _claude("budget", 32_000, budget=True)),
    ("claude-*-4*", _claude("budget", 64_000, budget=True)),
    ("claude-fable*", _claude("adaptive", 128_000, _TO_MAX, always=True)),
    ("claude-mythos*", _claude("adaptive", 128_000, _TO_MAX, always=True)),
    ("claude-haiku*", _claude("adaptive", 64_000, _TO_MAX)),
    ("claude-*", _claude("adaptive", 128_000, _TO_MAX)),
    # Google
    ("gemini-*-image*", _PLAIN),
    ("gemini-*-tts*", _PLAIN),
    ("gemini-1*", _PLAIN),
    ("gemini-2.0*", _PLAIN),
    ("gemma*", _PLAIN),
    ("gemini-2.5-pro*", _gemini_budget(128, 32_768, off=False)),
    ("gemini-2.5-flash-lite*", _gemini_budget(512, 24_576, off=True)),
    ("gemini-2*", _gemini_budget(1, 24_576, off=True)),
    ("gemini-3-pro*", _gemini_level("low", "high")),
    ("gemini-*flash*", _gemini_level(*_FROM_MINIMAL)),
    ("gemini-*", _gemini_level(*_O)),
)

_CLAUDE_NUMBER_FIRST = re.compile(r"claude-(\d(?:-\d)?)-([a-z]+)")


def base_name(model: str) -> str:
    """The name without who sells it: `us.anthropic.claude-3-7-sonnet-…`, `openai/gpt-5`, `models/gemini-…`.

    Claude's older order (`claude-3-7-sonnet`) and dotted versions become `claude-sonnet-3-7`.
    """
    name = model.lower().rpartition("/")[2]
    at = name.find("claude-")
    if at < 0:
        return name
    return _CLAUDE_NUMBER_FIRST.sub(r"claude-\2-\1", name[at:].replace(".", "-"), count=1)


@lru_cache(maxsize=1024)
def traits(model: str) -> ModelTraits:
    """The traits of the model of that name, `UNKNOWN` where no row fits."""
    name = base_name(model)
    return next((found for pattern, found in MODELS if fnmatchcase(name, pattern)), UNKNOWN)
