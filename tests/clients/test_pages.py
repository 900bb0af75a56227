"""The pages show the lines by which the suite runs the clients, and the table is that of the findings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.cli.run import run
from hub.ide.programs import PROGRAMS
from tests.clients.clients import CLIENTS
from tests.clients.install import VERSIONS
from tests.clients.recipes import GROUP, HUB, PAGES, RECIPES, Recipe
from tests.clients.results import FEATURES, IN_SESSION
from tests.clients.table import ALONE, PAGE, read, render


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: f"{one.page}-{one.file or 'shell'}")
def test_the_page_has_the_lines_of_the_suite(recipe: Recipe) -> None:
    text = (PAGES / f"{recipe.page}.md").read_text()
    assert f"\n{recipe.text}```\n" in text
    if recipe.file:
        assert f"~/{recipe.file}" in text


def test_every_recipe_is_run() -> None:
    used = {id(recipe) for client in CLIENTS for recipe in (client.models, client.tools)}
    assert used == {id(recipe) for recipe in RECIPES}


def test_a_recipe_leads_to_another_hub_and_group() -> None:
    for recipe in RECIPES:
        text = recipe.at("http://127.0.0.1:5", "best")
        assert HUB not in text
        assert "http://127.0.0.1:5/mcp" in text or "http://127.0.0.1:5/best" in text
        assert f"/{GROUP}/" not in text


@pytest.mark.parametrize("client", ["cursor", "vscode", "zed", "cline"])
def test_the_page_has_what_install_writes(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("HUB_KEY", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(["install", client]) == 0
    written = PROGRAMS[client].file(None).read_text()
    assert written.strip() in (PAGES / f"{client}.md").read_text()


def test_the_table_is_that_of_the_findings() -> None:
    assert PAGE.read_text() == render(read())


def test_a_finding_for_every_client_and_of_its_version() -> None:
    findings = read()
    assert {client.name for client in CLIENTS} <= {finding.client for finding in findings}
    for finding in findings:
        assert finding.version == VERSIONS[finding.package], (
            "run `make test-clients` after a change of versions"
        )
        assert finding.reason is None or not re.search(r"/(tmp|home|root)/", finding.reason)
        assert finding.feature in {**FEATURES, **IN_SESSION} or finding.target in ALONE


def test_every_page_of_a_client_is_linked() -> None:
    links = set(re.findall(r"\]\(clients/([\w-]+)\.md\)", PAGE.read_text()))
    assert links == {path.stem for path in Path(PAGES).glob("*.md")}
