"""One table between token budgets, efforts and levels of reasoning.

Every encoder asks here, so that a wish means the same whichever way it travels. `effort_for`,
`budget_for`, `level_for` and `think_for` know what the model takes; a caller that gets another effort
than `effort_of` says reports the loss `reasoning.effort`.
"""

from __future__ import annotations

from typing import Literal

from adapters.canonical import Effort, Reasoning
from adapters.models import ModelTraits

EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Ascending."""

BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 1_024,
    "low": 4_096,
    "medium": 10_240,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 65_536,
}
"""Effort -> tokens. 1,024 is Anthropic's least budget, 24,576 and 32,768 the most of Gemini 2.5."""

_UP_TO: tuple[tuple[int, Effort], ...] = (
    (0, "none"),
    (1_024, "minimal"),
    (4_096, "low"),
    (12_288, "medium"),
    (32_767, "high"),
    (49_152, "xhigh"),
)
"""Budget -> effort: the first row whose bound is not exceeded, else max."""

DEFAULT_EFFORT: Effort = "medium"
"""Where reasoning is wanted and nothing says how much."""

_RANK = {effort: rank for rank, effort in enumerate(EFFORTS)}
_DYNAMIC = -1
_SHARE = 0.8
"""Of the output limit a converted budget takes at most this much: the answer needs the rest."""


def effort_of_budget(tokens: int) -> Effort:
    """The effort that a budget in tokens stands for; -1 (the model decides) is the default one."""
    if tokens < 0:
        return DEFAULT_EFFORT
    return next((effort for bound, effort in _UP_TO if tokens <= bound), "max")


def effort_of(reasoning: Reasoning | None) -> Effort | None:
    """What the client wants as an effort: `none` for off, None where it says nothing of it."""
    if reasoning is None:
        return None
    if reasoning.enabled is False:
        return "none"
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget is not None:
        return effort_of_budget(reasoning.budget)
    return DEFAULT_EFFORT if reasoning.enabled or reasoning.adaptive else None


def budget_of(reasoning: Reasoning | None, max_tokens: int | None) -> int | None:
    """What the client wants as a budget: 0 for off, -1 where the model shall decide, None for no wish.

    A budget that the client gave comes back as it is. One made of an effort leaves a fifth of
    `max_tokens` for the answer, but is never below 1,024.
    """
    if reasoning is None:
        return None
    if reasoning.enabled is False:
        return 0
    if reasoning.budget is not None:
        return reasoning.budget
    if reasoning.effort is None:
        return _DYNAMIC if reasoning.enabled or reasoning.adaptive else None
    wanted = BUDGETS[reasoning.effort]
    if max_tokens is None or wanted == 0:
        return wanted
    return max(min(wanted, int(max_tokens * _SHARE)), BUDGETS["minimal"])


def clamp(effort: Effort, accepted: tuple[Effort, ...]) -> Effort:
    """The accepted effort nearest to `effort`, the higher one of two equally near."""
    if not accepted or effort in accepted:
        return effort
    return min(accepted, key=lambda one: (abs(_RANK[one] - _RANK[effort]), -_RANK[one]))


def effort_for(reasoning: Reasoning | None, traits: ModelTraits) -> Effort | None:
    """The effort to send to a model, None to send none. Off is its least effort where it has no off."""
    wanted = effort_of(reasoning)
    if wanted is None or traits.reasoning == "none":
        return None
    if wanted == "none":
        if traits.can_disable or not traits.efforts:
            return "none"
        return traits.efforts[0]
    return clamp(wanted, traits.efforts)


def budget_for(reasoning: Reasoning | None, traits: ModelTraits, max_tokens: int | None) -> int | None:
    """The budget to send to a model within its range: 0 off, -1 dynamic, None to send none."""
    wanted = budget_of(reasoning, max_tokens)
    if wanted is None or traits.reasoning == "none" or wanted == _DYNAMIC:
        return None if traits.reasoning == "none" else wanted
    least, most = traits.budget_range
    if wanted == 0:
        return 0 if traits.can_disable else least
    return min(max(wanted, least), most)


def level_for(reasoning: Reasoning | None, traits: ModelTraits) -> str | None:
    """Gemini's `thinkingLevel` in its own spelling (`LOW`), None to send none.

    Levels have no off: the least one stands for it.
    """
    effort = effort_for(reasoning, traits)
    if effort is None:
        return None
    if effort in ("none", "minimal"):
        return (traits.efforts[0] if traits.efforts else "minimal").upper()
    return clamp(effort, traits.efforts or ("low", "medium", "high")).upper()


def think_for(
    reasoning: Reasoning | None, traits: ModelTraits
) -> bool | Literal["low", "medium", "high"] | None:
    """Ollama's `think`: a level only for models with levels (gpt-oss), else a switch.

    https://docs.ollama.com/capabilities/thinking
    """
    effort = effort_for(reasoning, traits)
    if effort is None:
        return None
    if traits.reasoning != "effort":
        return effort != "none"
    if effort in ("low", "none", "minimal"):
        return "low"
    return "medium" if effort == "medium" else "high"


def difference(reasoning: Reasoning, sent: Effort | str | int | bool | None) -> tuple[str, str] | None:
    """Code and words of the loss where what was sent is less exact than, or not, what was wanted.

    `sent`: an effort or a level, a budget in tokens (-1: the model decides), or a switch.
    """
    wanted, budget = effort_of(reasoning), reasoning.budget
    if wanted is None or sent is None:
        return None
    told = {True: "on", False: "off"}[sent] if isinstance(sent, bool) else str(sent)
    if wanted != "none" and budget is not None and budget > 0:
        if budget == (BUDGETS.get(sent) if isinstance(sent, str) else sent):  # type: ignore[call-overload]
            return None
        return "reasoning.budget", f"{budget} tokens of thinking became {told}"
    asked = reasoning.effort if wanted != "none" else wanted
    if asked is None:  # on, and the model decides how much
        return None
    exact = BUDGETS[asked] if isinstance(sent, int) and not isinstance(sent, bool) else asked
    if sent == exact or (asked == "none" and sent is False):
        return None
    return "reasoning.effort", f"{asked} became {told}"


def sampling_allowed(reasoning: Reasoning | None, traits: ModelTraits) -> bool:
    """Whether temperature, top_p and the like may be sent to the model."""
    if not traits.rejects_sampling:
        return True
    return traits.sampling_when_off and effort_for(reasoning, traits) == "none"
