"""A client's request as it arrived, whatever brought it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_plus

from adapters.codec import Arrival, Codec, Route
from routing.routes import Endpoint, Found

_PROTOCOL_HEADERS = (b"anthropic-", b"openai-beta", b"x-openai-", b"x-goog-user-project")
"""Beginnings of the names of headers that protocols define. None of them carries a credential."""
_CREDENTIALS = frozenset(("key", "api_key", "api-key", "access_token"))
"""Query parameters that carry the client's key; they never go upstream."""
_PRODUCT = re.compile(rb"[\w.+-]+(?:/[A-Za-z][\w.+-]*)?")
_LONGEST_NAME = 40
_SSE = "alt=sse"
"""Asks Gemini for server-sent events; without it a stream is one JSON array."""


@dataclass(frozen=True, slots=True)
class Call:
    """A client's request as it arrived."""

    codec: Codec
    route: Route
    prefix: str
    """"", `switch`, or a group's name."""
    arrival: Arrival
    query: str
    """Without the leading `?` and without credentials."""
    body: bytes
    stream_type: str
    """The content type of a stream that this client reads."""
    id: str
    started: float
    """On the services' clock."""
    compat: bool = False
    """Tools go upstream as text, and calls come back as text."""
    caller: str = ""
    """The name of the hub's key; "": the hub has none."""
    client: str = ""
    """The client program's short name."""
    headers: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    """As they came, names in lower case, credentials among them: to be looked at, never sent on or told."""


def call_at(
    found: Found,
    endpoint: Endpoint,
    *,
    query: str,
    headers: Mapping[bytes, bytes],
    body: bytes,
    id: str,  # noqa: A002 - the field's name
    started: float,
    caller: str = "",
) -> Call:
    """The call of a request to `endpoint`. `headers` have lower-case names."""
    codec, route = endpoint
    action, stream, stream_type = route.action, None, codec.stream_content_type
    if route.operation == "chat" and "{" in route.path:  # Gemini says it in the URL
        stream = action.startswith("stream")
        if _SSE in query.split("&"):
            action = f"{action}?{_SSE}"
        else:
            stream_type = "application/json"
    return Call(
        codec=codec,
        route=route,
        prefix=found.prefix,
        arrival=Arrival(action, found.model, stream, _protocol_headers(headers)),
        query=_without_credentials(query) if query else "",
        body=body,
        stream_type=stream_type,
        id=id,
        started=started,
        compat=found.compat,
        caller=caller,
        client=client_name(headers.get(b"user-agent", b"")),
        headers=headers,
    )


@lru_cache(maxsize=256)
def client_name(user_agent: bytes) -> str:
    """The first product of a user agent, without its version: `claude-cli`, `OpenAI/Python`."""
    match = _PRODUCT.match(user_agent[:_LONGEST_NAME])
    return match[0].decode("ascii") if match is not None else ""


def _protocol_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name.decode(): value.decode("latin-1")
        for name, value in headers.items()
        if name.startswith(_PROTOCOL_HEADERS)
    }


def _without_credentials(query: str) -> str:
    if "key" not in query and "token" not in query and "%" not in query:
        return query
    return "&".join(pair for pair in query.split("&") if not _is_credential(pair))


def _is_credential(pair: str) -> bool:
    return unquote_plus(pair.partition("=")[0]).lower() in _CREDENTIALS
