"""What the pages show can be typed as it stands: settings load, commands parse, tables are complete."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.cli.commands import COMMANDS
from hub.cli.run import build_app
from hub.settings import Settings, load_settings
from hub.settings.groups import Parameters
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.snapshot import build_table, embedded_providers
from tests.hub.settings.test_examples import dummy_environment

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/clients").glob("*.md")),
]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
OPTIONS_BEFORE = {"--help", "--version", "--install-completion"}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Where each fenced block of a language begins, and its text."""
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{page.relative_to(ROOT)}:{line}", match[1]


def typed(text: str) -> str:
    """A block that shows answers, too, has its commands behind `$ `."""
    lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
    return "\n".join(lines) if lines else text


SETTINGS = {
    place: text
    for place, text in blocks("yaml")
    if not place.startswith("docs/custom-protocols.md")  # needs what that page installs; it has its own test
}
CONSOLE = {place: typed(text) for place, text in blocks("console")}


@pytest.mark.parametrize("place", SETTINGS)
def test_settings_load(place: str, tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text(SETTINGS[place])
    loaded = load_settings(path, environ=dummy_environment(SETTINGS[place]))
    running = dict.fromkeys(embedded_providers(loaded.settings), "http://127.0.0.1:1/v1")
    build_table(loaded.settings, loaded.environ, embedded=running)


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `hub …` in lines for a shell."""
    lexer = shlex.shlex(text.replace("\\\n", " ").replace("\n", ";"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word and set(word) <= set("();<>|&"):
            if words and Path(words[0]).name == "hub":
                yield words[1:]
            words = []
        else:
            words.append(word)


@pytest.mark.parametrize("place", CONSOLE)
def test_commands_are_known_with_their_options(place: str) -> None:
    app, names = build_app(), {command.name for command in COMMANDS}
    for arguments in commands(CONSOLE[place]):
        if arguments[0] in OPTIONS_BEFORE:
            continue
        assert arguments[0] in names
        app.parse_args(arguments, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("place", CONSOLE)
def test_targets_of_make_are_known(place: str) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wanted = re.findall(r"\bmake ([a-z-]+)", re.sub(r"(?m)^\s*#.*$", "", CONSOLE[place]))
    assert set(wanted) <= known


def test_there_is_something_to_try() -> None:
    assert len(SETTINGS) > 10
    assert sum(len(list(commands(text))) for text in CONSOLE.values()) > 10
    assert list(commands("a | x/hub b 'c d' --e && hub f; echo hub")) == [["b", "c d", "--e"], ["f"]]


def test_every_built_in_provider_has_its_row() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \| ([^|]+) \| `([^|]+)` \|$", CONFIGURATION, re.MULTILINE)
    told = {
        name: (set(re.findall(r"[A-Z_]+_KEY", keys)), protocol, url)
        for names, keys, protocol, url in rows
        for name in re.findall(r"`([^`]+)`", names)
    }
    assert told == {
        name: (set(known.key_variables), known.protocol, known.base_url)
        for name, known in KNOWN_PROVIDERS.items()
    }


def test_every_section_and_parameter_is_told() -> None:
    sections = {field.alias or name for name, field in Settings.model_fields.items()}
    for name in (*sections, *Parameters.model_fields):
        assert re.search(rf"\b{name}\b", CONFIGURATION), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, heading in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text()):
        path = (page.parent / target) if target else page
        assert path.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}
