"""`hub logs`, `hub recordings` and `hub replay`, against a running hub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.hub.cli.conftest import Cli, RunningHub, ScriptedModel, full_settings, serving


@pytest.fixture(scope="module")
def recording(
    tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel
) -> Iterator[tuple[Cli, RunningHub, dict[str, str]]]:
    """A hub that records; the ids of a chat that was answered and of one that was refused."""
    folder = tmp_path_factory.mktemp("recording")
    (folder / "home").mkdir()
    cli = Cli(folder)
    settings = {**full_settings(model), "mcpServers": {}, "profiles": {}, "recorder": {"keep": "1h"}}
    cli.write(settings)
    with serving(cli, errors=subprocess.DEVNULL) as hub:
        cli.extra["HUB_SERVER__PORT"] = hub.port
        ids = {}
        for group in ("answers", "refuses"):
            body = {"model": group, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
            answer = httpx.post(f"{hub.url}/{group}/v1/chat/completions", json=body, trust_env=False)
            ids[group] = answer.headers["x-request-id"]
        yield cli, hub, ids


def test_the_log_is_read_and_filtered(recording: tuple[Cli, RunningHub, dict[str, str]]) -> None:
    cli, _, ids = recording
    found = [json.loads(line) for line in cli("logs", "--json", "--since", "1h").out.splitlines()]
    chats = {line["request"]: line for line in found if line.get("kind") == "chat"}
    assert {line["group"]: id_ for id_, line in chats.items()} == ids
    refused = cli("logs", "--request", ids["refuses"], "--level", "warning")
    assert "no such model here" in refused.out
    assert ids["answers"] not in refused.out
    assert cli("logs", "--group", "answers").out.count("chat answers -> scripted/answers 200") == 1
    assert "chat" not in cli("logs", "--group", "nobody").out


def test_the_log_is_followed(recording: tuple[Cli, RunningHub, dict[str, str]]) -> None:
    cli, hub, _ = recording
    following = cli.start("logs", "--follow", "--json", stdout=subprocess.PIPE)
    assert following.stdout is not None
    try:
        assert json.loads(following.stdout.readline())["time"]  # what there was is shown first
        httpx.get(f"{hub.url}/no/such/path", headers={"x-request-id": "to-be-followed"}, trust_env=False)
        for line in following.stdout:
            if json.loads(line).get("request") == "to-be-followed":
                break
    finally:
        os.kill(following.pid, signal.SIGINT)
        following.wait(20)
        following.stdout.close()
    assert following.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--level", "loud"), 2, "--level is one of debug"),
        (("--since", "soon"), 2, "is no length of time"),
        (("--port", "1"), 1, "there is no log at"),
    ],
)
def test_the_log_says_what_is_wrong(cli: Cli, arguments: tuple[str, ...], status: int, says: str) -> None:
    outcome = cli("logs", *arguments)
    assert outcome.status == status
    assert says in outcome.error()


def test_recordings_are_listed_and_shown(recording: tuple[Cli, RunningHub, dict[str, str]]) -> None:
    cli, _, ids = recording
    rows = {row[0]: row for row in cli("recordings").rows}
    assert set(ids.values()) <= set(rows)
    assert rows[ids["answers"]][2:6] == ["answers", "scripted/answers", "openai", "200"]
    assert [row[0] for row in cli("recordings", "--group", "refuses").rows][-1] == ids["refuses"]
    (whole,) = [cli("recordings", ids["answers"]).json]
    assert json.loads(whole["request"]["body"])["messages"] == [{"role": "user", "content": "hi"}]
    listed = cli("recordings", "--json").json
    assert {one["id"] for one in listed} >= set(ids.values())


def test_a_replay_says_the_same_and_another_group_something_else(
    recording: tuple[Cli, RunningHub, dict[str, str]], model: ScriptedModel
) -> None:
    cli, _, ids = recording
    before = len(model.bodies)
    again = cli("replay", ids["answers"])
    assert (again.status, again.err) == (0, "")
    assert "the answers say the same" in again.out
    assert model.bodies[before]["messages"] == [{"role": "user", "content": "hi"}]
    other = cli("replay", ids["answers"][:12], "--group", "refuses", "--json").json
    assert other["same"] is False
    assert (other["recorded"]["status"], other["now"]["status"]) == (200, 400)
    assert other["now"]["error"] == "no such model here"
    assert any(line.startswith("-One") for line in other["diff"])
    rows = {row[0]: row[1:] for row in cli("replay", ids["answers"], "--group", "refuses").rows}
    assert rows["status"] == ["200", "400", "differs"]
    assert other["new_id"] in {row[0] for row in cli("recordings").rows}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("replay", "no-such-id"), 'no recording "no-such-id"'),
        (("replay", "{answers}", "--group", "nope"), 'unknown group "nope"'),
        (("replay", "{answers}", "--port", "1"), "no hub runs at"),
        (("recordings", "no-such-id"), "no recording"),
    ],
)
def test_a_replay_says_what_is_wrong(
    recording: tuple[Cli, RunningHub, dict[str, str]], arguments: tuple[str, ...], says: str
) -> None:
    cli, _, ids = recording
    outcome = cli(*(argument.format(**ids) for argument in arguments))
    assert outcome.status == 1
    assert says in outcome.error()


def test_without_recordings_it_says_how_to_have_some(cli: Cli) -> None:
    for command in (("recordings",), ("replay", "some-id")):
        assert "`recorder: true`" in cli(*command).error()
