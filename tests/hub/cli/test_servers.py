"""`hub add`, `hub remove` and `hub import`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hub.settings import load_settings
from tests.hub.cli.conftest import Place

SETTINGS = "# mine\nmcpServers:\n  docs: {url: 'https://docs.example/mcp'}  # ours\n"


@pytest.fixture
def settings(place: Place) -> Path:
    path = place.folder / "hub.yaml"
    path.write_text(SETTINGS)
    return path


def test_a_command_and_a_url_are_added(place: Place, settings: Path) -> None:
    added = place(
        "add", "time", "--env", "ZONE=UTC", "--", "uvx", "mcp-server-time", "--local-timezone", "UTC"
    )
    assert added.status == 0, added.err
    assert "+  time: {" in added.out
    assert place("add", "web", "https://web.example/mcp", "--header", "X-Team: a b").status == 0
    assert settings.read_text().startswith(SETTINGS)
    servers = load_settings(settings).settings.mcp_servers
    assert list(servers) == ["docs", "time", "web"]
    assert (servers["time"].command, servers["time"].args) == (
        "uvx",
        ("mcp-server-time", "--local-timezone", "UTC"),
    )
    assert servers["time"].env["ZONE"].get_secret_value() == "UTC"
    assert servers["web"].headers["X-Team"].get_secret_value() == "a b"
    for name in ("time", "web"):
        assert place("remove", name).status == 0
    assert settings.read_text() == SETTINGS


def test_without_settings_a_file_comes_to_be(place: Place) -> None:
    outcome = place("add", "time", "--", "uvx", "mcp-server-time")
    assert outcome.status == 0
    assert "is new" in outcome.err
    (path,) = place.folder.rglob("hub.yaml")
    assert "time" in load_settings(path).settings.mcp_servers


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("add", "docs", "https://x/mcp"), 1, "`docs` is there already"),
        (("add", "a b", "https://x/mcp"), 1, "cannot begin a tool's name"),
        (("add", "x"), 2, "give the server's URL"),
        (("add", "x", "https://x/mcp", "more"), 2, "a URL stands alone"),
        (("add", "x", "https://x/mcp", "--env", "A=b"), 2, "--env is for a command"),
        (("add", "x", "--sse", "--", "uvx"), 2, "for a URL"),
        (("add", "x", "--env", "A", "--", "uvx"), 2, "NAME=VALUE"),
        (("add", "x", "--", "${NOT_SET_ANYWHERE}"), 1, "NOT_SET_ANYWHERE"),
        (("remove", "dosc"), 1, "did you mean docs?"),
        (("import", "cursr"), 1, "did you mean cursor?"),
    ],
)
def test_what_is_wrong_changes_nothing(
    place: Place, settings: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    outcome = place(*arguments)
    assert outcome.status == status
    assert said in outcome.error()
    assert settings.read_text() == SETTINGS
    assert [each.name for each in place.folder.iterdir() if each.name.endswith(".draft")] == []


CURSOR = {
    "mcpServers": {
        "github": {
            "command": "npx",
            "args": ["-y", "gh"],
            "env": {"GITHUB_TOKEN": "ghp_" + "a" * 30, "MODE": "ro"},
        },
        "docs again": {"url": "https://docs.example/mcp/"},
        "hub": {"url": "http://127.0.0.1:11434/mcp"},
    }
}
VSCODE = """{
  // of the team
  "inputs": [{"id": "api-key", "type": "promptString"}],
  "servers": {
    "gh": {"type": "stdio", "command": "npx", "args": ["-y", "gh"]},
    "web": {"url": "https://w.io/mcp", "headers": {"Authorization": "Bearer ${input:api-key}"}},
  },
}"""
CODEX = '[mcp_servers.search]\nurl = "https://search.example/mcp"\nhttp_headers = { x = "y" }\n'
GEMINI = {
    "mcpServers": {
        "notes": {
            "httpUrl": "https://n.example/mcp",
            "headers": {"Authorization": "Bearer abcdef", "X-Zone": "$ZONE"},
        }
    }
}


@pytest.fixture
def ides(place: Place) -> None:
    home = Path(os.environ["HOME"])
    for name, text in (
        (".cursor/mcp.json", json.dumps(CURSOR)),
        (".config/Code/User/mcp.json", VSCODE),
        (".codex/config.toml", CODEX),
        (".gemini/settings.json", json.dumps(GEMINI)),
    ):
        path = home / name
        path.parent.mkdir(parents=True)
        path.write_text(text)


def test_the_servers_of_all_ides_come_once_and_their_secrets_go_into_env(
    place: Place, settings: Path, ides: None
) -> None:
    (place.folder / ".env").write_text("NOTES_AUTHORIZATION=of-another\nAPI_KEY=asked\nZONE=eu")
    outcome = place("import", "cursor", "vscode", "codex", "gemini-cli")
    assert outcome.status == 0, outcome.err
    text = settings.read_text()
    assert text.startswith(SETTINGS)
    for secret in ("ghp_", "abcdef"):
        assert secret not in text + outcome.out + outcome.err
    servers = load_settings(settings).settings.mcp_servers
    assert list(servers) == ["docs", "github", "web", "search", "notes"]
    assert servers["github"].env["GITHUB_TOKEN"].get_secret_value() == "ghp_" + "a" * 30
    assert servers["github"].env["MODE"].get_secret_value() == "ro"
    assert servers["web"].headers["Authorization"].get_secret_value() == "Bearer asked"
    assert servers["notes"].headers["Authorization"].get_secret_value() == "Bearer abcdef"
    assert servers["notes"].headers["X-Zone"].get_secret_value() == "eu"
    assert "`docs` is the same server" in outcome.err
    assert "`github` is the same server" in outcome.err
    assert "NOTES_AUTHORIZATION_2" in (place.folder / ".env").read_text()
    once_more = place("import", "cursor", "vscode", "codex", "gemini-cli")
    assert "nothing to import" in once_more.out
    assert settings.read_text() == text


def test_a_dry_run_writes_nothing(place: Place, settings: Path, ides: None) -> None:
    outcome = place("import", "cursor", "--dry-run")
    assert outcome.status == 0, outcome.err
    assert "+  github: {" in outcome.out
    assert settings.read_text() == SETTINGS
    assert not (place.folder / ".env").exists()


def test_json(place: Place, settings: Path, ides: None) -> None:
    outcome = place("import", "cursor", "--json")
    assert outcome.status == 0
    assert [server["name"] for server in outcome.json["servers"]] == ["github"]
    assert outcome.json["variables"] == ["GITHUB_GITHUB_TOKEN"]
    assert "ghp_" not in outcome.out


def test_a_broken_file_of_one_ide_does_not_stop_the_others(place: Place, settings: Path, ides: None) -> None:
    broken = Path(os.environ["HOME"]) / ".gemini" / "settings.json"
    broken.write_text("{")
    assert place("import", "gemini-cli").status == 1
    outcome = place("import")
    assert outcome.status == 0
    assert str(broken) in outcome.err
    assert "web: set API_KEY in .env" in outcome.err
    assert list(load_settings(settings).settings.mcp_servers) == ["docs", "github", "search"]
