"""`hub explain`, run as a program; docs/explain.md is an example of each of its uses."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.hub.cli.conftest import HUB, Cli, full_settings
from tests.routing.samples import SAMPLES

PAGE = (Path(__file__).parents[3] / "docs" / "explain.md").read_text()
KEY = "sk-local-0123456789"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


EXAMPLES = [block.split("\n", 1) for block in blocks("console")]


@pytest.fixture
def page(cli: Cli) -> Cli:
    """The folder of the page's examples."""
    (cli.folder / "hub.yaml").write_text(blocks("yaml")[0])
    (cli.folder / "request.json").write_text(blocks("json")[0])
    return cli


@pytest.mark.parametrize(("command", "printed"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_the_page_shows_what_is_printed(page: Cli, command: str, printed: str) -> None:
    environ = {**page.environ, "PATH": f"{Path(HUB).parent}:{page.environ['PATH']}"}
    done = subprocess.run(
        command.removeprefix("$ "),
        shell=True,
        capture_output=True,
        text=True,
        cwd=page.folder,
        env=environ,
        timeout=60,
    )
    assert done.stdout + (done.stderr if done.returncode else "") == printed
    assert done.returncode == (1 if printed.startswith("hub:") else 0)


def explained(cli: Cli, *arguments: str, body: Any) -> Any:
    outcome = cli("explain", *arguments, "--json", stdin=json.dumps(body))
    assert outcome.status == 0, outcome.err
    assert KEY not in outcome.out + outcome.err
    return outcome.json


@pytest.mark.parametrize("target", SAMPLES)
@pytest.mark.parametrize("client", SAMPLES)
def test_every_pair(cli: Cli, client: str, target: str) -> None:
    base = "http://127.0.0.1:9" + ("/v1" if target.startswith("openai") else "")
    provider = {"protocol": target, "base_url": base, "api_key": KEY}
    cli.write({"providers": {"up": provider}, "groups": {"g": {"provider": "up", "model": "real"}}})
    found = explained(cli, "g", "--from", client, "--diff", body=SAMPLES[client].body)
    assert (found["client_protocol"], found["target_protocol"]) == (client, target)
    assert found["passes_through"] is (client == target)
    assert found["target"] == "up/real"
    request = found["request"]
    assert request["url"].startswith("http://127.0.0.1:9/")
    assert "***" in " ".join(request["headers"].values())
    assert "Say hello" in json.dumps(request["body"])
    assert "real" in json.dumps(request["body"]) + request["url"]
    if client != target:
        assert found["diff"][:2] == [f"--- client ({client})", f"+++ upstream ({target})"]


def test_what_is_explained_is_what_is_sent(shared: Any, model: Any) -> None:
    """The hub's real request to the provider, against the one that was explained."""
    import httpx

    cli, hub = shared
    body = {**SAMPLES["anthropic"].stream_body, "top_k": 3, "system": "Be brief."}
    found = explained(cli, "answers", body=body)
    answer = httpx.post(f"{hub.url}/answers/v1/messages", json=body, timeout=30)
    assert answer.status_code == 200
    assert found["request"]["body"] == model.bodies[-1]
    assert [each["code"] for each in found["losses"]] == answer.headers["x-hub-losses"].split(", ")
    assert found["target"] == answer.headers["x-hub-target"]
    sent = {**model.headers[-1], "authorization": "***"}
    for name, value in found["request"]["headers"].items():
        assert value.endswith(sent[name]), name


def test_embedded_and_broken_servers_do_not_matter(cli: Cli, model: Any) -> None:
    cli.write(
        {**full_settings(model), "providers": {**full_settings(model)["providers"], "own": {"embedded": {}}}}
    )
    found = explained(cli, body={"model": "answers", "messages": []})
    assert (found["group"], found["group_reason"]) == ("answers", "the request's model names it")


def test_groups_that_only_the_settings_choose(page: Cli) -> None:
    found = explained(page, "--path", "/v1/messages", body=SAMPLES["anthropic"].body)
    assert (found["group"], found["group_reason"]) == ("kimi", "it is the active group")


def test_a_file_alone(page: Cli) -> None:
    outcome = page("explain", "request.json", "--json")
    assert outcome.json["group"] == "kimi"


def test_targets_that_cannot_be_told_are_passed_over(cli: Cli) -> None:
    local = {"protocol": "ollama", "base_url": "http://127.0.0.1:9"}
    remote = {"protocol": "openai", "base_url": "http://127.0.0.1:9/v1"}
    targets = [{"provider": "local", "model": "m", "weight": 9}, {"provider": "remote", "model": "m"}]
    cli.write({"providers": {"local": local, "remote": remote}, "groups": {"g": {"targets": targets}}})
    found = explained(cli, "--path", "/g/v1/embeddings", body={"input": [1, 2]})
    assert found["target"] == "remote/m"
    assert [each["target"] for each in found["passed_over"]] == ["local/m"]
    assert "token ids" in found["passed_over"][0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "message"),
    [
        (["nope"], "{}", 2, 'unknown group "nope"'),
        (["kimmi", "request.json"], "", 2, "did you mean kimi"),
        (["kimi", "missing.json"], "", 2, "missing.json cannot be read"),
        (["kimi"], "", 1, "the body is empty"),
        (["kimi"], "[1]", 1, "must be a JSON object"),
        (["kimi"], '{"a": 1}', 2, "looks like none of openai"),
        (["kimi", "--from", "antropic"], "{}", 2, "did you mean anthropic"),
        (
            ["kimi", "--from", "gemini", "--path", "/v1/messages"],
            "{}",
            2,
            "a path of anthropic, not of gemini",
        ),
        (["kimi", "--path", "/v1/nothing"], "{}", 2, "nothing takes requests at /kimi/v1/nothing"),
        (
            ["kimi", "--path", "/v1/messages"],
            '{"model": "x", "max_tokens": 1, "messages": 1}',
            1,
            "messages: ",
        ),
        (["kimi", "--header", "x"], "{}", 2, "--header is written as"),
        (["--path", "/nope/v1/messages"], '{"messages": []}', 1, "there is no group `nope`"),
        (["--bogus"], "{}", 2, "--bogus"),
    ],
)
def test_what_is_wrong_is_said(
    page: Cli, arguments: list[str], stdin: str, status: int, message: str
) -> None:
    outcome = page("explain", *arguments, stdin=stdin)
    assert outcome.status == status, outcome
    assert outcome.out == ""
    assert message in outcome.err.splitlines()[-1]


def test_headers_of_the_protocol_go_along(page: Cli) -> None:
    headers = ("--header", "Anthropic-Beta: b1", "--header", "authorization: Bearer me")
    body = {**SAMPLES["anthropic"].body, "model": "x"}
    found = explained(page, "best", "--from", "anthropic", *headers, body=body)
    assert found["request"]["headers"]["anthropic-beta"] == "b1"
    assert "authorization" not in found["request"]["headers"]
