"""What an upstream's error says, whatever shape it has: for all protocols, since proxies mix their shapes.

Seen are `{"error": {…}}`, `{"error": "text"}`, a list with one of them, FastAPI's `{"detail": …}`, vLLM's
`{"object": "error", "message": …}`, plain text and HTML pages; with an honest status, and with 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import ErrorKind
from adapters.errors import STATUS
from adapters.jsontext import load

LONGEST = 4_000
"""Characters of a message."""


def document_of(body: bytes) -> Any:
    """The JSON of a body; None where it is none."""
    try:
        return load(body)
    except ValueError:
        return None


def error_object(value: Any) -> Any:
    """The part that tells: `error`, the first of a list (Gemini), FastAPI's `detail`, or the whole."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, Mapping):
        return value
    for key in ("error", "detail"):
        found = value.get(key)
        if found:
            if isinstance(found, list) and key == "detail":
                return {"message": "; ".join(map(_detail, found))}
            return found
    return value


def _detail(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    place = item.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return f"{where}: {item.get('msg')}" if where else str(item.get("msg"))


def message_of(error: Any) -> str:
    """The words of what `error_object` gave; "" where there are none."""
    if isinstance(error, str):
        return error[:LONGEST]
    if not isinstance(error, Mapping):
        return ""
    message = error.get("message") or error.get("msg") or error.get("detail") or ""
    if isinstance(message, Mapping):
        message = _detail_text(message)
    raw = error.get("metadata")
    told = raw.get("raw") if isinstance(raw, Mapping) else None
    if isinstance(told, str) and told and told not in str(message):
        message = f"{message}: {told}" if message else told  # OpenRouter: what its provider said
    return str(message)[:LONGEST]


def _detail_text(message: Mapping[str, Any]) -> str:
    """Mistral puts FastAPI's detail into the message."""
    detail = message.get("detail")
    return "; ".join(map(_detail, detail)) if isinstance(detail, list) else str(dict(message))


def plain_text(body: bytes) -> str:
    """The words of a body that is no JSON; "" for a page in HTML."""
    text = body[: LONGEST * 4].decode("utf-8", "replace").strip()[:LONGEST]
    return "" if text.startswith("<") else text


def told_status(error: Any) -> int:
    """The status that an error object names; 0 where it names none."""
    if isinstance(error, Mapping):
        for key in ("status", "status_code", "code"):
            value = error.get(key)
            if isinstance(value, str) and value.isdecimal():
                value = int(value[:4])
            if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
                return value
    return 0


def true_status(status: int, error: Any, kind: ErrorKind | None) -> int:
    """The answer's status if it is an error's; else what the error says, by its number or its kind."""
    if 400 <= status < 600:
        return status
    return told_status(error) or STATUS[kind or "upstream"]
