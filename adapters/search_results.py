"""The pages in the result of a search tool, whatever tool it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.jsontext import load

_URL = re.compile(r"https?://[^\s<>\"'`\])}]+")
_LINK = re.compile(r"\[([^\]\n]{1,300})\]\((https?://[^\s)]+)\)")
_URL_KEYS = ("url", "link", "href", "uri")
_TITLE_KEYS = ("title", "name", "heading")
_TEXT_KEYS = ("snippet", "description", "content", "text", "body", "summary", "page_content")
_MOST_FOUND = 20
_LONGEST_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class Found:
    """A page that a search has found."""

    url: str
    title: str
    text: str


def read_found(text: str, structured: Any = None) -> tuple[Found, ...]:
    """The pages in a tool's result, whatever tool it is: objects with a URL, else the links in its text."""
    document = structured if structured is not None else _json(text)
    found = list(_objects(document)) if document is not None else []
    if not found:
        found = list(_links(text))
    by_url: dict[str, Found] = {}
    for one in found:
        by_url.setdefault(one.url, one)
    return tuple(by_url.values())[:_MOST_FOUND]


def _json(text: str) -> Any:
    try:
        return load(text)
    except ValueError:
        return None


def _objects(value: Any, depth: int = 0) -> Iterator[Found]:
    if depth > 6:
        return
    if isinstance(value, list):
        for one in value:
            yield from _objects(one, depth + 1)
    elif isinstance(value, dict):
        url = _first(value, _URL_KEYS)
        if url.startswith(("http://", "https://")):
            yield Found(url, _first(value, _TITLE_KEYS) or url, _first(value, _TEXT_KEYS)[:_LONGEST_TEXT])
            return
        for one in value.values():
            if (
                isinstance(one, str) and one[:1] in "[{" and depth < 2
            ):  # JSON within JSON: `{"result": "[…]"}`
                one = _json(one)
            yield from _objects(one, depth + 1)


def _first(value: Mapping[str, Any], keys: Iterable[str]) -> str:
    return next((found for key in keys if isinstance(found := value.get(key), str) and found), "")


def _links(text: str) -> Iterator[Found]:
    """Each with the lines about it: those of its paragraph."""
    for paragraph in re.split(r"\n\s*\n", text):
        named = {url: title for title, url in _LINK.findall(paragraph)}
        urls = list(named) or [url.rstrip(".,;:") for url in _URL.findall(paragraph)]
        told = re.search(r"(?im)^\W*title\W*:\s*(.+)$", paragraph)
        for url in urls:
            title = named.get(url) or (told[1].strip() if told and len(urls) == 1 else url)
            yield Found(url, title, paragraph.strip()[:_LONGEST_TEXT])


def named(text: str, found: Iterable[Found]) -> Iterator[tuple[int, int, Found]]:
    """Where a text names which page: start and end."""
    for page in found:
        spots = ((match.start(), match.end()) for match in _LINK.finditer(text) if match[2] == page.url)
        start = text.find(page.url)
        spot = next(spots, (start, start + len(page.url)) if start >= 0 else None)
        if spot is not None:
            yield *spot, page
