"""Errors in OpenAI's shape: `{"error": {message, type, param, code}}`. Both directions.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import ChatError, ErrorKind
from adapters.error_documents import (
    document_of,
    error_object,
    message_of,
    plain_text,
    told_status,
    true_status,
)
from adapters.errors import STATUS, InvalidResponse, kind_of_status

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
    """Never raises; a body that is no JSON is told as text. An error with status 200 gets its own."""
    error = error_object(document_of(body))
    message, code, where = describe(error)
    number = true_status(status, error, _told_kind(error))
    if not message:
        message = plain_text(body)
    return ChatError(
        _kind(number, error),
        message or f"the upstream answered {status}",
        number,
        where=where,
        code=code,
        retry_after=_retry_after(headers),
    )


def is_error(value: Mapping[str, Any]) -> bool:
    """Whether a document without `error` and choices is one: vLLM's and FastAPI's shapes."""
    if "choices" in value:
        return False
    return value.get("object") == "error" or value.get("type") == "error" or "detail" in value


def stream_error(value: Mapping[str, Any]) -> ChatError:
    """From an error object within a stream or an answer of status 200; its status is in `code`."""
    error = error_object(value)
    message, code, where = describe(error)
    status = told_status(error)
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


def describe(error: Any) -> tuple[str, str | None, str | None]:
    """Message, code, and the field that is wrong."""
    if not isinstance(error, Mapping):
        return message_of(error), None, None
    code, where = error.get("code"), error.get("param")
    if code is None or isinstance(code, int):
        code = error.get("status") if isinstance(error.get("status"), str) else None
    return (
        message_of(error),
        code if isinstance(code, str) else None,
        where if isinstance(where, str) else None,
    )


def _told_kind(error: Any) -> ErrorKind | None:
    words = [error.get("code"), error.get("type")] if isinstance(error, Mapping) else []
    return next(
        (_KIND_OF_CODE[word] for word in words if isinstance(word, str) and word in _KIND_OF_CODE), None
    )


def _kind(status: int, error: Any) -> ErrorKind:
    told = _told_kind(error)
    if not status:
        return told or "upstream"
    # a quota that is used up comes as 429, but waiting does not help
    return "billing" if told == "billing" else kind_of_status(status)


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
