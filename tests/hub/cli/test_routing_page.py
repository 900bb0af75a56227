"""docs/routing.md shows what is printed, and configs/smart-routing.yaml does what its comments say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hub.settings import load_settings
from hub.snapshot import build_table
from routing.explain import explain
from tests.hub.cli.conftest import Cli
from tests.hub.settings.test_examples import dummy_environment
from tests.routing.requests import call, chat

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "routing.md").read_text()
FILE = ROOT / "configs" / "smart-routing.yaml"
SESSION = {"x-claude-code-session-id": "a"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def page(cli: Cli) -> Cli:
    """The folder of the page's examples."""
    (cli.folder / "hub.yaml").write_text(blocks("yaml")[0])
    (cli.folder / "request.json").write_text(blocks("json")[0])
    return cli


def test_the_page_shows_what_is_printed(page: Cli) -> None:
    command, printed = blocks("console")[0].split("\n", 1)
    outcome = page(*command.removeprefix("$ hub ").split())
    assert outcome.out == printed


def test_the_rules_before_are_told_and_secrets_are_not(page: Cli) -> None:
    settings = blocks("yaml")[0].replace(
        "model: claude-sonnet-5", "model: m\n    headers: {x-key: sk-planted-1}"
    )
    (page.folder / "hub.yaml").write_text(settings)
    body = chat("anthropic", "word " * 130_000, tools=["Read", "WebFetch"])
    (page.folder / "request.json").write_text(json.dumps(body))
    found = page("explain", "code", "request.json", "--json").json
    assert [(each["rule"], each["holds"]) for each in found["rules"]] == [("helpers", False), ("long", True)]
    assert found["target_reason"] == "rule long of `code` uses the group `long`"
    assert found["changes"] == [
        "the system prompt ends with `Answer briefly.`",
        "tools are taken out: WebFetch",
    ]
    assert found["then"] == ["claude/m"]
    plain = page("explain", "code", "request.json", "--from", "anthropic", "--diff")
    assert "sk-planted-1" not in json.dumps(found) + plain.out + plain.err
    (page.folder / "request.json").write_text(json.dumps(chat("anthropic", tools=["Read"])))
    plain = page("explain", "code", "request.json", "--from", "anthropic")
    assert "x-key: ***" in plain.out
    assert "change  headers are added: x-key" in plain.out
    assert "sk-planted-1" not in plain.out + plain.err


@pytest.mark.parametrize(
    ("body", "headers", "rule", "target"),
    [
        (chat("anthropic", tools=["Read"]), SESSION, None, "anthropic/claude-sonnet-5-5"),
        (chat("anthropic", "Title?"), SESSION, "helpers", "ollama/qwen3:8b"),
        (chat("anthropic", model="claude-haiku-4-5", tools=["Read"]), SESSION, "helpers", "ollama/qwen3:8b"),
        (
            chat("anthropic", "<hub-route>cheap</hub-route>Go", tools=["Read"]),
            {},
            "marked",
            "ollama/qwen3:8b",
        ),
        (
            chat("anthropic", "word " * 130_000, tools=["Read"]),
            SESSION,
            "long",
            "openrouter/google/gemini-2.5-pro",
        ),
        (chat("anthropic", image=True), {}, "pictures", "openrouter/google/gemini-2.5-flash"),
        (chat("openai", image=True), {}, "pictures", "openrouter/google/gemini-2.5-flash"),
        (chat("anthropic", effort="max", tools=["Read"]), {}, "hard thinking", "anthropic/claude-opus-5-5"),
        (
            chat("anthropic", effort="max", tools=["Read"]),
            {"x-claude-code-agent-id": "a", "x-claude-code-agent-type": "Explore"},
            "explorers",
            "openrouter/moonshotai/kimi-k2",
        ),
        (
            chat("anthropic") | {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            SESSION,
            "web search",
            "anthropic/claude-haiku-4-5",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_example_file_sends_each_where_it_says(
    body: dict[str, Any], headers: dict[str, str], rule: str | None, target: str
) -> None:
    loaded = load_settings(FILE, environ=dummy_environment(FILE.read_text()))
    table = build_table(loaded.settings, loaded.environ)
    protocol = "anthropic" if "max_tokens" in body else "openai"
    found = explain(table, call(protocol, body, headers))
    assert next((each.rule for each in found.rules if each.holds), None) == rule
    assert found.target == target
