"""`hub check` and `hub install`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from hub.cli.install import IDES
from tests.hub.cli.conftest import Cli

CONFIGS = Path(__file__).parents[3] / "configs"


def test_right_settings_are_summed_up(cli: Cli) -> None:
    cli.write({"groups": {"a": {"model": "m", "provider": "ollama"}}})
    outcome = cli("check")
    assert outcome.status == 0
    assert outcome.out.strip().endswith(
        "hub.yaml is right: 0 providers, 1 group, 0 MCP servers, 0 profiles, 0 keys"
    )


BROKEN = "groups:\n  a: {model: m, provider: nobody}\nservr: {}\nmcpServers:\n  b: {}\n"


def test_every_problem_has_its_line(cli: Cli) -> None:
    (cli.folder / "hub.yaml").write_text(BROKEN)
    outcome = cli("check", "--config", "hub.yaml")
    assert outcome.status == 1
    assert {line.split(": ")[0] for line in outcome.out.splitlines()} == {
        "hub.yaml:2",
        "hub.yaml:3",
        "hub.yaml:5",
    }
    assert "server" in outcome.out, "the nearest known key"
    assert outcome.error() == "3 problems in hub.yaml"


def test_problems_as_json(cli: Cli) -> None:
    (cli.folder / "hub.yaml").write_text(BROKEN)
    outcome = cli("check", "--config", "hub.yaml", "--json")
    assert (outcome.status, outcome.err) == (1, "")
    assert [problem["line"] for problem in outcome.json["problems"]] == [2, 3, 5]


def test_an_embedded_model_has_one_protocol(cli: Cli) -> None:
    cli.write({"providers": {"local": {"protocol": "anthropic", "embedded": {}}}})
    outcome = cli("check")
    assert outcome.status == 1
    assert "an embedded model speaks `openai`" in outcome.out


@pytest.mark.parametrize("name", ["absent.yaml", "home"])
def test_a_file_that_cannot_be_read(cli: Cli, name: str) -> None:
    outcome = cli("check", "--config", name)
    assert outcome.status == 1
    assert name in outcome.out


def test_without_a_file(cli: Cli) -> None:
    outcome = cli("check")
    assert outcome.status == 0
    assert "no settings file" in outcome.out


def test_the_quickstart_is_right(cli: Cli) -> None:
    outcome = cli("check", "--config", str(CONFIGS / "quickstart.yaml"), "--json")
    assert outcome.status == 0
    assert outcome.json["problems"] == []
    assert outcome.json["MCP server"] == 3


@pytest.mark.parametrize("ide", IDES)
@pytest.mark.parametrize("key", [None, "hub-secret"])
def test_lines_for_an_ide(cli: Cli, ide: str, key: str | None) -> None:
    if key is not None:
        cli.extra["HUB_KEY"] = key
    outcome = cli("install", ide, "--port", "8080", "--profile", "narrow")
    assert (outcome.status, outcome.err) == (0, "")
    assert "hub-secret" not in outcome.out
    block = "\n".join(line for line in outcome.out.splitlines() if not line.startswith("#"))
    parsed = tomllib.loads(block) if ide == "codex" else json.loads(block)
    text = json.dumps(parsed)
    if ide == "claude-desktop":
        assert parsed["mcpServers"]["hub"]["args"] == ["connect", "narrow", "--url", "http://127.0.0.1:8080"]
    else:
        assert "http://127.0.0.1:8080/mcp/narrow" in text
    assert ("KEY" in text) is (key is not None)


def test_an_unknown_ide(cli: Cli) -> None:
    outcome = cli("install", "cursr")
    assert outcome.status == 1
    assert outcome.error() == 'unknown IDE "cursr"; did you mean cursor?'
