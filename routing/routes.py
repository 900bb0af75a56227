"""The paths of all protocols, computed once: `[/{group} | /switch][/compat]` and a codec's route."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

from adapters.codec import Codec, Route

COMPAT = "compat"
_MOST_KNOWN = 1000
"""Paths that are remembered with what was found: clients use few, and strangers shall not fill memory."""
_PARAMETER = re.compile(r"\{\w+(?::path)?\}")


class Endpoint(NamedTuple):
    codec: Codec
    route: Route


Endpoints = dict[str, list[Endpoint]]
"""HTTP method -> who takes it; several where protocols share a path."""


class Found(NamedTuple):
    """A path taken apart."""

    prefix: str
    """"", `switch`, or what stands in the place of a group's name."""
    compat: bool
    endpoints: Endpoints
    model: str | None
    """The path's own parameter, where it has one."""


@dataclass(frozen=True, slots=True)
class _Template:
    """A path with one parameter between `head` and `tail`."""

    head: str
    tail: str
    slashes: bool
    endpoints: Endpoints = field(default_factory=dict)

    def match(self, path: str) -> str | None:
        if not path.startswith(self.head) or not path.endswith(self.tail):
            return None
        value = path[len(self.head) : len(path) - len(self.tail)]
        return value if value and (self.slashes or "/" not in value) else None


class RouteTable:
    """All routes of all codecs."""

    def __init__(self, codecs: Sequence[Codec]) -> None:
        self._codecs = codecs
        self._known: dict[str, Found | None] = {}
        self._exact: dict[str, Endpoints] = {}
        templates: dict[tuple[str, str], _Template] = {}
        for codec in codecs:
            for route in codec.routes:
                endpoints = self._place(route.path, templates)
                endpoints.setdefault(route.method, []).append(Endpoint(codec, route))
        # `…:generateContent` before `…`, which would take it for a part of the model's name.
        self._templates = sorted(templates.values(), key=lambda each: -len(each.tail))

    def _place(self, path: str, templates: dict[tuple[str, str], _Template]) -> Endpoints:
        parameter = _PARAMETER.search(path)
        if parameter is None:
            return self._exact.setdefault(path, {})
        head, tail = path[: parameter.start()], path[parameter.end() :]
        slashes = parameter[0].endswith(":path}")
        return templates.setdefault((head, tail), _Template(head, tail, slashes)).endpoints

    def find(self, path: str) -> Found | None:
        """None: nobody has this path."""
        try:
            return self._known[path]
        except KeyError:
            found = self._find(path)
            if len(self._known) < _MOST_KNOWN:
                self._known[path] = found
            return found

    def _find(self, path: str) -> Found | None:
        if (found := self._suffix(path)) is not None:
            return Found("", False, *found)
        prefix, rest = _split(path)
        if prefix == COMPAT:
            compat, prefix = True, ""
        else:
            inner, inner_rest = _split(rest)
            compat = inner == COMPAT
            rest = inner_rest if compat else rest
        if rest and (found := self._suffix(rest)) is not None:
            return Found(prefix, compat, *found)
        return None

    def _suffix(self, path: str) -> tuple[Endpoints, str | None] | None:
        if (endpoints := self._exact.get(path)) is not None:
            return endpoints, None
        for template in self._templates:
            if (value := template.match(path)) is not None:
                return template.endpoints, value
        return None

    def nearest(self, path: str) -> Codec:
        """The codec whose routes have most in common with `path`: for errors on paths that nobody has."""
        best, most = self._codecs[0], 0
        _, rest = _split(path)
        places = (path, rest, rest.removeprefix(f"/{COMPAT}"))
        for codec in self._codecs:
            for stem in _stems(codec):
                if (shared := max(_common(stem, place) for place in places)) > most:
                    best, most = codec, shared
        return best


def _split(path: str) -> tuple[str, str]:
    """The first segment, and the rest with its slash; "" where there is none."""
    end = path.find("/", 1)
    return (path[1:end], path[end:]) if end > 0 else (path[1:], "")


def _stems(codec: Codec) -> Iterable[str]:
    return (_PARAMETER.split(route.path)[0] for route in codec.routes)


def _common(stem: str, path: str) -> int:
    """Whole segments in common."""
    pairs = zip(stem.rstrip("/").split("/")[1:], path.split("/")[1:], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def pick(
    endpoints: Sequence[Endpoint], headers: Mapping[bytes, bytes], codecs: Mapping[str, Codec]
) -> Endpoint:
    """Who answers where SDKs of several protocols use one path (`GET /v1/models`): told by headers.

    google-genai sends `x-goog-api-key`, anthropic `anthropic-version`, openai neither.
    """
    name = "openai"
    if b"x-goog-api-key" in headers:
        name = "gemini"
    elif b"anthropic-version" in headers:
        name = "anthropic"
    for endpoint in endpoints:
        if endpoint.codec.name == name:
            return endpoint
    first = endpoints[0]
    shared = first.codec.name == "openai" and first.route.operation in ("models", "model") and name in codecs
    return Endpoint(codecs[name], first.route) if shared else first
