"""How much to think: `thinking` and `output_config.effort` for the model that is asked.

Models before 4.6 take a budget in tokens, those since 4.7 think adaptively with an effort, 4.6 takes both.
What a client of this protocol wrote goes through unchanged unless the model asked is another one that
does not take it.

https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking, …/extended-thinking, …/effort
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapters.anthropic.names import PROTOCOL, own
from adapters.canonical import ChatRequest, Reasoning
from adapters.losses import Losses
from adapters.models import ModelTraits, base_name
from adapters.reasoning import DEFAULT_EFFORT, budget_for, difference, effort_for, effort_of

_LEAST_BUDGET = 1_024
_DEFAULT_MAX_TOKENS = 16_384
"""For models that nobody knows: more than a long answer, less than most limits."""


@dataclass(frozen=True, slots=True)
class Thought:
    """What becomes of the client's wish."""

    max_tokens: int
    thinking: Mapping[str, Any] | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        return self.thinking is not None and self.thinking.get("type") != "disabled"


def encode_reasoning(
    request: ChatRequest, model: str, traits: ModelTraits, forced: bool, losses: Losses
) -> Thought:
    """`forced`: a tool must be called, which excludes thinking."""
    max_tokens = request.max_tokens
    if max_tokens is None:
        max_tokens = traits.max_output_tokens or _DEFAULT_MAX_TOKENS
    reasoning = request.reasoning
    if reasoning is None:
        return Thought(max_tokens)
    losses.foreign(reasoning.extensions, PROTOCOL, "reasoning")
    if reasoning.summary is not None and reasoning.summary != "auto":
        losses.add("reasoning.summary", "reasoning.summary", "the API has one style of summaries")
    if (written := _as_written(request, reasoning, model, traits)) is not None:
        return replace(written, max_tokens=_above(max_tokens, written.thinking))
    if "_thinking" in own(reasoning.extensions) and own(reasoning.extensions)["_thinking"] is None:
        return _effort_alone(reasoning, traits, max_tokens, losses)
    return _converted(reasoning, traits, max_tokens, forced, losses)


# ---------------------------------------------------------------- as the client wrote it


def _as_written(
    request: ChatRequest, reasoning: Reasoning, model: str, traits: ModelTraits
) -> Thought | None:
    notes = own(reasoning.extensions)
    if "_thinking" not in notes:
        return None
    thinking, effort = notes["_thinking"], reasoning.effort
    same = base_name(request.model) == base_name(model)
    if same or (_takes(thinking, traits) and _takes_effort(effort, traits)):
        return Thought(0, dict(thinking) if thinking is not None else None, effort)
    return None


def _takes(thinking: Mapping[str, Any] | None, traits: ModelTraits) -> bool:
    if thinking is None or traits.reasoning == "unknown":
        return True
    match thinking.get("type"):
        case "enabled":
            return traits.takes_budget
        case "disabled":
            return traits.can_disable
        case _:
            return traits.reasoning == "adaptive"


def _takes_effort(effort: str | None, traits: ModelTraits) -> bool:
    return effort is None or effort in traits.efforts or traits.reasoning == "unknown"


def _above(max_tokens: int, thinking: Mapping[str, Any] | None) -> int:
    """The limit includes the budget and has to be more than that."""
    budget = thinking.get("budget_tokens") if thinking else None
    if not isinstance(budget, int) or max_tokens > budget or max_tokens == 0:
        return max_tokens
    return budget + max_tokens


def _effort_alone(reasoning: Reasoning, traits: ModelTraits, max_tokens: int, losses: Losses) -> Thought:
    """An effort without `thinking` asks for shorter or longer answers, not for thoughts."""
    if not traits.efforts:
        losses.add("reasoning.effort", "output_config.effort", "the model takes no effort")
        return Thought(max_tokens)
    effort = effort_for(reasoning, traits)
    if effort != reasoning.effort:
        losses.add("reasoning.effort", "output_config.effort", f"sent as {effort}")
    return Thought(max_tokens, effort=effort)


# ---------------------------------------------------------------- converted


def _converted(
    reasoning: Reasoning, traits: ModelTraits, max_tokens: int, forced: bool, losses: Losses
) -> Thought:
    wanted = effort_of(reasoning)
    if wanted is None:
        return Thought(max_tokens)
    if wanted == "none" and traits.can_disable:
        return Thought(max_tokens, None if traits.reasoning == "none" else {"type": "disabled"})
    if traits.reasoning == "none":
        losses.add("reasoning", "reasoning", "the model does not reason")
        return Thought(max_tokens)
    if forced:
        losses.add("reasoning", "reasoning", "the model cannot think when it has to call a tool")
        effort = effort_for(reasoning, traits) if traits.efforts else None
        return Thought(max_tokens, effort=effort)
    if traits.reasoning == "adaptive":
        return _adaptive(reasoning, traits, max_tokens, losses)
    return _budget(reasoning, traits, max_tokens, losses)


def _adaptive(reasoning: Reasoning, traits: ModelTraits, max_tokens: int, losses: Losses) -> Thought:
    thinking: dict[str, Any] = {"type": "adaptive"}
    if reasoning.show is not None:
        thinking["display"] = "summarized" if reasoning.show else "omitted"
    if effort_of(reasoning) != "none" and reasoning.effort is None and reasoning.budget in (None, -1):
        return Thought(max_tokens, thinking)
    effort = effort_for(reasoning, traits)
    if told := difference(reasoning, effort):
        losses.add(told[0], "reasoning", told[1])
    return Thought(max_tokens, thinking, effort)


def _budget(reasoning: Reasoning, traits: ModelTraits, max_tokens: int, losses: Losses) -> Thought:
    budget = budget_for(reasoning, traits, max_tokens)
    if budget is None or budget < 0:
        budget = budget_for(Reasoning(effort=DEFAULT_EFFORT), traits, max_tokens) or 0
    budget = max(budget, _LEAST_BUDGET)
    raised = _above(max_tokens, {"budget_tokens": budget})
    if raised != max_tokens:
        losses.add("max_tokens", "max_tokens", f"raised to {raised}: it includes {budget} tokens of thinking")
    limit = traits.max_output_tokens
    if limit is not None and raised > limit:
        raised, budget = limit, min(budget, limit - 1)
    if told := difference(reasoning, budget):
        losses.add(told[0], "reasoning", told[1])
    return Thought(raised, {"type": "enabled", "budget_tokens": budget})
