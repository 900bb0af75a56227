"""Errors, model lists, token counts, routes: the small ends of the protocol."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from anthropic.types import ErrorResponse, MessageTokensCount
from anthropic.types import ModelInfo as SdkModelInfo
from hypothesis import given
from hypothesis import strategies as st

from adapters.anthropic import CODEC
from adapters.canonical import ChatError, ErrorKind
from adapters.codec import Arrival, ModelInfo
from adapters.errors import STATUS
from adapters.registry import codec

MODELS = [
    ModelInfo("best", 1_700_000_000, "hub", "Best", 200_000, 64_000),
    ModelInfo("small/one", 1_700_000_001, "hub", "Small"),
]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("invalid_request", "invalid_request_error"),
        ("authentication", "authentication_error"),
        ("billing", "billing_error"),
        ("permission", "permission_error"),
        ("not_found", "not_found_error"),
        ("too_large", "request_too_large"),
        ("rate_limit", "rate_limit_error"),
        ("timeout", "timeout_error"),
        ("overloaded", "overloaded_error"),
        ("upstream", "api_error"),
        ("internal", "api_error"),
    ],
)
def test_errors_for_clients(kind: ErrorKind, said: str) -> None:
    status, document = CODEC.encode_error(ChatError(kind, "why", STATUS[kind]))
    assert (status, document["error"]) == (STATUS[kind], {"type": said, "message": "why"})


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_the_sdk_reads_every_error(kind: ErrorKind) -> None:
    _, document = CODEC.encode_error(ChatError(kind, "why", STATUS[kind]))
    if document["error"]["type"] == "request_too_large":  # documented, but not in the SDK's union
        return
    assert ErrorResponse.model_validate(document).error.message == "why"


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, "invalid_request_error", "invalid_request"),
        (401, "authentication_error", "authentication"),
        (402, "billing_error", "billing"),
        (403, "permission_error", "permission"),
        (404, "not_found_error", "not_found"),
        (413, "request_too_large", "too_large"),
        (429, "rate_limit_error", "rate_limit"),
        (500, "api_error", "upstream"),
        (504, "timeout_error", "timeout"),
        (529, "overloaded_error", "overloaded"),
        (429, "api_error", "rate_limit"),
        (400, "of_another_kind", "invalid_request"),
    ],
)
def test_errors_of_the_api(status: int, said: str, kind: ErrorKind) -> None:
    document = {"type": "error", "error": {"type": said, "message": "why"}, "request_id": "req_1"}
    error = CODEC.decode_error(status, {"Retry-After": "7"}, json.dumps(document).encode())
    assert error == ChatError(
        kind, "why", status, code=said, retry_after=7, extensions={"anthropic": {"request_id": "req_1"}}
    )


def test_errors_in_other_shapes() -> None:
    openai = CODEC.decode_error(500, {}, b'{"error": {"message": "no memory", "code": 500}}')
    assert (openai.kind, openai.message) == ("upstream", "no memory")
    assert CODEC.decode_error(404, {}, b'{"error": "no such model"}').message == "no such model"
    assert CODEC.decode_error(503, {"retry-after": "soon"}, b"<html>busy</html>") == ChatError(
        "overloaded", "the upstream answered with status 503", 503
    )
    assert "status 502" in CODEC.decode_error(502, {}, b"").message


@given(st.binary(max_size=60), st.sampled_from([400, 418, 429, 500, 503]))
def test_any_body_is_an_error(body: bytes, status: int) -> None:
    error = CODEC.decode_error(status, {}, body)
    assert error.status == status
    assert error.message


def test_model_lists() -> None:
    page = CODEC.encode_models(MODELS)
    assert [SdkModelInfo.model_validate(model).id for model in page["data"]] == ["best", "small/one"]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, "best", "small/one")
    assert CODEC.encode_models([])["first_id"] is None
    one = SdkModelInfo.model_validate(CODEC.encode_model(MODELS[0]))
    assert (one.display_name, one.max_input_tokens, one.max_tokens) == ("Best", 200_000, 64_000)
    assert one.created_at.isoformat() == "2023-11-14T22:13:20+00:00"


def test_token_counts() -> None:
    assert MessageTokensCount.model_validate(CODEC.encode_token_count(7)).input_tokens == 7


def test_routes_and_paths() -> None:
    assert codec("anthropic") is CODEC
    paths = {(route.method, route.path, route.operation) for route in CODEC.routes}
    assert ("POST", "/v1/messages", "chat") in paths
    assert ("POST", "/v1/messages/count_tokens", "count_tokens") in paths
    assert CODEC.passthrough_path("m", Arrival()) == "/v1/messages"
    assert CODEC.passthrough_path("m", Arrival(action="count_tokens")) == "/v1/messages/count_tokens"
    assert CODEC.authorization("k") == {"x-api-key": "k"}
