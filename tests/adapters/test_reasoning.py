"""Reasoning means the same whichever way it travels, and models are asked as they take it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.canonical import Reasoning
from adapters.models import MODELS, UNKNOWN, base_name, traits
from adapters.reasoning import (
    BUDGETS,
    EFFORTS,
    budget_for,
    budget_of,
    clamp,
    effort_for,
    effort_of,
    effort_of_budget,
    level_for,
    sampling_allowed,
    think_for,
)


@pytest.mark.parametrize("effort", EFFORTS)
def test_an_effort_survives_the_way_over_a_budget(effort):
    assert effort_of_budget(BUDGETS[effort]) == effort
    assert effort_of(Reasoning(budget=BUDGETS[effort])) == effort


@given(st.lists(st.integers(0, 200_000), min_size=2, max_size=2))
def test_more_budget_is_never_less_effort(budgets):
    less, more = sorted(budgets)
    assert EFFORTS.index(effort_of_budget(less)) <= EFFORTS.index(effort_of_budget(more))


@pytest.mark.parametrize(
    ("reasoning", "effort", "budget"),
    [
        (None, None, None),
        (Reasoning(show=True), None, None),
        (Reasoning(enabled=False), "none", 0),
        (Reasoning(enabled=False, effort="high"), "none", 0),
        (Reasoning(enabled=True), "medium", -1),
        (Reasoning(adaptive=True), "medium", -1),
        (Reasoning(budget=-1), "medium", -1),
        (Reasoning(enabled=True, budget=4000), "low", 4000),
        (Reasoning(enabled=True, budget=31_999), "high", 31_999),
        (Reasoning(adaptive=True, effort="max"), "max", 65_536),
        (Reasoning(effort="none"), "none", 0),
    ],
)
def test_what_the_client_wants(reasoning, effort, budget):
    assert effort_of(reasoning) == effort
    assert budget_of(reasoning, None) == budget


def test_a_converted_budget_leaves_room_for_the_answer():
    assert budget_of(Reasoning(effort="high"), 10_000) == 8_000
    assert budget_of(Reasoning(effort="high"), 100) == 1_024
    assert budget_of(Reasoning(budget=5_000), 100) == 5_000


@pytest.mark.parametrize(
    ("effort", "accepted", "sent"),
    [
        ("max", ("low", "medium", "high"), "high"),
        ("minimal", ("low", "medium", "high"), "low"),
        ("medium", ("low", "high"), "high"),
        ("xhigh", ("low", "medium", "high", "max"), "max"),
        ("low", (), "low"),
    ],
)
def test_the_nearest_effort_is_sent(effort, accepted, sent):
    assert clamp(effort, accepted) == sent


@pytest.mark.parametrize(
    ("model", "reasoning", "effort"),
    [
        ("gpt-5-nano", Reasoning(effort="max"), "high"),
        ("gpt-5-nano", Reasoning(enabled=False), "minimal"),
        ("gpt-5.2", Reasoning(enabled=False), "none"),
        ("gpt-5.2", Reasoning(effort="minimal"), "low"),
        ("gpt-5.6-terra", Reasoning(effort="max"), "max"),
        ("gpt-5-pro", Reasoning(effort="low"), "high"),
        ("gpt-4o-mini", Reasoning(effort="low"), None),
        ("claude-opus-4-8", Reasoning(effort="xhigh"), "xhigh"),
        ("somebody/else", Reasoning(effort="minimal"), "minimal"),
        ("somebody/else", Reasoning(enabled=False), "none"),
    ],
)
def test_effort_for_a_model(model, reasoning, effort):
    assert effort_for(reasoning, traits(model)) == effort


@pytest.mark.parametrize(
    ("model", "reasoning", "budget"),
    [
        ("gemini-2.5-pro", Reasoning(enabled=False), 128),
        ("gemini-2.5-flash", Reasoning(enabled=False), 0),
        ("gemini-2.5-flash", Reasoning(effort="max"), 24_576),
        ("gemini-2.5-flash", Reasoning(enabled=True), -1),
        ("gemini-2.0-flash", Reasoning(effort="max"), None),
        ("claude-sonnet-4-5", Reasoning(budget=100), 1_024),
    ],
)
def test_budget_for_a_model(model, reasoning, budget):
    assert budget_for(reasoning, traits(model), None) == budget


@pytest.mark.parametrize(
    ("model", "reasoning", "level"),
    [
        ("gemini-3-flash-preview", Reasoning(effort="minimal"), "MINIMAL"),
        ("gemini-3-flash-preview", Reasoning(effort="xhigh"), "HIGH"),
        ("gemini-3-pro-preview", Reasoning(effort="medium"), "HIGH"),
        ("gemini-3-pro-preview", Reasoning(enabled=False), "LOW"),
        ("gemini-3.1-pro", Reasoning(effort="medium"), "MEDIUM"),
        ("gemini-3-flash-preview", Reasoning(show=True), None),
    ],
)
def test_level_for_a_model(model, reasoning, level):
    assert level_for(reasoning, traits(model)) == level


@pytest.mark.parametrize(
    ("model", "reasoning", "think"),
    [
        ("gpt-oss:20b", Reasoning(effort="xhigh"), "high"),
        ("gpt-oss:20b", Reasoning(enabled=False), "low"),
        ("qwen3", Reasoning(effort="low"), True),
        ("qwen3", Reasoning(enabled=False), False),
        ("qwen3", None, None),
    ],
)
def test_think_for_a_model(model, reasoning, think):
    assert think_for(reasoning, traits(model)) == think


@pytest.mark.parametrize(
    ("model", "reasoning", "allowed"),
    [
        ("gpt-5-nano", None, False),
        ("gpt-5.2", Reasoning(effort="none"), True),
        ("gpt-5.2", Reasoning(effort="low"), False),
        ("claude-opus-4-7", None, False),
        ("claude-sonnet-4-5-20250929", Reasoning(budget=2_000), True),
        ("gpt-4o-mini", None, True),
        ("llama3", None, True),
    ],
)
def test_sampling(model, reasoning, allowed):
    assert sampling_allowed(reasoning, traits(model)) is allowed


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude-sonnet-3-7-20250219-v1:0"),
        ("anthropic/claude-opus-4.7", "claude-opus-4-7"),
        ("claude-opus-4@20250514", "claude-opus-4@20250514"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("openai/GPT-5.1", "gpt-5.1"),
    ],
)
def test_names_of_other_sellers(spelling, name):
    assert base_name(spelling) == name


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-3-haiku-20240307", 4_096),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-opus-4-20250514", 32_000),
        ("claude-sonnet-4-20250514", 64_000),
        ("claude-opus-4-1", 32_000),
        ("claude-haiku-4-5-20251001", 64_000),
        ("claude-opus-4-6", 128_000),
        ("claude-sonnet-5", 128_000),
    ],
)
def test_claude_limits(model, limit):
    assert traits(model).max_output_tokens == limit


def test_every_row_is_reachable():
    """A row behind a broader one would never be used."""
    samples = [
        pattern.replace("[2-5]", "3").replace("[6-9]", "7").replace("[7-9]", "8") for pattern, _ in MODELS
    ]
    samples = [sample.replace("[1-9]", "3").replace("?", "9").replace("*", "x") for sample in samples]
    assert traits("nobody-knows") == UNKNOWN
    for (pattern, found), sample in zip(MODELS, samples, strict=True):
        assert traits(sample) == found, (pattern, sample)
