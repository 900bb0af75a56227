"""Commands that need a running hub: status, groups, switch, chat; and keys."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.hub.cli.conftest import Cli, RunningHub, ScriptedModel, full_settings, serving


@pytest.fixture
def at_hub(shared: tuple[Cli, RunningHub]) -> Cli:
    return shared[0]


def test_status(at_hub: Cli, shared: tuple[Cli, RunningHub]) -> None:
    outcome = at_hub("status")
    assert (outcome.status, outcome.err) == (0, "")
    general = {row[1]: row[2] for row in outcome.rows if row[0] == "hub"}
    assert general["address"] == shared[1].url
    assert general["process"] == str(shared[1].process.pid)
    assert general["settings"] == str(at_hub.folder / "hub.yaml")
    assert general["settings are"] == "ok"
    assert {row[1] for row in outcome.rows if row[0] == "server"} == {"example", "broken"}
    found = at_hub("status", "--json").json
    assert found["name"] == "ccproxy-hub"


def test_groups_with_and_without_a_hub(at_hub: Cli) -> None:
    at_hub("switch", "answers")
    running = at_hub("groups")
    assert running.rows[0] == ["answers", "*", "scripted/answers", "It answers."]
    assert [row[0] for row in running.rows] == ["answers", "waits", "breaks", "refuses"]
    from_file = Cli(at_hub.folder, {"HUB_SERVER__PORT": "1"})
    assert from_file("groups").out == running.out
    listed = at_hub("groups", "--json").json
    assert listed[0]["targets"][0]["model"] == "answers"
    assert {name: listed[0][name] for name in ("name", "active")} == {"name": "answers", "active": True}


def test_switch(at_hub: Cli) -> None:
    assert at_hub("switch", "waits").out == "waits is the active group now\n"
    assert at_hub("status", "--json").json["active_group"] == "waits"
    assert at_hub("switch", "answers", "--json").json == {"active_group": "answers"}
    outcome = at_hub("switch", "anwsers")
    assert (outcome.status, outcome.out) == (1, "")
    assert "anwsers" in outcome.error()
    assert "did you mean `answers`" in outcome.error()


def test_chat(at_hub: Cli, model: ScriptedModel) -> None:
    model.bodies.clear()
    outcome = at_hub("chat", "answers", "Count to two.", "--system", "Be brief.", "--max-tokens", "9")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == "One \x1b[2Jtwo\n", "a pipe gets the text as it is"
    (body,) = model.bodies
    assert [message["content"] for message in body["messages"]] == ["Be brief.", "Count to two."]
    assert body["max_tokens"] == 9


@pytest.mark.parametrize("arguments", [["answers"], ["answers", "-"]], ids=["nothing", "dash"])
def test_chat_reads_the_prompt_of_a_pipe(at_hub: Cli, model: ScriptedModel, arguments: list[str]) -> None:
    model.bodies.clear()
    assert at_hub("chat", *arguments, stdin="From a file.\n").status == 0
    assert model.bodies[0]["messages"][0]["content"] == "From a file.\n"


def test_chat_as_json(at_hub: Cli) -> None:
    answer = at_hub("chat", "answers", "Hello", "--json").json
    assert answer["text"] == "One \x1b[2Jtwo"
    assert (answer["group"], answer["finish_reason"]) == ("answers", "stop")


def test_chat_prints_what_has_arrived(at_hub: Cli, model: ScriptedModel) -> None:
    """The model says its second word only after the first one has been seen here."""
    model.go_on.clear()
    process = at_hub.start("chat", "waits", "Hello", stdout=subprocess.PIPE)
    timer = threading.Timer(30, process.kill)
    timer.start()
    with process:
        assert process.stdout is not None
        assert process.stdout.read(3) == "One"
        model.go_on.set()
        assert process.stdout.read() == " \x1b[2Jtwo\n"
    timer.cancel()
    assert process.returncode == 0


def test_chat_that_breaks_off(at_hub: Cli) -> None:
    outcome = at_hub("chat", "breaks", "Hello")
    assert outcome.status == 1
    assert outcome.out.startswith("One")
    assert "the answer broke off" in outcome.error()


def test_chat_that_is_refused(at_hub: Cli) -> None:
    outcome = at_hub("chat", "refuses", "Hello")
    assert (outcome.status, outcome.out) == (1, "")
    assert "no such model here" in outcome.error()


def test_chat_with_an_unknown_group(at_hub: Cli) -> None:
    outcome = at_hub("chat", "anwers", "Hello")
    assert outcome.status == 1
    assert outcome.error() == 'unknown group "anwers"; did you mean answers?'


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel
) -> Iterator[tuple[Cli, RunningHub]]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "home").mkdir()
    cli = Cli(folder)
    cli.write({**full_settings(model), "keys": {"me": {"key": "hub-secret-key"}}})
    with serving(cli, errors=subprocess.DEVNULL) as hub:
        cli.extra["HUB_SERVER__PORT"] = hub.port
        yield cli, hub


EVERYTHING = [["status"], ["groups"], ["tools"], ["switch", "answers"], ["chat", "answers", "Hello"]]


@pytest.mark.parametrize("arguments", EVERYTHING, ids=" ".join)
def test_a_key_is_asked_for_by_name(guarded: tuple[Cli, RunningHub], cli: Cli, arguments: list[str]) -> None:
    at = ["--port", guarded[1].port]
    outcome = cli(*arguments, *at)
    assert (outcome.status, outcome.out) == (1, "")
    assert "give it with --key or in HUB_KEY" in outcome.error()
    wrong = cli(*arguments, *at, "--key", "wrong-key")
    assert wrong.status == 1
    assert "does not know this key" in wrong.error()
    assert "wrong-key" not in wrong.err


@pytest.mark.parametrize("arguments", EVERYTHING, ids=" ".join)
@pytest.mark.parametrize("way", ["option", "variable", "settings"])
def test_ways_to_give_the_key(
    guarded: tuple[Cli, RunningHub], cli: Cli, arguments: list[str], way: str
) -> None:
    at = ["--port", guarded[1].port]
    match way:
        case "option":
            outcome = cli(*arguments, *at, "--key", "hub-secret-key")
        case "variable":
            cli.extra["HUB_KEY"] = "hub-secret-key"
            outcome = cli(*arguments, *at)
        case _:
            outcome = guarded[0](*arguments)
    assert outcome.status == 0, outcome.err
    assert "hub-secret-key" not in outcome.out + outcome.err


def test_a_key_of_the_settings_goes_nowhere_else(guarded: tuple[Cli, RunningHub], foreign_port: int) -> None:
    outcome = guarded[0]("status", "--port", guarded[1].port)
    assert outcome.status == 1
    assert "asks for a key" in outcome.error()


def test_status_shows_who_is_in_trouble(cli: Cli, model: ScriptedModel) -> None:
    settings = full_settings(model)
    settings["providers"]["scripted"]["api_keys"] = ["second-key"]
    settings["groups"] = {
        "tired": {"targets": [{"provider": "scripted", "model": "rests"}], "retry": {"budget": 0}},
    }
    settings["mcpServers"] = settings["profiles"] = {}
    cli.write(settings)
    with serving(cli, errors=subprocess.DEVNULL) as hub:
        cli.extra["HUB_SERVER__PORT"] = hub.port
        assert [row for row in cli("status").rows if row[0] == "target"] == []
        assert cli("chat", "tired", "Hello").status == 1
        rows = [row for row in cli("status").rows if row[0] == "target"]
        ((target,),) = (group["targets"] for group in cli("status", "--json").json["groups"])
    assert [(row[1], row[2], row[4:]) for row in rows] == [
        (f"scripted/rests (key {key})", "not asked", ["1", "rate limit"]) for key in (1, 2)
    ]
    assert (target["state"], target["in_flight"]) == ("closed", 0)
    assert all(key["state"] == "open" and 200 < key["rests"] <= 300 for key in target["keys"])
    assert "second-key" not in str(target)
