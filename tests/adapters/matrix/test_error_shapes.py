"""Errors in other shapes than the protocol's own, and errors behind a status of success: always an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.canonical import Failure
from adapters.registry import codec
from routing.reading import error_within
from tests.adapters.matrix.cases import PROTOCOLS

SAYS = "the model is loading"

SHAPES: dict[str, Any] = {
    "openai": {"error": {"message": SAYS, "type": "server_error", "param": None, "code": None}},
    "anthropic": {"type": "error", "error": {"type": "api_error", "message": SAYS}},
    "gemini": {"error": {"code": 503, "message": SAYS, "status": "UNAVAILABLE"}},
    "gemini_list": [{"error": {"code": 503, "message": SAYS, "status": "UNAVAILABLE"}}],
    "ollama": {"error": SAYS},
    "fastapi": {"detail": SAYS},
    "fastapi_list": {"detail": [{"loc": ["body", "model"], "msg": SAYS, "type": "missing"}]},
    "vllm": {"object": "error", "message": SAYS, "type": "BadRequestError", "code": 400},
    "message": {"message": SAYS},
    "text": SAYS.encode(),
}


def _bytes(shape: Any) -> bytes:
    return shape if isinstance(shape, bytes) else json.dumps(shape).encode()


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 429, 500, 503])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_shape_keeps_its_words_and_gets_an_error_status(protocol: str, shape: str, status: int) -> None:
    error = codec(protocol).decode_error(status, {}, _bytes(SHAPES[shape]))
    assert SAYS in error.message
    if status >= 400:
        assert error.status == status
    else:
        assert error.status >= 400
    for client in PROTOCOLS:
        told, body = codec(client).encode_error(error)
        assert told >= 400
        assert SAYS in json.dumps(body)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_page_in_html_is_not_shown_to_the_client(protocol: str) -> None:
    page = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    error = codec(protocol).decode_error(502, {}, page)
    assert error.status == 502
    assert "<" not in error.message
    assert "502" in error.message


@pytest.mark.parametrize("shape", ["openai", "anthropic", "gemini", "ollama", "fastapi", "vllm"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_of_status_200_that_is_an_error_is_seen_as_one(protocol: str, shape: str) -> None:
    document = SHAPES[shape]
    error = error_within(codec(protocol), document, _bytes(document))
    assert error is not None
    assert error.status >= 400
    assert SAYS in error.message


@pytest.mark.parametrize(
    ("protocol", "said", "status"),
    [
        ("openai", {"type": "rate_limit_error"}, 429),
        ("openai", {"code": 402}, 402),
        ("openai", {"code": "model_not_found"}, 404),
        ("openai-responses", {"code": "429"}, 429),
        ("anthropic", {"type": "overloaded_error"}, 529),
        ("anthropic", {"type": "not_found_error"}, 404),
        ("gemini", {"status": "RESOURCE_EXHAUSTED", "code": 429}, 429),
        ("gemini", {"status": "PERMISSION_DENIED"}, 403),
        ("ollama", {"code": 404}, 404),
    ],
)
def test_the_error_says_its_status_where_the_answer_does_not(
    protocol: str, said: dict[str, Any], status: int
) -> None:
    body = {"error": {"message": SAYS, **said}}
    assert codec(protocol).decode_error(200, {}, _bytes(body)).status == status
    document = error_within(codec(protocol), body, _bytes(body))
    assert document is not None
    assert document.status == status


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_error_instead_of_a_stream_is_a_failure_with_its_words(protocol: str) -> None:
    line = _bytes({"error": {"message": SAYS, "code": 429}})
    data = line + b"\n" if protocol == "ollama" else b"data: " + line + b"\n\n"
    decoder = codec(protocol).stream_decoder()
    events = [*decoder.feed(data), *decoder.close()]
    assert [type(event) for event in events] == [Failure]
    failure = events[0]
    assert isinstance(failure, Failure)
    assert SAYS in failure.error.message
    assert failure.error.status == 429
