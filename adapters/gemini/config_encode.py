"""`generationConfig`: limits, sampling, output format and thinking.

https://ai.google.dev/api/generate-content#v1beta.GenerationConfig
"""

from __future__ import annotations

from adapters.canonical import ChatRequest, Reasoning
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.parts_encode import Wire, note, own
from adapters.gemini.tools_encode import encode_format
from adapters.losses import Losses
from adapters.models import ModelTraits
from adapters.reasoning import budget_for, difference, effort_of, level_for

_PLAIN = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("max_tokens", "maxOutputTokens"),
    ("seed", "seed"),
    ("n", "candidateCount"),
    ("logprobs", "responseLogprobs"),
    ("top_logprobs", "logprobs"),
)

_MOST_STOPS = 5

_DYNAMIC = Reasoning(effort="high")
"""Gemini 3's "dynamic" thinking, its default, and that of Anthropic's adaptive thinking."""


def encode_config(
    request: ChatRequest, model_traits: ModelTraits, bag: Wire, native: bool, losses: Losses
) -> Wire:
    config: Wire = {}
    for field, key in _PLAIN:
        value = getattr(request, field)
        if value is not None:
            config[key] = value
    if request.stop:
        config["stopSequences"] = list(request.stop) if native else _stops(request, losses)
    config.update(_penalties(request, model_traits, native, losses))
    config.update(encode_format(request, native, losses))
    if thinking := _thinking(request, model_traits, losses):
        config["thinkingConfig"] = thinking
    return {**config, **bag}


def _stops(request: ChatRequest, losses: Losses) -> list[str]:
    if len(request.stop) > _MOST_STOPS:
        losses.add("stop", "stop", f"Gemini takes at most {_MOST_STOPS}")
    return list(request.stop[:_MOST_STOPS])


def _penalties(request: ChatRequest, model_traits: ModelTraits, native: bool, losses: Losses) -> Wire:
    """Models that think refuse them: "Penalty is not enabled for this model"."""
    wires: Wire = {}
    for field, key in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
        value = getattr(request, field)
        if value is None:
            continue
        if native or model_traits.reasoning in ("none", "unknown"):
            wires[key] = value
        elif value:
            losses.add(field, field, "Gemini's thinking models take no penalties")
    return wires


# ---------------------------------------------------------------- thinking


def _thinking(request: ChatRequest, model_traits: ModelTraits, losses: Losses) -> Wire:
    """`thinkingConfig`: a level for Gemini 3 and later, a budget before, never both.

    https://ai.google.dev/gemini-api/docs/thinking
    """
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    losses.foreign(reasoning.extensions, PROTOCOL, "reasoning")
    original = note(reasoning.extensions, "_thinkingConfig")
    if isinstance(original, dict) and _takes_as_is(original, model_traits):
        return dict(original)
    if model_traits.reasoning == "none":
        if reasoning.enabled or reasoning.effort not in (None, "none"):
            losses.add("reasoning", "reasoning", "the model does not reason")
        return {}
    if reasoning.summary not in (None, "auto"):
        losses.add("reasoning.summary", "reasoning.summary", "Gemini's summaries have one style")
    wire = _amount(request, reasoning, model_traits, losses)
    show = _shown(reasoning)
    if show is not None and (wire or show):
        wire["includeThoughts"] = show
    return {**wire, **own(reasoning.extensions)}


def _takes_as_is(original: Wire, model_traits: ModelTraits) -> bool:
    """Whether a model takes what a Gemini client wrote, perhaps for another model."""
    match model_traits.reasoning:
        case "level":
            return "thinkingBudget" not in original
        case "budget":
            return "thinkingLevel" not in original
        case "none":
            return False
        case _:
            return True


def _amount(request: ChatRequest, reasoning: Reasoning, model_traits: ModelTraits, losses: Losses) -> Wire:
    wanted = effort_of(reasoning)
    if wanted is None:
        return {}
    if model_traits.reasoning == "budget" or (
        model_traits.reasoning == "unknown" and reasoning.effort is None
    ):
        budget = _fitting(budget_for(reasoning, model_traits, request.max_tokens), model_traits, request)
        if budget is not None and (told := difference(reasoning, budget)):
            losses.add(told[0], "reasoning", told[1])
        return {} if budget is None else {"thinkingBudget": budget}
    if reasoning.effort is None and reasoning.budget in (None, -1) and wanted != "none":
        reasoning, wanted = _DYNAMIC, "high"
    level = level_for(reasoning, model_traits)
    if level is None:
        return {}
    if told := difference(reasoning, level.lower()):
        losses.add(told[0], "reasoning", told[1])
    return {"thinkingLevel": level}


def _fitting(budget: int | None, model_traits: ModelTraits, request: ChatRequest) -> int | None:
    """`maxOutputTokens` includes the thoughts: a budget that leaves nothing for the answer is made less."""
    most = request.max_tokens
    if budget is None or most is None or budget < most or budget <= 0:
        return budget
    least = model_traits.budget_range[0] if model_traits.takes_budget else 1
    fitting = max(most * 4 // 5, least)
    if fitting < most:
        return fitting
    return 0 if model_traits.can_disable else least


def _shown(reasoning: Reasoning) -> bool | None:
    """Gemini shows no thoughts unless asked to; who switched thinking on expects to see them."""
    if reasoning.show is not None or reasoning.enabled is False or reasoning.effort == "none":
        return reasoning.show
    if reasoning.extensions.get(PROTOCOL) is not None:  # a Gemini client that did not ask
        return None
    return True if reasoning.enabled or reasoning.adaptive or reasoning.budget or reasoning.summary else None
