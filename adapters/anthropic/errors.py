"""Errors, in Anthropic's shape and out of it.

https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.anthropic.names import bag
from adapters.canonical import ChatError, ErrorKind
from adapters.error_documents import (
    document_of,
    error_object,
    message_of,
    plain_text,
    told_status,
    true_status,
)
from adapters.errors import STATUS, kind_of_status

TYPES: dict[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "conflict": "invalid_request_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "timeout": "timeout_error",
    "overloaded": "overloaded_error",
    "upstream": "api_error",
    "unsupported": "invalid_request_error",
    "internal": "api_error",
}

_KINDS: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "conflict_error": "conflict",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
    "api_error": "upstream",
}
_LONGEST = 2_000
"""Characters of a body that is no JSON, as an error's message."""


def error_body(error: ChatError) -> dict[str, Any]:
    detail: dict[str, Any] = {"type": TYPES[error.kind], "message": error.message}
    return {"type": "error", "error": detail}


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
    """From an upstream's error; the body may be anything."""
    document, retry_after = document_of(body), _seconds(headers)
    honest = status if 400 <= status < 600 else None
    if isinstance(document, Mapping):
        return from_document(document, honest, retry_after)
    error = error_object(document)
    number = true_status(status, error, None)
    told = message_of(error) or (plain_text(body)[:_LONGEST] if document is None else "")
    message = told or f"the upstream answered with status {status}"
    return ChatError(kind_of_status(number), message, number, retry_after=retry_after)


def from_document(
    document: Mapping[str, Any], status: int | None = None, retry_after: float | None = None
) -> ChatError:
    """From `{"type": "error", "error": {…}}`. In a stream there is no status: the type says it."""
    error = error_object(document)
    detail = error if isinstance(error, Mapping) else document
    message = message_of(error)
    said = detail.get("type")
    kind = _KINDS.get(said) if isinstance(said, str) else None
    if status is None:
        status = told_status(detail) or None
    if kind is None or (status is not None and kind_of_status(status) != "upstream" and kind == "upstream"):
        kind = kind_of_status(status) if status is not None else (kind or "upstream")
    request_id = document.get("request_id")
    return ChatError(
        kind,
        message or "the upstream gave no reason",
        status if status is not None else STATUS[kind],
        code=said if isinstance(said, str) else None,
        retry_after=retry_after,
        extensions=bag({"request_id": request_id} if isinstance(request_id, str) else {}),
    )


def _seconds(headers: Mapping[str, str]) -> float | None:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            try:
                return max(float(value), 0.0)
            except ValueError:
                return None
    return None
