"""Keeps secrets out of what is written down: logs, traces, recordings.

Two nets: every secret that the settings hold, in the forms in which texts carry them; and what looks like
a key of a well-known kind, wherever it came from.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, SecretStr

from hub.settings import LoadedSettings
from hub.settings.known_providers import KNOWN_PROVIDERS
from routing.redact import MASK, secret_forms

_SENSITIVE = re.compile(
    r"authorization|cookie|secret|passw|credential|signature|(^|[-_.])(api[-_]?)?(key|token|auth|pat)s?($|[-_.])",
    re.IGNORECASE,
)
"""Names of headers, variables, options and query parameters whose values are secrets."""
_RANDOM = re.compile(r"(?=[^\s]*\d)(?=[^\s]*[A-Za-z])[A-Za-z0-9_.~+=-]{16,}")
"""A value that no person would have thought of."""


class _Kind(NamedTuple):
    hint: str
    """What such a text has in it in any case: looked for first, since that is quick."""
    pattern: re.Pattern[str]


def _kind(hint: str, pattern: str) -> _Kind:
    return _Kind(hint, re.compile(pattern, re.DOTALL))


KINDS: Sequence[_Kind] = (
    _kind("sk-", r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}"),
    _kind("hub_", r"(?<![A-Za-z0-9])hub_[A-Za-z0-9_-]{40,}"),
    _kind("AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
    _kind("ASIA", r"\bASIA[0-9A-Z]{16}\b"),
    _kind("AIza", r"\bAIza[0-9A-Za-z_-]{30,}"),
    _kind("gh", r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
    _kind("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{20,}"),
    _kind("glpat-", r"\bglpat-[A-Za-z0-9_-]{16,}"),
    _kind("xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    _kind("hf_", r"\bhf_[A-Za-z0-9]{20,}"),
    _kind("gsk_", r"\bgsk_[A-Za-z0-9]{20,}"),
    _kind("eyJ", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"),
    _kind("earer ", r"(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{8,}"),
    _kind("asic ", r"(?<=[Bb]asic )[A-Za-z0-9+/]{8,}={0,2}"),
    _kind(
        "PRIVATE KEY-----", r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    ),
    _kind("://", r"(?<=://)[^/\s:@\"'<>]*:[^/\s:@\"'<>]+(?=@)"),
)
"""Keys of OpenAI, Anthropic, the hub itself, AWS, Google, GitHub, GitLab, Slack, Hugging Face and Groq,
JSON web tokens, credentials of HTTP headers and URLs, private keys in PEM."""
_HARMLESS_HEADER = re.compile(
    r"ratelimit|content-type|accept|user-agent|version|beta|referer|x-title", re.IGNORECASE
)


class Scrubber:
    """Replaces secrets by `***`."""

    def __init__(self, secrets: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in secret_forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def text(self, text: str) -> str:
        # `in` is a hundred times as quick as a pattern with alternatives, and mostly there is nothing.
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        for hint, pattern in KINDS:
            if hint in text:
                text = pattern.sub(MASK, text)
        for own in self._patterns:
            text = own.sub(MASK, text)
        return text

    def suspects(self, text: str) -> bool:
        """Whether there may be something to mask. A quick look at many lines of JSON at once."""
        return (
            bool(self._patterns)  # they are written for what stands in the JSON, not for JSON
            or any(form in text for form in self._forms)
            or any(kind.hint in text for kind in KINDS)
        )

    def values(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """A log's line with its texts masked, each by itself: what is masked cannot break the line."""
        return {name: self._value(value) for name, value in line.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        return [self._value(each) for each in value] if isinstance(value, list) else value

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Values of names that tell a credential are masked whole."""
        return {
            name: MASK if _SENSITIVE.search(name) and "ratelimit" not in name else self.text(value)
            for name, value in headers.items()
        }

    def query(self, query: str) -> str:
        """As `headers`, for a URL's query."""
        pairs = (pair.partition("=") for pair in query.split("&"))
        masked = (
            f"{name}{equals}{MASK if _SENSITIVE.search(name) else value}" for name, equals, value in pairs
        )
        return self.text("&".join(masked)) if query else ""

    def url(self, url: str) -> str:
        base, mark, query = url.partition("?")
        return self.text(base) + mark + self.query(query)

    def with_patterns(self, patterns: Iterable[str]) -> Scrubber:
        """This one, which also masks what matches `patterns`."""
        other = Scrubber((), patterns)
        other._forms = self._forms
        return other


def scrubber_of(loaded: LoadedSettings) -> Scrubber:
    """For everything in these settings that is a secret."""
    return Scrubber(secrets_of(loaded))


def secrets_of(loaded: LoadedSettings) -> Iterator[str]:
    for known in KNOWN_PROVIDERS.values():
        if key := known.key(loaded.environ):
            yield key
    yield from loaded.secrets
    settings = loaded.settings
    for server in settings.mcp_servers.values():
        yield from _of_environment(server.env)
        yield from _of_arguments(server.args)
        yield from _of_headers(server.headers)
    for name in type(settings).model_fields:
        if name != "mcp_servers":
            yield from _within(getattr(settings, name))
    for server in settings.mcp_servers.values():
        yield from _of_url(server.url or "")


def _within(value: Any, name: str = "") -> Iterator[str]:
    """The secrets of any part of the settings."""
    match value:
        case SecretStr():
            text = value.get_secret_value()
            yield text
            yield from _of_url(text)
        case BaseModel():
            for field in type(value).model_fields:
                yield from _within(getattr(value, field), field)
        case Mapping():
            if name == "headers":
                yield from _of_headers(value)
            else:
                for each in value.values():
                    yield from _within(each)
        case list() | tuple():
            for each in value:
                yield from _within(each)
        case str() if "://" in value:
            yield from _of_url(value)


def _of_headers(headers: Mapping[str, Any]) -> Iterator[str]:
    for name, value in headers.items():
        if _HARMLESS_HEADER.search(name):
            continue
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        yield text
        yield from text.split()  # `Bearer KEY`


def _of_environment(variables: Mapping[str, SecretStr]) -> Iterator[str]:
    """Not every value: a folder or `production` would be masked in every text."""
    for name, value in variables.items():
        text = value.get_secret_value()
        if _SENSITIVE.search(name) or _RANDOM.fullmatch(text):
            yield text
        yield from _of_url(text)


def _of_arguments(arguments: Sequence[str]) -> Iterator[str]:
    before = ""
    for argument in arguments:
        option, _, value = argument.partition("=")
        if value and _SENSITIVE.search(option.lstrip("-")):
            yield value
        elif before.startswith("-") and _SENSITIVE.search(before.lstrip("-")):
            yield argument
        yield from _of_url(argument)
        before = argument


def _of_url(text: str) -> Iterator[str]:
    if "://" not in text:
        return
    try:
        parts = urlsplit(text)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
        yield b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    for name, value in parse_qsl(parts.query):
        if "version" not in name:
            yield value
