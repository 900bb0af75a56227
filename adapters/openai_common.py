"""What Chat Completions and the Responses API have in common: the same parameters, files and users.

https://developers.openai.com/api/docs/guides/migrate-to-responses
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from adapters.canonical import NOTHING, ChatRequest, Extensions

CHAT, RESPONSES = "openai", "openai-responses"

SHARED = frozenset(
    {
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "safety_identifier",
        "store",
        "moderation",
    }
)
"""Keys of a request that mean the same in both, and have no field in the canonical one."""

SHARED_IN_PARTS = frozenset({"prompt_cache_breakpoint"})
"""The same of text, images and files."""

TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})

_LONGEST_USER = 64


def shared(
    extensions: Extensions, other: str, keys: frozenset[str] = SHARED
) -> tuple[dict[str, Any], Extensions]:
    """What the bag of the other one of both protocols has under `keys`, and the extensions without it."""
    bag = extensions.get(other) if extensions else None
    if not bag or keys.isdisjoint(bag):
        return {}, extensions
    found = {key: bag[key] for key in bag if key in keys}
    return found, {**extensions, other: {key: bag[key] for key in bag if key not in keys}}


def identifier(extensions: Extensions) -> str | None:
    """The client's `safety_identifier`."""
    for owner in (CHAT, RESPONSES):
        value = extensions.get(owner, NOTHING).get("safety_identifier")
        if isinstance(value, str):
            return value
    return None


def cache_breakpoint(extensions: Extensions) -> Mapping[str, Any] | None:
    """The wish that a cached prefix of the prompt ends with this part."""
    for owner in (CHAT, RESPONSES):
        value = extensions.get(owner, NOTHING).get("prompt_cache_breakpoint")
        if isinstance(value, Mapping):
            return value
    return None


def short_user(user: str) -> str:
    """OpenAI takes 64 characters. A longer name (Claude Code's) becomes its hash, the same every time."""
    if len(user) <= _LONGEST_USER:
        return user
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()


def hashed_call_id(value: str) -> str:
    """In the place of a call's id that is too long: the same every time, of 37 characters."""
    return f"call_{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


_SEARCH = ("search_context_size", "user_location")


def search_tool(options: Mapping[str, Any]) -> dict[str, Any]:
    """Chat's `web_search_options` as the tool `web_search`."""
    tool: dict[str, Any] = {"type": "web_search", **{key: options[key] for key in _SEARCH if key in options}}
    place = options.get("user_location")
    if isinstance(place, Mapping) and isinstance(place.get("approximate"), Mapping):
        tool["user_location"] = {"type": "approximate", **place["approximate"]}
    return tool


def search_options(tool: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The tool `web_search` as Chat's `web_search_options`, and the keys that have no place there."""
    options = {key: tool[key] for key in _SEARCH if tool.get(key) is not None}
    place = options.get("user_location")
    if isinstance(place, Mapping):
        named = {key: value for key, value in place.items() if key != "type" and value is not None}
        options["user_location"] = {"type": "approximate", "approximate": named}
    return options, [key for key in tool if key not in (*_SEARCH, "type") and tool[key] is not None]


def searches_itself(model: str) -> bool:
    """Whether a model of Chat Completions takes `web_search_options`: only those made for it do."""
    return "search" in model


def without_hint(extensions: Extensions) -> Extensions:
    """The extensions without a part's cache breakpoint, for a target that is told of it."""
    for owner in (CHAT, RESPONSES):
        _, extensions = shared(extensions, owner, SHARED_IN_PARTS)
    return extensions


def request_identifier(request: ChatRequest) -> str | None:
    """Who the user is, where the client says it in either way."""
    return request.user if request.user is not None else identifier(request.extensions)
