"""`hub check`."""

from __future__ import annotations

from pathlib import Path

import pytest

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
