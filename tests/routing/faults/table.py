"""What follows from each way of failing: what the client gets, what is recorded, who is asked next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from routing.table import Timeouts
from tests.routing.faults import scripts
from tests.routing.faults.scripts import NO, Script

Next = Literal["target", "key", "nobody"]
"""Who is asked next: the group's next target; the provider's next key, then the next target; nobody."""


@dataclass(frozen=True)
class Works:
    """The client gets a whole, right answer."""


@dataclass(frozen=True)
class Fails:
    """Nothing has gone out: another one may answer, or the client gets this error, in its own protocol.

    `status` 5 stands for any from 500 on, `kind` None for any.
    """

    status: int
    kind: str | None
    next: Next
    says: str


@dataclass(frozen=True)
class Breaks:
    """After the first byte. Passed through: the connection breaks, as it did. Converted: the stream's last
    event is an error in the client's protocol. Nobody else is asked, and the record has the error."""

    says: str


@dataclass(frozen=True)
class Ends:
    """As `Breaks`, but HTTP says that all is well. Passed through: the bytes as they came, and no more."""

    says: str


Outcome = Works | Fails | Breaks | Ends


_LONG = Timeouts(connect=10, first_byte=20, idle=20)


@dataclass(frozen=True)
class Fault:
    """`whole`: for a client that wants JSON; `stream`: for one that wants a stream, None: the same."""

    name: str
    script: Script
    whole: Outcome
    stream: Outcome | None = None
    timeouts: Timeouts = _LONG
    way: Literal["http", "closed", "untrusted", "not tls"] = "http"
    """How the provider is reached."""

    def outcome(self, stream: bool) -> Outcome:
        return self.stream if stream and self.stream is not None else self.whole


_SHORT = 0.15
_FIRST = Timeouts(connect=10, first_byte=_SHORT, idle=20)
_IDLE = Timeouts(connect=10, first_byte=20, idle=_SHORT)
_TOTAL = Timeouts(connect=10, first_byte=20, idle=20, total=0.6)


def lost(says: str) -> Fails:
    return Fails(502, "upstream", "target", says)


def late(says: str) -> Fails:
    return Fails(504, "timeout", "target", says)


def told(status: int, kind: str, then: Next, says: str = NO) -> Fails:
    return Fails(status, kind, then, says)


_HUGE = b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n"
_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
_ELSEWHERE = "http://127.0.0.1:9/"
_PAGE = b"<!doctype html><html><h1>Sign in</h1></html>"
_NO_ANSWER = "did not answer"
_UNREADABLE = "cannot be read"
_MIDDLE = "in the middle of its answer"

FAULTS = (
    # no connection
    Fault("refused", scripts.good, lost("no connection"), way="closed"),
    Fault("a certificate that is not trusted", scripts.good, lost("not trusted"), way="untrusted"),
    Fault("no TLS where it is expected", scripts.good, lost("TLS handshake failed"), way="not tls"),
    # no answer
    Fault("reset before the head", scripts.reset, lost("connection")),
    Fault("closed before the head", scripts.close, lost("closed the connection without an answer")),
    Fault("silent", scripts.silent, late(f"no answer within {_SHORT} s"), timeouts=_FIRST),
    Fault("not HTTP", scripts.raw(b"220 mail.example.com ESMTP\r\n\r\n"), lost("did not answer in HTTP")),
    Fault("binary", scripts.raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"), lost("did not answer in HTTP")),
    Fault("half a head", scripts.half_a_head, lost(_NO_ANSWER)),
    Fault("a huge head", scripts.raw(_HUGE), lost(_NO_ANSWER)),
    Fault("hints before the answer", scripts.after(_HINTS), Works()),
    Fault("100 before the answer", scripts.after(b"HTTP/1.1 100 Continue\r\n\r\n"), Works()),
    # no body, or half of one
    Fault("reset after the head", scripts.after_head(scripts.reset), lost(_NO_ANSWER)),
    Fault("closed after the head", scripts.after_head(scripts.close), lost(_MIDDLE)),
    Fault("silent after the head", scripts.after_head(scripts.silent), late("nothing came"), timeouts=_IDLE),
    Fault("an empty body", scripts.after_head(scripts.end), lost("")),
    Fault("no content", scripts.raw(b"HTTP/1.1 204 No Content\r\n\r\n"), lost("")),
    Fault("reset in the body", scripts.after_half(scripts.reset), lost(_NO_ANSWER), Breaks(_NO_ANSWER)),
    Fault("closed in the body", scripts.after_half(scripts.close), lost(_MIDDLE), Breaks(_MIDDLE)),
    Fault(
        "silent in the body",
        scripts.after_half(scripts.silent),
        late("nothing came"),
        Breaks("nothing came"),
        timeouts=_IDLE,
    ),
    Fault("ended too early", scripts.after_half(scripts.end), lost(_UNREADABLE), Ends("")),
    Fault("half a chunk", scripts.half_a_chunk, lost(_MIDDLE), Breaks(_MIDDLE)),
    Fault("a broken chunk", scripts.bad_chunk, lost(_NO_ANSWER), Breaks(_NO_ANSWER)),
    Fault("shorter than its length", scripts.too_short, lost(_MIDDLE), Breaks(_MIDDLE)),
    Fault("a slow drip", scripts.drip, Works()),
    Fault(
        "a drip without end",
        scripts.endless,
        Fails(504, "timeout", "nobody", "not complete in the time allowed"),
        Breaks("not complete in the time allowed"),
        timeouts=_TOTAL,
    ),
    Fault(
        "not the encoding that it says",
        scripts.says(b"plain text, not gzip", "application/json", **{"content-encoding": "gzip"}),
        lost(_NO_ANSWER),
    ),
    # something else
    Fault("a page", scripts.says(_PAGE, "text/html"), lost(_UNREADABLE)),
    Fault("a page that says JSON", scripts.says(_PAGE, "application/json"), lost(_UNREADABLE)),
    Fault("a list", scripts.says(b"[1, 2]", "application/json"), lost("")),
    Fault("an object of another API", scripts.says(b'{"ok": true}', "application/json"), lost(_UNREADABLE)),
    Fault("a stream for JSON and JSON for a stream", scripts.other_kind, Works()),
    Fault("an error in a 200", scripts.error_in_200, Fails(5, None, "target", NO)),
    Fault("an error as the first event", scripts.error_first, Fails(5, None, "target", "")),
    Fault("a redirect", scripts.says(b"", "text/plain", 302, location=_ELSEWHERE), lost("base_url")),
    # what it says by its status: the client's own making, the key's, the target's
    Fault("400", scripts.status(400), told(400, "invalid_request", "nobody")),
    Fault("401", scripts.status(401), told(401, "authentication", "key")),
    Fault("402", scripts.status(402), told(402, "billing", "key")),
    Fault("403", scripts.status(403), told(403, "permission", "key")),
    Fault("404", scripts.status(404), told(404, "not_found", "nobody")),
    Fault("408", scripts.status(408), told(408, "timeout", "target")),
    Fault("409", scripts.status(409), told(409, "conflict", "target")),
    Fault("413", scripts.status(413), told(413, "too_large", "nobody")),
    Fault("422", scripts.status(422), told(422, "invalid_request", "nobody")),
    Fault("429", scripts.status(429), told(429, "rate_limit", "key")),
    Fault("429 with a time", scripts.status(429, **{"retry-after": "7"}), told(429, "rate_limit", "key")),
    Fault("500", scripts.status(500), told(500, "upstream", "target")),
    Fault("501", scripts.status(501), told(501, "unsupported", "target")),
    Fault("502", scripts.status(502), told(502, "upstream", "target")),
    Fault("503", scripts.status(503), told(503, "overloaded", "target")),
    Fault("504", scripts.status(504), told(504, "timeout", "target")),
    Fault("529", scripts.status(529), told(529, "overloaded", "target")),
    Fault("a page with 502", scripts.says(_PAGE, "text/html", 502), told(502, "upstream", "target", "")),
    Fault("a page with 404", scripts.says(_PAGE, "text/html", 404), told(404, "not_found", "nobody", "")),
    Fault("half an error", scripts.half_an_error, told(500, "upstream", "target", "")),
    Fault("an error in gzip", scripts.error_in_gzip, told(500, "upstream", "target")),
)  # fmt: skip
