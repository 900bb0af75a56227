"""Which conversation a request belongs to, as far as the request says so. Pure.

All of it is looked up in the document as it came: nothing is decoded for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

SESSION_HEADERS = (
    b"x-session-affinity",  # opencode
    b"x-claude-code-session-id",
    b"session-id",  # Codex
    b"session_id",  # Codex before 2026
    b"thread-id",
    b"x-session-id",
    b"x-conversation-id",
    b"conversation_id",
    b"conversation-id",
)
"""Headers by which clients name a conversation, the most certain first."""

_TURNS = ("messages", "input", "contents")
_INSTRUCTIONS = ("system", "instructions", "systemInstruction", "system_instruction")
_MODEL_ROLES = frozenset(("assistant", "model"))
_MOST = 2**16
"""Bytes of a beginning that are looked at: enough to tell conversations apart."""
_RESPONSE_ID = re.compile(rb'"id"\s*:\s*"(resp_[^"\\]{1,200})"')


def named_in_headers(headers: Mapping[bytes, bytes], further: bytes | None = None) -> bytes | None:
    """The value of the first header that names the conversation. `further` comes before the known ones."""
    if further is not None and (value := headers.get(further)):
        return value
    for name in SESSION_HEADERS:
        if value := headers.get(name):
            return value
    return None


def named_in_body(document: Mapping[str, Any]) -> str | None:
    """`conversation` (Responses), `prompt_cache_key` (OpenAI), or the session that Claude Code puts into
    `metadata.user_id`. A user's id alone names no conversation."""
    named = document.get("conversation") or document.get("prompt_cache_key")
    if isinstance(named, dict):
        named = named.get("id")
    if isinstance(named, str) and named:
        return named
    metadata = document.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    return _session_of_user(user) if isinstance(user, str) else None


def _session_of_user(user: str) -> str | None:
    """`{"session_id": …}` as JSON, formerly `user_…_session_…`."""
    if user.startswith("{"):
        try:
            session = json.loads(user).get("session_id")
        except ValueError:
            return None
        return session if isinstance(session, str) and session else None
    _, mark, session = user.rpartition("_session_")
    return session if mark and session else None


def beginning(document: Mapping[str, Any]) -> tuple[bytes, bool] | None:
    """A digest of the conversation up to its first user message, and whether the model has spoken yet.

    Each request of a conversation repeats its beginning, unless the client shortens it. None: there is no
    list of turns.
    """
    turns = next((turns for name in _TURNS if isinstance(turns := document.get(name), list) and turns), None)
    if turns is None:
        return None
    digest = blake2b(digest_size=16)
    for name in _INSTRUCTIONS:
        if (value := document.get(name)) is not None:
            digest.update(orjson.dumps(value)[:_MOST])
    for turn in turns:
        digest.update(orjson.dumps(turn)[:_MOST])
        if not isinstance(turn, dict) or turn.get("role", "user") == "user":
            break
    return digest.digest(), any(_is_models(turn) for turn in reversed(turns))


def _is_models(turn: Any) -> bool:
    return isinstance(turn, dict) and (
        turn.get("role") in _MODEL_ROLES or turn.get("type") in ("reasoning", "function_call")
    )


def previous_response(document: Mapping[str, Any]) -> str | None:
    """The answer that this request continues, which only the account that made it knows."""
    named = document.get("previous_response_id")
    return named if isinstance(named, str) and named else None


def response_id(data: bytes) -> str | None:
    """The id of a Responses answer in its first bytes, or in the whole of it."""
    found = _RESPONSE_ID.search(data)
    return found[1].decode("utf-8", "replace") if found is not None else None
