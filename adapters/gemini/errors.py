"""Errors in Google's form, both ways.

https://cloud.google.com/apis/design/errors and https://ai.google.dev/gemini-api/docs/troubleshooting
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapters.canonical import NO_EXTENSIONS, ChatError, ErrorKind
from adapters.error_documents import LONGEST, document_of, error_object, message_of, plain_text, true_status
from adapters.errors import kind_of_status
from adapters.gemini.carry import PROTOCOL

_STATUS: Mapping[ErrorKind, tuple[int, str]] = {
    "invalid_request": (400, "INVALID_ARGUMENT"),
    "authentication": (401, "UNAUTHENTICATED"),
    "billing": (402, "FAILED_PRECONDITION"),
    "permission": (403, "PERMISSION_DENIED"),
    "not_found": (404, "NOT_FOUND"),
    "conflict": (409, "ABORTED"),
    "too_large": (413, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
    "overloaded": (503, "UNAVAILABLE"),
    "upstream": (502, "UNAVAILABLE"),
    "unsupported": (400, "INVALID_ARGUMENT"),
    "internal": (500, "INTERNAL"),
}

_KINDS: Mapping[str, ErrorKind] = {
    "INVALID_ARGUMENT": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
    "UNIMPLEMENTED": "unsupported",
    "INTERNAL": "upstream",
    "UNKNOWN": "upstream",
    "DATA_LOSS": "upstream",
}
"""https://cloud.google.com/apis/design/errors#error_model; for errors without an HTTP status."""

_SECRET = re.compile(r"AIza[0-9A-Za-z_-]{30,}|((?:api_key:|[?&]key=))[^\s&'\"]+")


def encode_error(error: ChatError) -> tuple[int, dict[str, Any]]:
    """The upstream's status where it says the same, else Google's for the kind of error."""
    usual, word = _STATUS[error.kind]
    status = error.status if 400 <= error.status < 600 and error.status != 529 else usual
    inner: dict[str, Any] = {"code": status, "message": error.message, "status": word}
    if details := _details(error):
        inner["details"] = details
    return status, {"error": inner}


def _details(error: ChatError) -> list[dict[str, Any]]:
    bag = error.extensions.get(PROTOCOL, {})
    known = bag.get("details")
    details = list(known) if isinstance(known, list) else []
    told = [one.get("@type") for one in details if isinstance(one, dict)]
    if error.retry_after is not None and _RETRY not in told:
        details.append({"@type": _RETRY, "retryDelay": f"{error.retry_after:g}s"})
    if error.where and _BAD_REQUEST not in told:
        violation = {"field": error.where, "description": error.message}
        details.append({"@type": _BAD_REQUEST, "fieldViolations": [violation]})
    return details


_RETRY = "type.googleapis.com/google.rpc.RetryInfo"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
    """Never raises. A key that Google's message repeats is masked."""
    document = document_of(body)
    if isinstance(document, list):  # a streaming call without `alt=sse` answers with an array
        document = next((one for one in document if isinstance(one, dict)), None)
    inner = document.get("error") if isinstance(document, dict) else None
    honest = status if 400 <= status < 600 else None
    error = of_document(inner, honest) if isinstance(inner, dict) else _of_text(status, document, body)
    return _with_header(error, headers)


def of_document(inner: Mapping[str, Any], status: int | None = None) -> ChatError:
    """The value of `error`, in an answer or within a stream (where there is no status)."""
    word = inner.get("status")
    word = word if isinstance(word, str) else None
    number = status or true_status(0, inner, _KINDS.get(word or ""))
    kind = kind_of_status(number)
    if kind in ("invalid_request", "upstream") and status is None:
        kind = _KINDS.get(word or "", kind)
    details = inner.get("details")
    details = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    if any(one.get("reason") == "API_KEY_INVALID" for one in details):  # told as 400
        kind, number = "authentication", 401
    message = inner.get("message")
    return ChatError(
        kind,
        masked(message if isinstance(message, str) and message else f"the upstream answered {number}"),
        number,
        where=_field(details),
        code=word,
        retry_after=_delay(details),
        extensions={PROTOCOL: {"details": details}} if details else NO_EXTENSIONS,
    )


def _of_text(status: int, document: Any, body: bytes) -> ChatError:
    """Of another shape than Google's."""
    error = error_object(document)
    number = true_status(status, error, None)
    words = message_of(error) or plain_text(body) or f"the upstream answered {status}"
    return ChatError(kind_of_status(number), masked(words), number)


def masked(message: str) -> str:
    return _SECRET.sub(lambda found: (found[1] or "") + "***", message[:LONGEST])


def _field(details: list[dict[str, Any]]) -> str | None:
    for one in details:
        violations = one.get("fieldViolations")
        for violation in violations if isinstance(violations, list) else []:
            field = violation.get("field") if isinstance(violation, dict) else None
            if isinstance(field, str) and field:
                return field
    return None


def _delay(details: list[dict[str, Any]]) -> float | None:
    """`retryDelay` is a Duration: seconds with an `s` behind."""
    for one in details:
        delay = one.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            return _seconds(delay[:-1])
    return None


def _with_header(error: ChatError, headers: Mapping[str, str]) -> ChatError:
    value = next((headers[name] for name in headers if name.lower() == "retry-after"), None)
    seconds = _seconds(value) if value is not None else None
    if seconds is None:
        return error
    return ChatError(
        error.kind,
        error.message,
        error.status,
        error.where,
        error.code,
        seconds,
        error.extensions,
    )


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None
