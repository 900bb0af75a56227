"""What follows from each outcome of an upstream, as tables."""

from __future__ import annotations

import pytest

from adapters.canonical import ChatError
from adapters.registry import codecs
from routing.policy import (
    BUSY_KEY,
    EMPTY_ACCOUNT,
    FAULT_ERRORS,
    FAULT_RULES,
    LONGEST_COOLDOWN,
    OVERLOADED,
    REFUSED_KEY,
    SERVER_ERROR,
    TELL,
    Rule,
    Step,
    after_error,
    after_fault,
    after_status,
    cooldown,
    is_too_long,
    retry_after,
)

CODECS = {codec.name: codec for codec in codecs()}


@pytest.mark.parametrize(
    ("status", "step"),
    [
        *((status, Step.TELL) for status in (400, 404, 405, 410, 413, 415, 422)),
        *((status, Step.NEXT_KEY) for status in (401, 402, 403, 429)),
        *((status, Step.NEXT_TARGET) for status in (302, 408, 409, 500, 502, 503, 504, 529)),
    ],
)
def test_after_a_status(status: int, step: Step) -> None:
    assert after_status(status).step is step


def openai(message: str, code: str | None = None, type_: str = "invalid_request_error") -> bytes:
    code_text = f'"{code}"' if code else "null"
    return f'{{"error":{{"message":"{message}","type":"{type_}","code":{code_text}}}}}'.encode()


def anthropic(type_: str, message: str) -> bytes:
    return f'{{"type":"error","error":{{"type":"{type_}","message":"{message}"}}}}'.encode()


def gemini(code: int, status: str, message: str) -> bytes:
    return f'{{"error":{{"code":{code},"status":"{status}","message":"{message}"}}}}'.encode()


@pytest.mark.parametrize(
    ("protocol", "status", "body", "rule"),
    [
        # the client's own making
        ("openai", 400, openai("Unknown parameter: 'x'"), TELL),
        ("openai", 404, openai("The model `x` does not exist", "model_not_found"), TELL),
        ("openai", 400, openai("too many tokens", "context_length_exceeded"), TELL),
        ("openai", 403, openai("Your input was flagged by moderation"), TELL),
        ("anthropic", 400, anthropic("invalid_request_error", "max_tokens: required"), TELL),
        ("anthropic", 413, anthropic("request_too_large", "too large"), TELL),
        ("gemini", 400, gemini(400, "INVALID_ARGUMENT", "bad schema"), TELL),
        # an empty account, whatever the status
        ("openai", 429, openai("You exceeded your current quota", "insufficient_quota"), EMPTY_ACCOUNT),
        ("openai", 400, openai("no", "insufficient_quota"), EMPTY_ACCOUNT),
        ("openai", 403, openai("no", "billing_not_active"), EMPTY_ACCOUNT),
        (
            "openai",
            400,
            openai("Billing hard limit has been reached", "billing_hard_limit_reached"),
            EMPTY_ACCOUNT,
        ),
        ("openai", 402, openai("Insufficient Balance"), EMPTY_ACCOUNT),
        ("openai", 402, b"", EMPTY_ACCOUNT),
        (
            "anthropic",
            400,
            anthropic("invalid_request_error", "Your credit balance is too low"),
            EMPTY_ACCOUNT,
        ),
        ("anthropic", 400, anthropic("invalid_request_error", "Monthly spend limit reached"), EMPTY_ACCOUNT),
        ("anthropic", 403, anthropic("billing_error", "no"), EMPTY_ACCOUNT),
        # a key that is refused
        ("openai", 401, openai("Incorrect API key", "invalid_api_key"), REFUSED_KEY),
        ("anthropic", 403, anthropic("permission_error", "no"), REFUSED_KEY),
        (
            "gemini",
            400,
            b'{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"no",'
            b'"details":[{"reason":"API_KEY_INVALID"}]}}',
            REFUSED_KEY,
        ),
        # a key at its limit
        ("openai", 429, openai("Rate limit reached", "rate_limit_exceeded"), BUSY_KEY),
        ("openai", 429, b"<html>slow down</html>", BUSY_KEY),
        ("anthropic", 429, anthropic("rate_limit_error", "no"), BUSY_KEY),
        ("gemini", 429, gemini(429, "RESOURCE_EXHAUSTED", "no"), BUSY_KEY),
        ("gemini", 403, gemini(403, "RESOURCE_EXHAUSTED", "no"), BUSY_KEY),
        ("ollama", 429, b'{"error":"no"}', BUSY_KEY),
        # a target that has too much to do
        ("anthropic", 529, anthropic("overloaded_error", "Overloaded"), OVERLOADED),
        ("anthropic", 500, anthropic("overloaded_error", "Overloaded"), OVERLOADED),
        ("openai", 503, openai("busy", None, "server_error"), OVERLOADED),
        ("openai", 400, openai("busy", "engine_overloaded_error"), OVERLOADED),
        ("gemini", 503, gemini(503, "UNAVAILABLE", "The model is overloaded"), OVERLOADED),
        # a target that is broken
        ("openai", 500, openai("oops", None, "server_error"), SERVER_ERROR),
        ("anthropic", 500, anthropic("api_error", "oops"), SERVER_ERROR),
        ("openai", 502, b"<html>Bad gateway</html>", SERVER_ERROR),
        ("openai", 408, b"", SERVER_ERROR),
    ],
)
def test_after_an_error(protocol: str, status: int, body: bytes, rule: Rule) -> None:
    assert after_error(CODECS[protocol].decode_error(status, {}, body)) == rule


@pytest.mark.parametrize(
    ("protocol", "status", "body", "too_long"),
    [
        ("openai", 400, openai("x", "context_length_exceeded"), True),
        ("openai", 400, openai("This model's maximum context length is 128000 tokens."), True),
        (
            "anthropic",
            400,
            anthropic("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"),
            True,
        ),
        (
            "gemini",
            400,
            gemini(400, "INVALID_ARGUMENT", "The input token count (2) exceeds the maximum"),
            True,
        ),
        ("openai", 400, openai("the request exceeds the available context size"), True),
        ("openai", 400, openai("Unknown parameter: 'x'"), False),
        ("openai", 400, openai("max_tokens is too large: 9999999"), False),
        ("openai", 500, openai("This model's maximum context length is 128000 tokens."), False),
        ("anthropic", 413, anthropic("request_too_large", "Request exceeds the maximum size"), False),
    ],
)
def test_too_long_for_the_context_window(protocol: str, status: int, body: bytes, too_long: bool) -> None:
    assert is_too_long(CODECS[protocol].decode_error(status, {}, body)) is too_long


def test_every_fault_has_a_rule_and_an_error() -> None:
    assert FAULT_RULES.keys() == FAULT_ERRORS.keys()
    moving = {fault for fault in FAULT_RULES if after_fault(fault).step is Step.NEXT_TARGET}
    assert set(FAULT_RULES) - moving == {"total_timeout"}


@pytest.mark.parametrize(
    ("rule", "asked", "expected"),
    [
        (BUSY_KEY, 33.0, (33.0, 33.0)),
        (BUSY_KEY, 0.0, (0.0, 0.0)),
        (BUSY_KEY, 1e9, (LONGEST_COOLDOWN, LONGEST_COOLDOWN)),
        (BUSY_KEY, None, (5.0, 60.0)),
        (SERVER_ERROR, None, (1.0, 30.0)),
        (TELL, 33.0, (0.0, 0.0)),
    ],
)
def test_cooldowns(rule: Rule, asked: float | None, expected: tuple[float, float]) -> None:
    assert cooldown(rule, asked) == expected


NOON = 1_792_584_000.0  # Wed, 21 Oct 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "Wed, 21 Oct 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Wednesday, 21-Oct-26 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 99 Oct 2026 11:00:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e99"}, None),
    ],
)
def test_what_an_answer_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOON) == seconds


def test_geminis_own_delay_counts_without_a_header() -> None:
    body = (
        b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"no","details":'
        b'[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17s"}]}}'
    )
    assert CODECS["gemini"].decode_error(429, {}, body).retry_after == 17.0


def test_an_error_without_a_message_is_judged_by_its_status() -> None:
    assert after_error(ChatError("upstream", "", 500)) is SERVER_ERROR
