"""`hub doctor` with the real program: what is wrong is found, named, and has a way out."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub.cli.conftest import EXAMPLE_SERVER, Cli, Outcome, Place, serving
from tests.hub.mcp.harness import bind, free_port

GOOD_KEY = "sk-good-0123456789abcdef"
BAD_KEY = "sk-bad-0123456789abcdef"
EXAMPLE = {"command": sys.executable, "args": [EXAMPLE_SERVER]}
PATHS = {
    "/v1/models": "data",
    "/anthropic/v1/models": "data",
    "/v1beta/models": "models",
    "/api/tags": "models",
}


class Models(http.server.BaseHTTPRequestHandler):
    """Lists of models in every protocol's shape, for whoever shows the right key."""

    def do_GET(self) -> None:
        name = PATHS.get(self.path)
        shown = {self.headers.get(header) for header in ("authorization", "x-api-key", "x-goog-api-key")}
        if self.path.startswith("/ill"):
            self._say(503, {"error": {"message": "on fire"}})
        elif name is None:
            self._say(404, {"error": {"message": "no such page"}})
        elif not shown & {f"Bearer {GOOD_KEY}", GOOD_KEY}:
            self._say(401, {"error": {"message": "Incorrect API key provided"}})
        else:
            self._say(200, {name: [{"id": "m", "name": "m"}, {"id": "n", "name": "n"}]})

    def do_POST(self) -> None:
        self.server.paid += 1  # type: ignore[attr-defined]
        self._say(200, {})

    def _say(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def models() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models)
    server.paid = 0  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    assert server.paid == 0, "nothing that costs money is asked"  # type: ignore[attr-defined]


def rows(outcome: Outcome, part: str) -> dict[str, tuple[str, str, str]]:
    """Subject to state, what was found, and what to do. A line without a remedy has an empty cell."""
    return {row[1]: (row[2], row[3], row[4]) for row in outcome.rows if row[0] == part}


def provider(url: str, protocol: str = "openai", key: str | None = GOOD_KEY) -> dict[str, Any]:
    return {"protocol": protocol, "base_url": url, **({"api_key": key} if key else {})}


def write(place: Place, settings: dict[str, Any]) -> None:
    (place.folder / "hub.yaml").write_text(json.dumps(settings))


def test_all_is_well(cli: Cli, models: str) -> None:
    protocols = {"openai": "/v1", "openai-responses": "/v1", "anthropic": "/anthropic"}
    protocols |= {"gemini": "", "ollama": ""}
    cli.write(
        {
            "server": {"port": free_port()},
            "providers": {name: provider(models + path, name) for name, path in protocols.items()},
            "groups": {f"with-{name}": {"provider": name, "model": "m"} for name in protocols},
            "mcpServers": {"example": EXAMPLE},
        }
    )
    outcome = cli("doctor")
    assert outcome.status == 0, outcome.out
    assert outcome.err == "hub: all is well\n"
    assert {row[2] for row in outcome.rows} <= {"ok", "note"}
    assert rows(outcome, "provider").keys() == protocols.keys()
    for state, what, _ in rows(outcome, "provider").values():
        assert state == "ok"
        assert "2 models" in what
    state, what, _ = rows(outcome, "server")["example"]
    assert state == "ok"
    assert "MCP 20" in what
    assert "tools, up in" in what
    assert "answers in" in what
    assert rows(outcome, "files")["state folder"][0] == "ok"
    assert rows(outcome, "program")["python"][0] == "ok"


def test_each_trouble_of_a_provider_has_its_own_row(cli: Cli, models: str) -> None:
    wanted = {
        "refused": (provider(models + "/v1", key=BAD_KEY), "wrong", "refuses its key (401)", "api_key"),
        "keyless": (provider(models + "/v1", key=None), "wrong", "asks for a key (401)", "providers.keyless"),
        "away": (provider(f"http://127.0.0.1:{free_port()}/v1"), "wrong", "cannot be reached", "base_url"),
        "ill": (provider(models + "/ill"), "wrong", "trouble of its own (503)", "later"),
        "other": (provider(models + "/elsewhere"), "note", "has no list of models", "base_url"),
        "alias": (provider(models + "/v1"), "note", "not in its list: an-alias", "model"),
    }
    cli.write(
        {
            "server": {"port": free_port()},
            "providers": {
                **{name: case[0] for name, case in wanted.items()},
                "twice": {"protocol": "openai", "base_url": models + "/v1", "api_keys": [GOOD_KEY, BAD_KEY]},
                "idle": provider(models + "/v1"),
            },
            "groups": {
                name: {"provider": name, "model": "an-alias" if name == "alias" else "m"}
                for name in (*wanted, "twice")
            },
        }
    )
    outcome = cli("doctor")
    found = rows(outcome, "provider")
    for name, (_, state, what, remedy) in wanted.items():
        assert found[name][0] == state, found[name]
        assert what in found[name][1]
        assert remedy in found[name][2]
    assert (found["twice, key 1"][0], found["twice, key 2"][0]) == ("ok", "wrong")
    assert found["idle"][:2] == ("note", "no group uses it")
    assert outcome.status == 1
    assert outcome.err == "hub: 5 things are wrong\n"
    assert not {GOOD_KEY, BAD_KEY} & set(outcome.out.split())
    assert "sk-" not in outcome.out + outcome.err


def test_servers_that_do_not_start_are_named_with_the_reason(cli: Cli) -> None:
    cli.write(
        {
            "server": {"port": free_port()},
            "mcpServers": {
                "example": EXAMPLE,
                "ends": {"command": sys.executable, "args": ["-c", "raise SystemExit(3)"]},
                "missing": {"command": "no-such-program-anywhere"},
                "away": {"url": f"http://127.0.0.1:{free_port()}/mcp", "headers": {"X-Key": BAD_KEY}},
                "off": {"command": "whatever", "disabled": True},
            },
        }
    )
    outcome = cli("doctor", "--json")
    assert outcome.status == 1
    assert outcome.json["ok"] is False
    found = {one["subject"]: one for one in outcome.json["findings"] if one["part"] == "server"}
    assert {name: one["state"] for name, one in found.items()} == {
        "example": "ok", "ends": "wrong", "missing": "wrong", "away": "wrong", "off": "ok",
    }  # fmt: skip
    assert "status 3" in found["ends"]["what"]
    assert "mcpServers.away.url" in found["away"]["remedy"]
    assert all(one["remedy"] for one in outcome.json["findings"] if one["state"] == "wrong")
    (program,) = [one for one in outcome.json["findings"] if one["subject"] == "no-such-program-anywhere"]
    assert (program["part"], program["state"]) == ("program", "wrong")
    assert BAD_KEY not in outcome.out


def test_wrong_settings_and_a_port_that_is_taken(place: Place) -> None:
    write(place, {"groups": {"a": {"model": "m", "provider": "nobody"}}})
    outcome = place("doctor")
    assert outcome.status == 1
    ((state, what, remedy),) = rows(outcome, "settings").values()
    assert state == "wrong"
    assert "nobody" in what
    assert remedy

    with bind() as taken:
        taken.listen()
        write(place, {"server": {"port": taken.getsockname()[1]}})
        outcome = place("doctor")
    ((state, what, remedy),) = rows(outcome, "hub").values()
    assert outcome.status == 1
    assert (state, what) == ("wrong", f"port {taken_port(outcome)} is taken by another program")
    assert remedy.startswith("use another one: hub serve --port")


def taken_port(outcome: Outcome) -> str:
    return next(iter(rows(outcome, "hub"))).rpartition(":")[2]


def test_the_running_hub_and_its_servers(cli: Cli) -> None:
    path = cli.write(
        {
            "mcpServers": {
                "example": EXAMPLE,
                "ends": {"command": sys.executable, "args": ["-c", "raise SystemExit(3)"]},
            }
        }
    )
    with serving(cli) as hub:
        cli.extra["HUB_SERVER__PORT"] = hub.port
        found = rows(outcome := cli("doctor"), "server")
        while found["example"][1].startswith("starting") or found["ends"][1].startswith("starting"):
            found = rows(outcome := cli("doctor"), "server")
        assert rows(outcome, "hub")[hub.url][0] == "ok"
        assert "answers in" in found["example"][1]
        assert "up in" not in found["example"][1], "not started once more"
        assert found["ends"][0] == "wrong"
        path.write_text("groups: {a: {model: m, provider: nobody}}")
        assert rows(cli("doctor"), "settings")[f"{path}:1"][0] == "wrong"


def test_entries_of_ides_are_compared_with_this_hub(place: Place) -> None:
    port = free_port()
    write(place, {"server": {"port": port}, "profiles": {"narrow": {}}})
    assert place("install", "cursor").status == 0
    assert place("install", "claude-desktop", "--profile", "narrow").status == 0
    assert place("install", "gemini-cli", "--profile", "narrow").status == 0
    zed = place.folder / "home" / ".config" / "zed" / "settings.json"
    zed.parent.mkdir(parents=True)
    zed.write_text("// my editor\n{}")
    found = rows(outcome := place("doctor"), "IDE")
    assert outcome.status == 0, outcome.out
    assert {name: row[0] for name, row in found.items()} == {
        "cursor": "ok", "claude-desktop": "ok", "gemini-cli": "ok", "zed": "note",
    }  # fmt: skip
    assert found["zed"][2] == "hub install zed"

    zed.write_text("{ not json")
    other = free_port()
    write(place, {"server": {"port": other}})
    found = rows(outcome := place("doctor"), "IDE")
    assert outcome.status == 1
    assert {row[0] for row in found.values()} == {"wrong"}
    assert f"127.0.0.1:{port}, and this hub is at http://127.0.0.1:{other}" in found["cursor"][1]
    assert found["cursor"][2] == "hub install cursor"

    write(place, {"server": {"port": port}, "keys": {"me": {"key": GOOD_KEY}}})
    found = rows(place("doctor"), "IDE")
    assert "no key" in found["cursor"][1]
    assert "no such profile" in found["gemini-cli"][1]


def test_conformance_needs_a_server_and_npm(place: Place) -> None:
    write(place, {"mcpServers": {"one": EXAMPLE, "two": EXAMPLE}})
    assert place("doctor", "one").status == 2
    outcome = place("doctor", "--conformance")
    assert outcome.status == 2
    assert "one, two" in outcome.error()
    assert "did you mean one" in place("doctor", "--conformance", "onn").error()
    place.monkeypatch.setenv("PATH", str(place.folder))
    outcome = place("doctor", "--conformance", "one")
    assert outcome.status == 1
    assert "there is no npm: install Node.js" in outcome.error()
