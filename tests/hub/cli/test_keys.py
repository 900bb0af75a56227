"""`hub keys`: made once, told once, and counting in a hub that runs."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.hub.cli.conftest import Cli, serving

SETTINGS: dict[str, Any] = {
    "groups": {
        "kimi": {"model": "m", "provider": "ollama"},
        "best": {"model": "m", "provider": "ollama"},
    },
    "profiles": {"cursor": {}},
    "mcpServers": {"git": {"command": "x", "disabled": True}},
}
KEY = re.compile(r"hub_[A-Za-z0-9_-]{32}")


def stored(cli: Cli) -> str:
    (file,) = (cli.folder / "home").rglob("keys.json")
    return file.read_text()


def status(url: str, key: str, path: str = "/v1/models") -> int:
    return httpx.get(url + path, headers={"x-api-key": key}, trust_env=False).status_code


def test_a_running_hub_follows(cli: Cli) -> None:
    cli.write(SETTINGS)
    with serving(cli) as hub:
        assert status(hub.url, "anything") == 200
        anna = cli("keys", "add", "anna").out.strip()
        assert KEY.fullmatch(anna)
        assert (status(hub.url, "anything"), status(hub.url, anna)) == (401, 200)
        bob = cli("keys", "add", "bob", "--groups", "kimi").out.strip()
        paths = ("/kimi/v1/models", "/best/v1/models", "/metrics")
        assert [status(hub.url, bob, path) for path in paths] == [200, 403, 403]
        assert cli("status", "--port", hub.port).status == 1
        assert cli("status", "--port", hub.port, "--key", anna).status == 0
        new = cli("keys", "rotate", "anna").out.strip()
        assert (status(hub.url, anna), status(hub.url, new)) == (401, 200)
        assert cli("keys", "revoke", "bob").out == "bob is revoked\n"
        assert (status(hub.url, bob), status(hub.url, new)) == (401, 200)
        outcome = cli("keys", "revoke", "anna")
        assert "still asks for one" in outcome.error()
        assert (status(hub.url, new), status(hub.url, ""), status(hub.url, "", "/healthz")) == (401, 401, 200)


def test_the_key_is_told_once_and_kept_nowhere(cli: Cli) -> None:
    cli.write(SETTINGS)
    outcome = cli("keys", "add", "anna", "--json")
    key = outcome.json["key"]
    assert KEY.fullmatch(key)
    others = [cli("keys", "list"), cli("keys", "list", "--json"), cli("keys", "show", "anna")]
    for text in (outcome.err, stored(cli), *(one.out + one.err for one in others)):
        assert key not in text


def test_every_limit(cli: Cli) -> None:
    cli.write(SETTINGS)
    limits = (
        "--groups kimi,best --profile cursor --servers git --tools git_* git_log --budget $2.50/month "
        "--rpm 60 --tpm 1000 --concurrency 2 --expires 2099-01-31"
    )
    made = cli("keys", "add", "anna", *limits.split(), "--json").json
    shown = cli("keys", "show", "anna", "--json").json
    assert {name: value for name, value in made.items() if name != "key"} == shown
    assert {name: shown[name] for name in shown if name not in ("created", "expired")} == {
        "name": "anna",
        "kept_in": "file",
        "groups": ["kimi", "best"],
        "profiles": ["cursor"],
        "servers": ["git"],
        "tools": ["git_*", "git_log"],
        "budget": "2.5/month",
        "rpm": 60,
        "tpm": 1000,
        "concurrency": 2,
        "expires": "2099-01-31T00:00:00Z",
    }
    (row,) = cli("keys", "list").rows
    assert row[:3] == ["anna", "file", "kimi, best"]
    assert "until 2099-01-31 00:00 UTC" in row[-1]
    rotated = cli("keys", "rotate", "anna", "--expires", "30d", "--json").json
    unchanged = shown.keys() - {"expires"}
    assert {name: rotated[name] for name in unchanged} == {name: shown[name] for name in unchanged}
    assert rotated["expires"] < shown["expires"]


def test_keys_of_the_settings_are_listed_too(cli: Cli) -> None:
    cli.write({**SETTINGS, "keys": {"me": {"key": "k-secret", "rpm": 5}}})
    assert "asks for a key everywhere" not in cli("keys", "add", "anna").err
    outcome = cli("keys", "list")
    assert [row[:2] for row in outcome.rows] == [["me", "settings"], ["anna", "file"]]
    assert "k-secret" not in outcome.out + cli("keys", "show", "me").out
    assert "is a key of the settings" in cli("keys", "revoke", "me").error()
    assert "the settings have a key `me`" in cli("keys", "add", "me").error()


def test_another_file(cli: Cli) -> None:
    cli.write({**SETTINGS, "server": {"keys_file": "mine.json"}})
    cli("keys", "add", "anna")
    cli("keys", "add", "bob", "--file", "other.json", "--groups", "unknown-here")
    for name, file in (("anna", "mine.json"), ("bob", "other.json")):
        assert set(json.loads((cli.folder / file).read_text())["keys"]) == {name}
        assert cli("keys", "list", "--file", file).rows[0][0] == name


def test_a_key_lets_the_hub_listen_to_the_network(cli: Cli) -> None:
    cli.write({**SETTINGS, "server": {"host": "0.0.0.0"}})
    assert "hub keys add NAME" in cli("check").out
    assert cli("keys", "add", "anna", "--file", "keys.json").status == 0
    cli.write({**SETTINGS, "server": {"host": "0.0.0.0", "keys_file": "keys.json"}})
    assert cli("check").status == 0


WRONG = [
    (["add"], 2, "NAME"),
    (["add", ""], 2, "cannot be the name"),
    (["add", "a\nb"], 2, "cannot be the name"),
    (["add", "a", "--groups", "kimmi"], 2, "did you mean `kimi`?"),
    (["add", "a", "--profile", "kimi"], 2, "no profile `kimi`"),
    (["add", "a", "--servers", "gut"], 2, "did you mean `git`?"),
    (["add", "a", "--rpm", "0"], 2, "--rpm"),
    (["add", "a", "--rpm", "many"], 2, "--rpm"),
    (["add", "a", "--budget", "5/week"], 2, "--budget: must be an amount"),
    (["add", "a", "--expires", "soon"], 2, "30d"),
    (["add", "a", "--expires", "2001-01-01"], 2, "in the past"),
    (["add", "anna"], 1, "hub keys rotate anna"),
    (["show", "ana"], 1, "did you mean anna?"),
    (["revoke", "ana"], 1, "did you mean anna?"),
    (["rotate", "bob"], 1, "there is no key `bob`"),
    (["rewoke", "anna"], 2, "revoke"),
]


@pytest.fixture(scope="module")
def with_anna(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    cli = Cli(tmp_path_factory.mktemp("keys"))
    (cli.folder / "home").mkdir()
    cli.write(SETTINGS)
    cli("keys", "add", "anna")
    return cli


@pytest.mark.parametrize(
    ("arguments", "exit_status", "reason"), WRONG, ids=[" ".join(one[0]) for one in WRONG]
)
def test_wrong_use(with_anna: Cli, arguments: list[str], exit_status: int, reason: str) -> None:
    before = stored(with_anna)
    outcome = with_anna("keys", *arguments)
    assert (outcome.status, outcome.out) == (exit_status, "")
    assert reason in outcome.error()
    assert stored(with_anna) == before


def test_a_damaged_file_is_told(cli: Cli) -> None:
    cli.write({**SETTINGS, "server": {"keys_file": "keys.json"}})
    (cli.folder / "keys.json").write_text("{")
    for command in (["add", "anna"], ["list"], ["revoke", "anna"]):
        outcome = cli("keys", *command)
        assert outcome.status == 1
        assert "is damaged" in outcome.error()
    assert (cli.folder / "keys.json").read_text() == "{"
