"""Errors in Google's shape, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import errors as genai_errors

from adapters.canonical import ChatError
from adapters.errors import STATUS
from adapters.gemini import CODEC


def body(code: int, message: str = "it is so", status: str | None = None, **more: Any) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "status": status, **more}}).encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (401, "authentication"),
        (403, "permission"),
        (404, "not_found"),
        (429, "rate_limit"),
        (500, "upstream"),
        (503, "overloaded"),
        (504, "timeout"),
        (529, "overloaded"),
    ],
)
def test_kinds(status: int, kind: str) -> None:
    error = CODEC.decode_error(status, {}, body(status))
    assert (error.kind, error.status, error.message) == (kind, status, "it is so")


def test_details_are_read() -> None:
    details = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "contents[0]"}]},
    ]
    error = CODEC.decode_error(429, {}, body(429, status="RESOURCE_EXHAUSTED", details=details))
    assert (error.retry_after, error.where, error.code) == (7.5, "contents[0]", "RESOURCE_EXHAUSTED")
    assert CODEC.encode_error(error)[1]["error"]["details"] == details


def test_the_header_wins() -> None:
    assert CODEC.decode_error(429, {"Retry-After": "11"}, body(429)).retry_after == 11


def test_an_invalid_key_is_no_invalid_request() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    error = CODEC.decode_error(400, {}, body(400, "API key not valid.", "INVALID_ARGUMENT", details=details))
    assert (error.kind, error.status) == ("authentication", 401)


@pytest.mark.parametrize(
    "message",
    [
        "Consumer 'api_key:AIzaSyA1234567890abcdefghijklmnopqrstuv' has been suspended.",
        "no such url https://x/v1beta/models/m:generateContent?key=AIzaSyA1234567890abcdefghijklmnopqrstuv&alt=sse",
        "https://x/?key=another-secret",
    ],
)
def test_keys_are_masked(message: str) -> None:
    for raw in (body(403, message), message.encode()):
        told = CODEC.decode_error(403, {}, raw).message
        assert "AIza" not in told
        assert "another-secret" not in told
        assert "***" in told


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"[[]]",
        b"{",
        b"\xff\xfe",
        b"<html>no</html>",
        b'{"error": "words"}',
        b'{"error": {"code": "x"}}',
    ],
)
def test_odd_bodies_are_survived(raw: bytes) -> None:
    error = CODEC.decode_error(502, {}, raw)
    assert (error.kind, error.status) == ("upstream", 502)
    assert error.message


def test_an_array_holds_the_error_of_a_stream() -> None:
    raw = b"[" + body(404, "no such model", "NOT_FOUND") + b"]"
    assert CODEC.decode_error(404, {}, raw).message == "no such model"


@pytest.mark.parametrize("kind", list(STATUS))
def test_the_sdk_reads_our_errors(kind: Any) -> None:
    status, document = CODEC.encode_error(ChatError(kind, "it is so", STATUS[kind], where="contents"))
    expected = genai_errors.ClientError if status < 500 else genai_errors.ServerError
    error = expected(status, document)
    assert (error.code, error.message) == (status, "it is so")
    assert error.status
    assert status != 529


def test_the_upstreams_status_stays() -> None:
    assert CODEC.encode_error(ChatError("invalid_request", "x", 422))[0] == 422
    assert CODEC.encode_error(ChatError("overloaded", "x", 529))[0] == 503
    assert CODEC.encode_error(ChatError("upstream", "x", 200))[0] == 502
