"""`hub search` against a registry on loopback and files; its lines are ones that `hub add` takes."""

from __future__ import annotations

import http.server
import json
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.hub.cli.conftest import Outcome, Place

WEATHER: dict[str, Any] = {
    "name": "io.example.user/weather",
    "title": "Weather",
    "description": "Forecasts and a \x1b[2Jstorm warning",
    "version": "1.10.0",
    "packages": [
        {
            "registryType": "npm",
            "identifier": "@example/weather-mcp",
            "version": "1.10.0",
            "transport": {"type": "stdio"},
            "runtimeArguments": [{"type": "positional", "value": "-y"}],
            "packageArguments": [
                {"type": "named", "name": "--units", "default": "metric"},
                {"type": "named", "name": "--verbose"},
                {
                    "type": "positional",
                    "valueHint": "city",
                    "isRequired": True,
                    "description": "Where you are",
                },
            ],
            "environmentVariables": [
                {
                    "name": "WEATHER_KEY",
                    "isRequired": True,
                    "isSecret": True,
                    "description": "Of your account",
                },
                {"name": "LANGUAGE", "default": "en"},
            ],
        },
        {
            "registryType": "pypi",
            "identifier": "weather-mcp",
            "version": "1.10.0",
            "transport": {"type": "stdio"},
        },
        {
            "registryType": "oci",
            "identifier": "registry.example.com/weather:1.10.0",
            "transport": {"type": "stdio"},
            "environmentVariables": [{"name": "WEATHER_KEY", "isRequired": True}],
        },
        {
            "registryType": "nuget",
            "identifier": "Weather.Mcp",
            "version": "1",
            "transport": {"type": "stdio"},
        },
        {"registryType": "npm", "identifier": "--evil", "transport": {"type": "stdio"}},
        {"registryType": "npm", "identifier": "w", "transport": {"type": "streamable-http", "url": "{u}"}},
    ],
    "remotes": [
        {
            "type": "streamable-http",
            "url": "https://{region}.weather.example/mcp",
            "variables": {"region": {"description": "eu or us", "isRequired": True}},
            "headers": [
                {
                    "name": "Authorization",
                    "value": "Bearer {token}",
                    "variables": {"token": {"isRequired": True, "isSecret": True}},
                },
                {"name": "X-Team", "description": "Your team"},
            ],
        },
        {"type": "sse", "url": "https://old.weather.example/sse"},
    ],
}
OLDER = {**WEATHER, "version": "1.9.0"}
OTHER = {"name": "io.example.user/files", "description": "Files", "version": "1.0.0"}


def rows(outcome: Outcome) -> dict[str, list[str]]:
    return {row[2]: row for row in outcome.rows}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "servers.json"
    path.write_text(json.dumps({"servers": [{"server": OLDER}, {"server": WEATHER}, OTHER]}))
    return path


def test_each_package_and_address_has_its_line(place: Place, file: Path) -> None:
    outcome = place("search", "WEATHER", "--registry", str(file))
    assert outcome.status == 0
    assert "\x1b" not in outcome.out
    assert {(row[0], row[1]) for row in outcome.rows} == {("io.example.user/weather", "1.10.0")}
    found = [(row[2], row[3], row[4]) for row in outcome.rows]
    needs = "set WEATHER_KEY (secret): Of your account; set CITY: Where you are"
    assert found == [
        (
            "npm",
            "hub add weather --env 'WEATHER_KEY=${WEATHER_KEY}' --env LANGUAGE=en -- "
            "npx -y @example/weather-mcp@1.10.0 --units metric '${CITY}'",
            needs,
        ),
        ("pypi", "hub add weather -- uvx weather-mcp==1.10.0", ""),
        (
            "oci",
            "hub add weather --env 'WEATHER_KEY=${WEATHER_KEY}' -- "
            "docker run -i --rm -e WEATHER_KEY registry.example.com/weather:1.10.0",
            "set WEATHER_KEY",
        ),
        ("nuget", "(nuget: the hub cannot start such a package)", ""),
        ("npm", "(npm: the hub cannot start such a package)", ""),
        (
            "npm, streamable-http",
            "(npm, streamable-http: the hub cannot start such a package)",
            "start it yourself, then hub add NAME URL",
        ),
        (
            "http",
            "hub add weather 'https://${REGION}.weather.example/mcp' "
            "--header 'Authorization: Bearer ${TOKEN}' --header 'X-Team: ${WEATHER_X_TEAM}'",
            "set REGION: eu or us; set TOKEN (secret); set WEATHER_X_TEAM (optional): Your team",
        ),
        ("sse", "hub add weather https://old.weather.example/sse --sse", ""),
    ]


def test_the_lines_are_ones_that_hub_add_takes(place: Place, file: Path) -> None:
    for variable in ("WEATHER_KEY", "CITY", "REGION", "TOKEN", "WEATHER_X_TEAM"):
        place.monkeypatch.setenv(variable, "x")
    lines = [row[3] for row in place("search", "weather", "--registry", str(file)).rows]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("hub add ")]
    assert len(commands) == 5
    for command in commands:
        before, dashes, after = " ".join(command).partition(" -- ")
        added = place(*command[:2], "--dry-run", *command[2:])
        assert added.status == 0, added.err
        assert "weather" in added.out, (before, dashes, after)


def test_json_and_limits(place: Place, file: Path) -> None:
    outcome = place("search", "example", "--registry", str(file), "--limit", "1", "--json")
    assert outcome.json["found"] == 2
    (only,) = outcome.json["servers"]
    assert only["name"] == "io.example.user/weather"
    assert only["ways"][1] == {
        "kind": "pypi",
        "command": "hub add weather -- uvx weather-mcp==1.10.0",
        "needs": [],
    }
    nothing = place("search", "nothing-like-it", "--registry", str(file))
    assert nothing.status == 1
    assert "nothing matches 'nothing-like-it'" in nothing.err


def test_one_server_json_is_a_registry_too(place: Place, file: Path) -> None:
    file.write_text(json.dumps({**WEATHER, "packages": [], "remotes": []}))
    assert place("search", "weather", "--registry", str(file), "--json").json["found"] == 1


class Registry(http.server.BaseHTTPRequestHandler):
    """Two pages at one path; `asked` are the queries."""

    asked: list[dict[str, list[str]]] = []
    path_of_lists = "/v0.1/servers"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        self.asked.append(query)
        page: Any = {
            "servers": [{"server": WEATHER, "_meta": {}}],
            "metadata": {"nextCursor": "c", "count": 1},
        }
        if "cursor" in query:
            page = {"servers": [{"server": {**WEATHER, "name": "io.example.two/weather"}}], "metadata": {}}
        self.send_response(200 if url.path == self.path_of_lists else 404)
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(params=["/v0.1/servers", "/v0/servers"])
def registry(request: pytest.FixtureRequest) -> Iterator[tuple[str, type[Registry]]]:
    handler = type("Handler", (Registry,), {"asked": [], "path_of_lists": request.param})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_registry_is_asked_for_the_word_and_all_pages(
    place: Place, registry: tuple[str, type[Registry]]
) -> None:
    url, handler = registry
    place.monkeypatch.setenv("HUB_REGISTRY", url)
    outcome = place("search", "weather", "--json")
    assert [one["name"] for one in outcome.json["servers"]] == [
        "io.example.user/weather",
        "io.example.two/weather",
    ]
    assert all(query["search"] == ["weather"] for query in handler.asked)
    assert [query.get("cursor") for query in handler.asked][-1] == ["c"]


def test_without_a_registry_nothing_is_asked(place: Place, file: Path) -> None:
    outcome = place("search", "weather")
    assert outcome.status == 2
    assert "--registry" in outcome.error()
    file.write_text("<html>")
    for registry, said in (
        (str(file), "is not JSON"),
        ("no-such-file.json", "cannot be read"),
        ("http://user:secret@127.0.0.1:9", "cannot be asked"),
    ):
        outcome = place("search", "weather", "--registry", registry)
        assert outcome.status == 1
        assert said in outcome.error()
        assert "secret" not in outcome.err
