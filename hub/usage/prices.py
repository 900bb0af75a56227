"""What models cost: the settings' table, then the one that comes with the hub. Unknown is None, no guess.

US dollars per million tokens, for requests of the standard tier. The hub's own table holds for the
provider's own address alone, since resellers have prices of their own. Each block names its source and the
day on which the figures were read. Left out on purpose: prices that change with the hour (DeepSeek).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from hub.settings.checks import is_loopback
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.settings.model import Settings
from hub.settings.usage import PriceSettings
from routing.table import Price, Provider

FREE = Price(0.0, 0.0)
_DATE = re.compile(r"-20\d\d-?\d\d-?\d\d$")
"""Snapshots have the price of their model: `claude-haiku-4-5-20251001`, `gpt-5-2025-08-07`."""


def _long(price: Price, above: int, *, output: float = 2.0) -> Price:
    """Beyond `above` tokens of input the whole request costs twice as much, its output `output` times."""
    long = Price(
        price.input * 2,
        price.output * output,
        price.cached * 2 if price.cached is not None else None,
        price.cache_write * 2 if price.cache_write is not None else None,
    )
    return replace(price, long=long, long_above=above)


_GPT_6_SOL = Price(2.0, 10.0, 0.20, 2.50)
_OPUS_5 = Price(5.0, 25.0, 0.50, 6.25)
_SONNET_4 = Price(3.0, 15.0, 0.30, 3.75)

SHIPPED: Mapping[str, Mapping[str, Price]] = {
    # platform.claude.com/docs/en/about-claude/pricing and the models' overview pages, November 2026.
    # Cache writes at the rate of five minutes. Opus 5.5 and Sonnet 5.5 read the cache at 0.05 of the input's
    # price, Sonnet since 2026-10-07.
    "api.anthropic.com": {
        "claude-fable-5-1": Price(10.0, 50.0, 0.25, 12.50),
        "claude-fable-5": Price(10.0, 50.0, 1.0, 12.50),
        "claude-opus-5-5": Price(4.0, 20.0, 0.20, 5.0),
        "claude-opus-5": _OPUS_5,
        "claude-opus-4-8": _OPUS_5,
        "claude-opus-4-7": _OPUS_5,
        "claude-opus-4-6": _OPUS_5,
        "claude-opus-4-5": _OPUS_5,
        "claude-opus-4-1": Price(15.0, 75.0, 1.50, 18.75),
        "claude-sonnet-5-5": Price(2.0, 10.0, 0.10, 2.50),
        "claude-sonnet-5": Price(2.0, 10.0, 0.20, 2.50),
        "claude-sonnet-4-6": _SONNET_4,
        "claude-sonnet-4-5": _SONNET_4,
        "claude-haiku-5-5": replace(
            Price(0.10, 0.50, 0.01, 0.125), long=Price(0.50, 2.50, 0.05, 0.625), long_above=100_000
        ),
        "claude-haiku-4-5": Price(1.0, 5.0, 0.10, 1.25),
    },
    # developers.openai.com/api/docs/pricing and the models' pages, as of October 2026. Cache writes at the
    # rate of 30 minutes. Beyond 272,000 tokens of input: twice, the output one and a half times.
    "api.openai.com": {
        "gpt-6.1-sol": _long(replace(_GPT_6_SOL, cached=0.10), 272_000, output=1.5),
        "gpt-6.1-terra": _long(Price(1.0, 5.0, 0.05, 1.25), 272_000, output=1.5),
        "gpt-6-sol": _long(_GPT_6_SOL, 272_000, output=1.5),
        "gpt-6-luna": _long(Price(0.10, 0.50, 0.01, 0.125), 272_000, output=1.5),
        "text-embedding-3-large": Price(0.13, 0.0),
        "text-embedding-3-small": Price(0.02, 0.0),
    },
    # ai.google.dev/gemini-api/docs/pricing, as of October 2026. 3.8 Flash doubles on 2027-01-01.
    "generativelanguage.googleapis.com": {
        "gemini-3.8-flash": Price(0.75, 3.75, 0.075),
        "gemini-3.1-pro-preview": _long(Price(2.0, 12.0, 0.20), 200_000, output=1.5),
        "gemini-2.5-pro": _long(Price(1.25, 10.0, 0.125), 200_000, output=1.5),
        "gemini-2.5-flash": Price(0.30, 2.50, 0.03),
    },
    # platform.kimi.ai/docs/pricing/chat-k3, as of July 2026.
    "api.moonshot.ai": {"kimi-k3": Price(3.0, 15.0, 0.30)},
    # console.groq.com/docs/models, as of 2026.
    "api.groq.com": {"openai/gpt-oss-120b": Price(0.15, 0.60)},
}


class Prices:
    """The prices of one settings file."""

    def __init__(self, settings: Settings) -> None:
        self._written = tuple((glob, _price(written)) for glob, written in settings.prices.items())
        self._embedded = {name for name, own in settings.providers.items() if own.embedded is not None}

    def of(self, provider: Provider, model: str) -> Price | None:
        """None: nobody knows."""
        name = f"{provider.name}/{model}"
        for glob, price in self._written:
            if fnmatchcase(name, glob):
                return price
        if provider.name in self._embedded or _is_free(provider, model):
            return FREE
        host = urlsplit(provider.base_url).hostname or ""
        shipped = SHIPPED.get(host, {})
        return shipped.get(_DATE.sub("", model.removeprefix("models/")))


def _is_free(provider: Provider, model: str) -> bool:
    """Whether a server on this machine answers itself. Ollama's `-cloud` models run elsewhere, for a fee."""
    if not is_loopback(urlsplit(provider.base_url).hostname or ""):
        return False
    if provider.protocol == "ollama":
        return not model.endswith(("-cloud", ":cloud"))
    known = KNOWN_PROVIDERS.get(provider.name)
    return known is not None and known.local


def _price(written: PriceSettings) -> Price:
    price = Price(written.input, written.output, written.cached, written.cache_write)
    if written.long is None:
        return price
    long = Price(written.long.input, written.long.output, written.long.cached, written.long.cache_write)
    return replace(price, long=long, long_above=written.long.above)
