"""Errors in OpenAI's shape: `{"error": {message, type, param, code}}`. Both directions.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import ChatError, ErrorKind
from adapters.errors import STATUS, InvalidResponse, kind_of_status
from adapters.jsontext import load

TYPES: dict[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "insufficient_quota",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "conflict": "conflict_error",
    "too_large": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "timeout": "timeout_error",
    "overloaded": "overloaded_error",
    "upstream": "server_error",
    "unsupported": "invalid_request_error",
    "internal": "server_error",
}

CODES: dict[ErrorKind, str] = {
    "authentication": "invalid_api_key",
    "billing": "insufficient_quota",
    "rate_limit": "rate_limit_exceeded",
    "too_large": "request_too_large",
    "unsupported": "unsupported",
}

_KIND_OF_CODE: dict[str, ErrorKind] = {
    "insufficient_quota": "billing",
    "insufficient_balance": "billing",
    "invalid_api_key": "authentication",
    "rate_limit_exceeded": "rate_limit",
    "context_length_exceeded": "invalid_request",
    "model_not_found": "not_found",
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate_limit",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "invalid_request_error": "invalid_request",
    "engine_overloaded_error": "overloaded",
    "server_overloaded": "overloaded",
    "server_error": "upstream",
}

_LONGEST = 4_000
_OVERLOADED = 503
"""529 is Anthropic's own; OpenAI says 503."""


def encode_error(error: ChatError) -> tuple[int, dict[str, Any]]:
    status = _OVERLOADED if error.status == STATUS["overloaded"] else error.status
    return status, error_body(error)


def error_body(error: ChatError) -> dict[str, Any]:
    return {
        "error": {
            "message": error.message,
            "type": TYPES[error.kind],
            "param": error.where,
            "code": error.code or CODES.get(error.kind),
        }
    }


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
    """From an answer that is not 2xx. Never raises; a body that is no JSON is told as text."""
    try:
        value = load(body)
    except ValueError:
        value = None
    error = _error_object(value)
    message, code, where = describe(error)
    if not message:
        message = _plain(body) or f"the upstream answered {status}"
    return ChatError(
        _kind(status, error),
        message,
        status,
        where=where,
        code=code,
        retry_after=_retry_after(headers),
    )


def stream_error(value: Mapping[str, Any]) -> ChatError:
    """From an error object within a stream or an answer of status 200; its status is in `code`."""
    error = _error_object(value)
    message, code, where = describe(error)
    status = _status(error)
    kind = _kind(status, error)
    return ChatError(
        kind, message or "the upstream broke off with an error", status or STATUS[kind], where, code
    )


def answer_error(value: Mapping[str, Any]) -> InvalidResponse:
    """The same as an exception, for answers of status 200 that are errors (OpenRouter)."""
    told = stream_error(value)
    raised = InvalidResponse(told.message)
    raised.kind = told.kind
    return raised


def _error_object(value: Any) -> Any:
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


def describe(error: Any) -> tuple[str, str | None, str | None]:
    """Message, code, and the field that is wrong."""
    if isinstance(error, str):
        return error[:_LONGEST], None, None
    if not isinstance(error, Mapping):
        return "", None, None
    message = error.get("message") or error.get("msg") or ""
    if isinstance(message, Mapping):
        message = _detail_text(message)
    raw = error.get("metadata")
    told = raw.get("raw") if isinstance(raw, Mapping) else None
    if isinstance(told, str) and told and told not in str(message):
        message = f"{message}: {told}" if message else told  # OpenRouter: what its provider said
    code, where = error.get("code"), error.get("param")
    if code is None or isinstance(code, int):
        code = error.get("status") if isinstance(error.get("status"), str) else None
    return (
        str(message)[:_LONGEST],
        code if isinstance(code, str) else None,
        where if isinstance(where, str) else None,
    )


def _detail_text(message: Mapping[str, Any]) -> str:
    """Mistral puts FastAPI's detail into the message."""
    detail = message.get("detail")
    return "; ".join(map(_detail, detail)) if isinstance(detail, list) else str(dict(message))


def _status(error: Any) -> int:
    if isinstance(error, Mapping):
        for key in ("status", "status_code", "code"):
            value = error.get(key)
            if isinstance(value, str) and value.isdecimal():
                value = int(value[:4])
            if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
                return value
    return 0


def _kind(status: int, error: Any) -> ErrorKind:
    words = [error.get("code"), error.get("type")] if isinstance(error, Mapping) else []
    told = next(
        (_KIND_OF_CODE[word] for word in words if isinstance(word, str) and word in _KIND_OF_CODE), None
    )
    if not status:
        return told or "upstream"
    by_status = kind_of_status(status)
    # a quota that is used up comes as 429, but waiting does not help
    return "billing" if told == "billing" else by_status


def _plain(body: bytes) -> str:
    text = body[:_LONGEST].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `retry-after-ms` or `retry-after`; an HTTP date would need a clock and is left."""
    for key, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(key, "")) / scale
        except ValueError:
            continue
        if 0 <= seconds < 1e7:
            return seconds
    return None
