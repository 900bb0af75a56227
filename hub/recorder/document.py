"""A recorded exchange as a JSON document. All of it has gone through a `Scrubber`."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from hub.logs.lines import of_chat
from hub.recorder.tape import AttemptTape, Body, Tape, text_headers
from hub.scrub import Scrubber

Document = dict[str, Any]
VERSION = 1


def document_of(tape: Tape, scrubber: Scrubber) -> Document:
    """`request` and `answer` are the client's side, `attempts` the upstreams', `outcome` the log's line."""
    request, record = tape.request, tape.record
    outcome = of_chat(record) if record is not None else {}
    if record is not None and record.error:
        outcome["error"] = scrubber.text(record.error)
    return {
        "version": VERSION,
        "id": request.id,
        "time": tape.time,
        "request": {
            "method": request.method,
            "path": scrubber.text(request.path),
            "query": scrubber.query(tape.scope.get("query_string", b"").decode("latin-1")),
            "headers": scrubber.headers(text_headers(tape.scope["headers"])),
            **_body(tape.body, scrubber),
        },
        "attempts": [_attempt(attempt, request.started, scrubber) for attempt in tape.attempts],
        "answer": {
            "status": request.status,
            "headers": scrubber.headers(text_headers(tape.answer_headers)),
            **_body(tape.answer, scrubber),
        },
        "outcome": outcome,
    }


def _attempt(attempt: AttemptTape, since: float, scrubber: Scrubber) -> Document:
    asked = attempt.request
    sent = Body(attempt.answer.limit, since)
    sent.add(asked.body)
    return {
        "target": asked.target.decode(),
        "protocol": asked.protocol,
        "started": round(attempt.started - since, 4),
        "duration": None if attempt.duration is None else round(attempt.duration, 4),
        "error": None if attempt.error is None else scrubber.text(attempt.error),
        "request": {
            "method": asked.method,
            "url": scrubber.url(asked.url),
            "headers": scrubber.headers(asked.headers),
            **{name: value for name, value in _body(sent, scrubber).items() if name != "times"},
        },
        "answer": {
            "status": attempt.status,
            "headers": scrubber.headers(attempt.answer_headers),
            **_body(attempt.answer, scrubber),
        },
    }


def _body(body: Body, scrubber: Scrubber) -> Document:
    """Text where it is text; `complete`: false where the rest was left out."""
    told: Document = {"bytes": body.size, "complete": body.complete, "times": body.times}
    data = body.data
    try:
        return {**told, "body": scrubber.text(data.decode())}
    except UnicodeDecodeError:
        # Masked as far as it is text at all: a body that was cut within a letter, or a file.
        masked = scrubber.text(data.decode("latin-1")).encode("latin-1")
        return {**told, "base64": b64encode(masked).decode()}


def body_of(part: Mapping[str, Any]) -> bytes:
    """The bytes of a `request` or an `answer` of a document."""
    return b64decode(part["base64"]) if "base64" in part else str(part.get("body", "")).encode()
