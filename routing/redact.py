"""Keeps the table's secrets out of whatever a client or a log gets to see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from routing.table import Provider, Table

MASK = "***"
_SHORTEST = 6
"""Shorter values (`none`, `x`) are placeholders, not secrets; to mask them would garble texts."""


class Redactor:
    """Replaces known secrets, in the forms in which texts carry them."""

    __slots__ = ("_bytes", "_text")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        pattern = "|".join(re.escape(form) for form in longest_first)
        self._text = re.compile(pattern) if pattern else None
        self._bytes = re.compile(pattern.encode()) if pattern else None

    def text(self, text: str) -> str:
        return self._text.sub(MASK, text) if self._text else text

    def data(self, data: bytes) -> bytes:
        return self._bytes.sub(MASK.encode(), data) if self._bytes else data


def redactor_of(table: Table) -> Redactor:
    """For every key and header value of the table's providers."""
    return Redactor(secret for provider in table.providers() for secret in _secrets(provider))


def _secrets(provider: Provider) -> Iterator[str]:
    yield from provider.api_keys
    for value in provider.headers.values():
        yield value
        yield from value.split()  # `Bearer KEY`
    address = urlsplit(provider.base_url)
    if address.password:
        yield address.password
    yield from (value for _, value in parse_qsl(address.query))
    proxy = urlsplit(provider.proxy or "")
    if proxy.password:
        yield proxy.password
        yield unquote(proxy.password)


def _forms(secret: str) -> Iterator[str]:
    if len(secret) >= _SHORTEST:
        yield secret
        yield quote(secret, safe="")
        yield json.dumps(secret)[1:-1]
