"""A provider's proxy and TLS in the settings: what is refused, and that no password is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.settings import SettingsError, load_settings
from hub.snapshot import build_table
from routing.table import PLAIN_TLS, Provider


def provider(folder: Path, **more: Any) -> Provider:
    file = folder / "hub.yaml"
    up = {"protocol": "openai", "base_url": "https://llm.example.com/v1", "api_key": "k", **more}
    file.write_text(json.dumps({"providers": {"up": up}, "groups": {"g": {"provider": "up", "model": "m"}}}))
    loaded = load_settings(file, environ={})
    return build_table(loaded.settings, loaded.environ).groups["g"].targets[0].provider


def test_neither(tmp_path: Path) -> None:
    found = provider(tmp_path)
    assert found.proxy is None
    assert found.tls is PLAIN_TLS


def test_a_proxy(tmp_path: Path) -> None:
    found = provider(tmp_path, proxy="http://me:secret-word@proxy.example.com:3128")
    assert found.proxy == "http://me:secret-word@proxy.example.com:3128"
    assert "secret-word" not in repr(found)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("socks5://me:secret-word@proxy.example.com:1080", "speak socks5 are not supported"),
        ("https://me:secret-word@proxy.example.com", "speak https are not supported"),
        ("me:secret-word@proxy.example.com:3128", "must be the URL of a proxy"),
        ("http://me:secret-word@:3128", "must be the URL of a proxy"),
        ("http://proxy.example.com:secret-word", "must be the URL of a proxy"),
    ],
)
def test_no_proxy(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        provider(tmp_path, proxy=url)
    (problem,) = caught.value.problems
    assert problem.where == "providers.up.proxy"
    assert says in problem.message
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("option", ["ca_file", "certificate"])
def test_a_file_that_cannot_be_used(tmp_path: Path, option: str) -> None:
    page = tmp_path / "page.pem"
    page.write_text("<html>")
    with pytest.raises(SettingsError) as caught:
        provider(tmp_path, tls={option: str(page)})
    (problem,) = caught.value.problems
    assert problem.where == f"providers.up.tls.{option}"
    assert str(page) in problem.message
