"""Errors of the adapters, and the one table of error kinds.

AdapterError
├── InvalidRequest     the client's body cannot be read (the client's fault)
├── Unsupported        the target's protocol cannot say it (nobody's fault)
└── InvalidResponse    the upstream's answer cannot be read (the upstream's fault)
"""

from __future__ import annotations

from adapters.canonical import ChatError, ErrorKind

STATUS: dict[ErrorKind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "rate_limit": 429,
    "timeout": 504,
    "overloaded": 529,
    "upstream": 502,
    "unsupported": 400,
    "internal": 500,
}
"""The status that the hub answers with where the upstream gave none of the same class."""

_KIND: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limit",
    501: "unsupported",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


def kind_of_status(status: int) -> ErrorKind:
    """The kind for an HTTP status; other 4xx are invalid requests, the rest is the upstream's fault."""
    return _KIND.get(status, "invalid_request" if 400 <= status < 500 else "upstream")


class AdapterError(Exception):
    """Base of the errors that adapters raise; `error` is what the client is told."""

    kind: ErrorKind = "internal"

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where

    @property
    def error(self) -> ChatError:
        return ChatError(self.kind, str(self), STATUS[self.kind], where=self.where)


class InvalidRequest(AdapterError):
    """The client's body is not what its protocol says."""

    kind: ErrorKind = "invalid_request"


class Unsupported(AdapterError):
    """The target's protocol has no way to say what the client asked for."""

    kind: ErrorKind = "unsupported"


class InvalidResponse(AdapterError):
    """The upstream's answer is not what its protocol says."""

    kind: ErrorKind = "upstream"
