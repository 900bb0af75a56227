"""What models cost, and who says so."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from adapters.canonical import Usage
from hub.settings import Settings
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.snapshot import build_table
from hub.usage.prices import SHIPPED, Prices
from routing.table import Price, Provider
from routing.usage import cost

OPUS = Price(5.0, 25.0, 0.50, 6.25)


def provider(name: str, protocol: str = "openai", base_url: str | None = None) -> Provider:
    known = KNOWN_PROVIDERS.get(name)
    if base_url is None:
        assert known is not None
        return Provider(name, known.protocol, known.base_url)
    return Provider(name, protocol, base_url)


def settings(prices: dict[str, Any] | None = None, **more: Any) -> Settings:
    return Settings.model_validate({"prices": prices or {}, **more})


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(1_000_000, 0), 5.0),
        (Usage(0, 1_000_000), 25.0),
        (Usage(1_000_000, 0, cached_tokens=1_000_000), 0.5),
        (Usage(1_000_000, 0, cache_write_tokens=1_000_000), 6.25),
        (Usage(1_000_000, 100_000, 600_000, 200_000), 1.0 + 2.5 + 0.3 + 1.25),
        (Usage(100, 0, cached_tokens=500), 500 * 0.5 / 1e6),
        (Usage(0, 1_000_000, reasoning_tokens=900_000), 25.0),
        (Usage(), 0.0),
    ],
)
def test_cost(usage: Usage, dollars: float) -> None:
    assert cost(usage, OPUS) == pytest.approx(dollars)


def test_without_prices_of_their_own_cached_tokens_cost_as_input() -> None:
    assert cost(Usage(1_000_000, 0, 500_000, 100_000), Price(2.0, 0.0)) == pytest.approx(2.0)


@pytest.mark.parametrize(("tokens", "dollars"), [(200_000, 0.2), (200_001, 0.400002)])
def test_long_requests(tokens: int, dollars: float) -> None:
    price = Price(1.0, 1.0, long=Price(2.0, 2.0), long_above=200_000)
    assert cost(Usage(tokens, 0), price) == pytest.approx(dollars)


@pytest.mark.parametrize(
    ("who", "model", "expected"),
    [
        (provider("anthropic"), "claude-opus-5", OPUS),
        (provider("anthropic"), "claude-haiku-4-5-20251001", Price(1.0, 5.0, 0.10, 1.25)),
        (provider("work", "anthropic", "https://api.anthropic.com"), "claude-opus-5", OPUS),
        (provider("anthropic"), "claude-opus-5-turbo", None),
        (provider("gemini"), "models/gemini-2.5-flash", Price(0.30, 2.50, 0.03)),
        (provider("openai-responses"), "text-embedding-3-small", Price(0.02, 0.0)),
        (provider("openrouter"), "claude-opus-5", None),  # a reseller
        (provider("anthropic", "anthropic", "https://proxy.example/anthropic"), "claude-opus-5", None),
        (provider("deepseek"), "deepseek-v4-flash", None),  # by the hour
        (provider("ollama"), "qwen3", Price(0.0, 0.0)),
        (provider("ollama"), "kimi-k2:1t-cloud", None),
        (provider("far", "ollama", "https://ollama.example"), "qwen3", None),
        (provider("llamacpp"), "any", Price(0.0, 0.0)),
        (provider("proxy", "openai", "http://127.0.0.1:4000/v1"), "gpt-6-sol", None),  # may pass on
    ],
)
def test_shipped(who: Provider, model: str, expected: Price | None) -> None:
    assert Prices(settings()).of(who, model) == expected


def test_the_settings_come_first_and_the_first_match_wins() -> None:
    prices = Prices(
        settings(
            {
                "anthropic/claude-opus-*": {"input": 1, "output": 2},
                "*/claude-*": {"input": 3, "cached": 0.5, "cache_write": 4, "long": {"above": 9, "input": 6}},
                "ollama/*": {"input": 0.01},
            }
        )
    )
    assert prices.of(provider("anthropic"), "claude-opus-5") == Price(1.0, 2.0)
    assert prices.of(provider("groq"), "claude-x") == Price(
        3.0, 0.0, 0.5, 4.0, long=Price(6.0, 0.0), long_above=9
    )
    assert prices.of(provider("ollama"), "a:cloud") == Price(0.01, 0.0)
    assert prices.of(provider("groq"), "llama") is None


def test_targets_have_prices() -> None:
    table = build_table(
        settings(
            {"up/*": {"input": 1, "output": 2}},
            providers={
                "up": {"protocol": "openai", "base_url": "https://up.example/v1"},
                "own": {"embedded": {}},
            },
            groups={
                "g": {
                    "targets": [{"provider": "up", "model": "m"}, {"provider": "own", "model": "small"}],
                    "models": {"*": {"provider": "up", "model": "n"}},
                }
            },
        ),
        {},
        embedded={"own": "http://127.0.0.1:1/v1"},
    )
    group = table.groups["g"]
    assert [target.price for target in group.targets] == [Price(1.0, 2.0), Price(0.0, 0.0)]
    assert group.models[0][1].price == Price(1.0, 2.0)


def test_shipped_prices_make_sense() -> None:
    hosts = {known.base_url.split("/")[2] for known in KNOWN_PROVIDERS.values()}
    assert set(SHIPPED) <= hosts
    for prices in SHIPPED.values():
        for model, price in prices.items():
            assert price.input > 0, model
            assert price.output == 0 or price.output >= price.input, model
            assert price.cached is None or price.cached < price.input, model
            if price.long is not None:
                assert price.long_above >= 100_000, model
                assert all(
                    getattr(price.long, one.name) > getattr(price, one.name)
                    for one in fields(Price)
                    if one.name not in ("long", "long_above") and getattr(price, one.name) is not None
                ), model
