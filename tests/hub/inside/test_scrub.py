"""Masking: what is a secret, wherever it stands, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from hub.scrub import Scrubber, scrubber_of, secrets_of
from hub.settings import load_settings

KNOWN_KINDS = [
    "sk-proj-0123456789abcdefABCDEF",
    "sk-ant-api03-0123456789abcdef_-0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "AIza0123456789abcdefghijklmnopqrstuvwxy",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "github_pat_0123456789abcdefghij_0123",
    "glpat-0123456789abcdefghij",
    "xoxb-0123456789-abcdefghij",
    "hf_0123456789abcdefghijABCDEFGH",
    "gsk_0123456789abcdefghijABCDEFGH",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\nMIIEow\\nand it was cut here",
    "hub_0123456789abcdefghijklmnopqrstuvwxyz0123456",
]
HARMLESS = [
    "ask-me-anything-about-this-long-thing", "risk-assessment-of-the-whole", "the bearer of news", "https://example.com:8080/a@b",
    "basic things", "AKIA is the beginning", "eyJ", "http://127.0.0.1:11434/v1", "hub_echo", "x-request-id",
]  # fmt: skip


@pytest.mark.parametrize("secret", KNOWN_KINDS)
def test_keys_of_known_kinds_are_masked(secret: str) -> None:
    text = f'{{"content": "before {secret}"}}' if "cut" not in secret else f"before {secret}"
    masked = Scrubber().text(text)
    assert "***" in masked
    assert "before" in masked
    for part in (secret, secret[8:24]):
        assert part not in masked


@pytest.mark.parametrize("text", HARMLESS)
def test_words_that_look_a_little_like_it_stay(text: str) -> None:
    assert Scrubber().text(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("authorization: Bearer abcdefgh12", "authorization: Bearer ***"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("http://user:pass-word@host/x", "http://***@host/x"),
        ("postgresql://me:pw@host/db", "postgresql://***@host/db"),
    ],
)
def test_credentials_are_masked_where_they_stand(text: str, masked: str) -> None:
    assert Scrubber().text(text) == masked


def test_a_secret_is_found_in_all_its_forms() -> None:
    secret = 'pass"word/+ä'
    scrubber = Scrubber([secret])
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        assert scrubber.text(f"<{form}>") == "<***>"


def test_headers_and_queries_are_masked_by_their_names() -> None:
    scrubber = Scrubber()
    headers = {
        "authorization": "x", "X-Api-Key": "x", "cookie": "x", "x-my-token": "x", "x-amz-signature": "x",
        "content-type": "y", "x-ratelimit-limit-tokens": "y", "anthropic-version": "y", "x-tokenizer": "y",
    }  # fmt: skip
    assert set(headers.values()) == {"x", "y"}
    expected = {name: "***" if value == "x" else "y" for name, value in headers.items()}
    assert scrubber.headers(headers) == expected
    assert scrubber.url("https://h/p?key=abc&api-version=1&access_token=z") == (
        "https://h/p?key=***&api-version=1&access_token=***"
    )


def test_every_secret_of_the_settings_is_known(tmp_path: Path) -> None:
    document = {
        "providers": {
            "a": {
                "protocol": "openai", "base_url": "http://h/v1", "api_keys": ["s-provider-1", "s-provider-2"],
                "headers": {"x-a": "s-header", "anthropic-version": "2023-06-01"}, "proxy": "http://u:s-proxy@h:1",
            }
        },
        "mcpServers": {
            "b": {"command": "x", "args": ["--token=s-argument", "--api-key", "s-next", "plain", "/a/b"],
                  "env": {"A_TOKEN": "s-variable", "MODE": "production"}},
            "c": {"url": "http://h/?k=s-query-1", "headers": {"Authorization": "Bearer s-tool-header"}},
        },
        "keys": {"me": "s-hub-key"},
        "telemetry": {"headers": {"x": "s-collector"}},
    }  # fmt: skip
    file = tmp_path / "hub.yaml"
    file.write_text(json.dumps(document))
    loaded = load_settings(file, environ={"OPENAI_API_KEY": "s-environment"})
    found = set(secrets_of(loaded))
    planted = {
        "s-provider-1", "s-provider-2", "s-header", "s-proxy", "s-argument", "s-next", "s-variable",
        "s-query-1", "s-tool-header", "s-hub-key", "s-collector", "s-environment",
    }  # fmt: skip
    assert planted <= found
    assert not {"production", "plain", "/a/b", "2023-06-01"} & found
    assert scrubber_of(loaded).text("a s-variable b") == "a *** b"
