"""A target did not answer, and nothing has gone out to the client yet."""

from __future__ import annotations

from adapters.canonical import ChatError
from routing.answers import Headers
from routing.policy import Rule


class Refused(Exception):
    """`raw` is the upstream's own error's body, for a client of the same protocol."""

    def __init__(
        self, error: ChatError, rule: Rule, headers: Headers | None = None, raw: bytes | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.rule = rule
        self.headers: Headers = headers or []
        self.raw = raw
