"""Keeps the table's secrets out of whatever a client or a log gets to see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from routing.table import Provider, Table

MASK = "***"
_SHORTEST = 6
"""Shorter values (`none`, `x`) are placeholders, not secrets; to mask them would garble texts."""


class Redactor:
    """Replaces known secrets, in the forms in which texts carry them."""

    __slots__ = ("_bytes", "_text")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in secret_forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        pattern = "|".join(re.escape(form) for form in longest_first)
        self._text = re.compile(pattern) if pattern else None
        self._bytes = re.compile(pattern.encode()) if pattern else None

    def text(self, text: str) -> str:
        return self._text.sub(MASK, text) if self._text else text

    def data(self, data: bytes) -> bytes:
        return self._bytes.sub(MASK.encode(), data) if self._bytes else data


def redactor_of(table: Table) -> Redactor:
    """For every key of the table's providers, and every value of a header that the settings give."""
    return Redactor(_all_secrets(table))


def _all_secrets(table: Table) -> Iterator[str]:
    for provider in table.providers():
        yield from _secrets(provider)
    for group in (*table.groups.values(), *table.reserve.values()):
        for changes in (group.changes, *(target.changes for target in group.all_targets())):
            yield from _of_headers(changes.headers)


def _secrets(provider: Provider) -> Iterator[str]:
    yield from provider.api_keys
    yield from _of_headers(provider.headers)
    address = urlsplit(provider.base_url)
    if address.password:
        yield address.password
    yield from (value for _, value in parse_qsl(address.query))
    proxy = urlsplit(provider.proxy or "")
    if proxy.password:
        yield proxy.password
        yield unquote(proxy.password)


def _of_headers(headers: Mapping[str, str]) -> Iterator[str]:
    for value in headers.values():
        yield value
        yield from value.split()  # `Bearer KEY`


def secret_forms(secret: str) -> Iterator[str]:
    if len(secret) >= _SHORTEST:
        yield secret
        yield quote(secret, safe="")
        yield json.dumps(secret)[1:-1]
