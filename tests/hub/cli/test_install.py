"""`hub install` and `hub uninstall` on files as the programs and their users write them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from hub.ide import jsonc
from hub.ide.programs import NAME, PROGRAMS
from tests.hub.cli.conftest import Place

WRITTEN = {
    "cursor": '{\n  "mcpServers": {\n    "docs": { "url": "https://docs.example/mcp" }\n  }\n}\n',
    "vscode": (
        '// servers of the team\n{\n\t"inputs": [ /* none */ ],\n\t"servers": {\n'
        '\t\t"git": {"command": "uvx", "args": ["mcp-server-git"]}, // trailing comma next\n\t},\n}\n'
    ),
    "claude-code": '{"numStartups": 12, "projects": {"/p": {"mcpServers": {}}}, "mcpServers": {}}',
    "claude-desktop": '{\r\n    "globalShortcut": "",\r\n    "mcpServers": {}\r\n}',
    "gemini-cli": '{\n  // theme\n  "ui": {"theme": "Ayu"},\n  "mcpServers": {"old": {"command": "x"}}\n}',
    "codex": '# mine\nmodel = "m"   # keep\n\n[mcp_servers.a]\ncommand = "a"\n\n[tui]\nanimations = true\n',
    "opencode": '{\n  "$schema": "https://opencode.ai/config.json",\n  "theme": "nord"\n}\n',
    "windsurf": "{}",
    "zed": '// Zed settings\n//\n// For help see the documentation\n{\n  "vim_mode": true,\n}\n',
    "cline": '{\n  "mcpServers": {\n    "a": {"disabled": true},\n\n    // "b": {},\n  }\n}\n',
    "copilot-cli": "",
    "qwen-code": '\ufeff{"mcpServers": {"hub": {"httpUrl": "http://old/mcp"}}, "x": "\\u00e4 ä"}',
}


def data(ide: str, path: Path) -> dict[str, object]:
    text = path.read_text()
    found = tomllib.loads(text) if PROGRAMS[ide].format == "toml" else jsonc.load(text)
    for key in PROGRAMS[ide].section:
        found = found[key]
    assert isinstance(found, dict)
    return found


def write(ide: str) -> tuple[Path, bytes]:
    path = PROGRAMS[ide].file(None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(WRITTEN[ide].encode())
    return path, path.read_bytes()


@pytest.mark.parametrize("key", [None, "hub-secret-key"])
@pytest.mark.parametrize("ide", PROGRAMS)
def test_there_and_back_byte_for_byte(place: Place, ide: str, key: str | None) -> None:
    if key is not None:
        place.has_key(key)
    path, before = write(ide)
    others = {name: value for name, value in _servers(ide, path).items() if name != NAME}
    installed = place("install", ide, "--port", "8080", "--profile", "narrow")
    assert installed.status == 0, installed.err
    entry = data(ide, path)[NAME]
    assert "127.0.0.1:8080" in json.dumps(entry)
    assert "narrow" in json.dumps(entry)
    assert (key is not None) == any(word in json.dumps(entry) for word in ("HUB_KEY", "hub-secret-key"))
    assert ("hub-secret-key" in path.read_text()) == (key is not None and PROGRAMS[ide].key_in_file)
    assert "hub-secret-key" not in installed.out + installed.err
    assert others.items() <= data(ide, path).items()
    for comment in (
        "// servers of the team",
        "# mine",
        "// theme",
        "/* none */",
        "// trailing",
        '// "b": {},',
    ):
        assert (comment in before.decode()) == (comment in path.read_text())

    removed = place("uninstall", ide)
    assert removed.status == 0, removed.err
    assert path.read_bytes() == before


def _servers(ide: str, path: Path) -> dict[str, object]:
    try:
        return data(ide, path)
    except KeyError:
        return {}


@pytest.mark.parametrize("ide", PROGRAMS)
def test_no_file_before_no_file_after(place: Place, ide: str) -> None:
    path = PROGRAMS[ide].file(None)
    assert place("install", ide).status == 0
    assert NAME in data(ide, path)
    assert place("uninstall", ide).status == 0
    assert not path.exists()


@pytest.mark.parametrize("ide", PROGRAMS)
def test_a_file_that_changed_meanwhile_loses_the_entry_alone(place: Place, ide: str) -> None:
    path, _ = write(ide)
    assert place("install", ide).status == 0
    mine = "\n# mine\n" if PROGRAMS[ide].format == "toml" else "\n// mine\n"
    path.write_text(path.read_text() + mine)
    assert place("uninstall", ide).status == 0
    assert NAME not in data(ide, path)
    assert path.read_text().endswith(mine)


def test_installing_again_with_another_profile_still_leads_back(place: Place) -> None:
    path, before = write("vscode")
    assert place("install", "vscode").status == 0
    once = path.read_bytes()
    assert "nothing to change" in place("install", "vscode").err
    assert place("install", "vscode", "--profile", "narrow").status == 0
    assert path.read_bytes() == once.replace(b'/mcp"', b'/mcp/narrow"')
    assert place("uninstall", "vscode").status == 0
    assert path.read_bytes() == before
    assert "nothing to change" in place("uninstall", "vscode").err


def test_a_dry_run_shows_the_change_and_makes_none(place: Place) -> None:
    path, before = write("cursor")
    outcome = place("install", "cursor", "--dry-run")
    assert outcome.status == 0
    assert '+    "hub": {' in outcome.out
    assert path.read_bytes() == before


def test_a_project_has_a_file_of_its_own(place: Place) -> None:
    assert place("install", "claude-code", "--project").status == 0
    assert (place.folder / ".mcp.json").is_file()
    assert not PROGRAMS["claude-code"].file(None).exists()
    assert place("uninstall", "claude-code", "--project").status == 0
    assert not (place.folder / ".mcp.json").exists()


@pytest.mark.parametrize(
    ("ide", "text", "said"),
    [
        ("cursor", '{"mcpServers": ', "line 1"),
        ("cursor", '{"mcpServers": []}', "`mcpServers` is not an object"),
        ("codex", "[mcp_servers", "not readable as TOML"),
        ("codex", "mcp_servers = 3", "not a table"),
    ],
)
def test_a_file_that_is_not_understood_stays(place: Place, ide: str, text: str, said: str) -> None:
    path = PROGRAMS[ide].file(None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    outcome = place("install", ide)
    assert outcome.status == 1
    assert said in outcome.error()
    assert path.read_text() == text


def test_a_link_stays_a_link(place: Place) -> None:
    path = PROGRAMS["cursor"].file(None)
    path.parent.mkdir(parents=True, exist_ok=True)
    real = place.folder / "dotfiles.json"
    real.write_text("{}")
    path.symlink_to(real)
    assert place("install", "cursor").status == 0
    assert path.is_symlink()
    assert "hub" in real.read_text()
    assert place("uninstall", "cursor").status == 0
    assert (path.is_symlink(), real.read_text()) == (True, "{}")


def test_an_unknown_ide(place: Place) -> None:
    outcome = place("install", "cursr")
    assert outcome.status == 1
    assert outcome.error() == 'unknown IDE "cursr"; did you mean cursor?'


def test_a_program_without_settings_of_a_project(place: Place) -> None:
    outcome = place("install", "windsurf", "--project")
    assert outcome.status == 2
    assert "leave out --project" in outcome.error()


def test_a_projects_file_gets_no_key(place: Place) -> None:
    place.has_key("hub-secret-key")
    outcome = place("install", "zed", "--project")
    assert outcome.status == 1
    assert "leave out --project" in outcome.error()
