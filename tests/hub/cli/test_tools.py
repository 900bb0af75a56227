"""`hub tools` and `hub call`: the same answers with a running hub and without one."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time

import pytest

from tests.hub.cli.conftest import EXAMPLE_SERVER, HUB, Cli, RunningHub, ScriptedModel, full_settings, serving

NAMES = ["example_add", "example_fail", "example_escape", "example_picture", "example_count"]
OWN = [
    *("ask_answers", "ask_waits", "ask_breaks", "ask_refuses"),
    *("compare_models", "list_models", "switch_model", "explain_route"),
]


@pytest.fixture(params=["with a running hub", "without one"])
def either(
    request: pytest.FixtureRequest, shared: tuple[Cli, RunningHub], cli: Cli, model: ScriptedModel
) -> Cli:
    if request.param == "with a running hub":
        return _once_ready(shared[0])
    cli.write(full_settings(model))
    cli.extra["HUB_SERVER__PORT"] = "1"
    return cli


def _once_ready(cli: Cli) -> Cli:
    """A running hub starts its servers in the background."""
    deadline = time.monotonic() + 30
    while cli("status", "--json").json["servers"][0]["state"] != "ready":
        assert time.monotonic() < deadline
    return cli


def test_tools_in_a_pipe(either: Cli) -> None:
    outcome = either("tools")
    assert outcome.status == 0
    assert [row[0] for row in outcome.rows] == [*NAMES, *OWN]
    assert outcome.rows[0] == [
        "example_add",
        "example",
        "a, b, [note]",
        "Add two numbers. The second paragraph is for those who read on.",
    ]
    assert "server broken is " in outcome.error(), "a broken server is named, the others are listed"
    assert "exited with status 1" in outcome.error()


def test_tools_as_json(either: Cli) -> None:
    outcome = either("tools", "--json")
    servers = {tool["name"]: tool["server"] for tool in outcome.json["tools"]}
    assert servers == {**dict.fromkeys(NAMES, "example"), **dict.fromkeys(OWN, "hub")}
    assert outcome.json["tools"][0]["definition"]["inputSchema"]["required"] == ["a", "b"]
    assert [entry["server"] for entry in outcome.json["failed"]] == ["broken"]


def test_tools_of_a_server(either: Cli) -> None:
    outcome = either("tools", "--server", "example")
    assert (outcome.status, outcome.err) == (0, "")
    assert [row[0] for row in outcome.rows] == NAMES


def test_tools_of_a_broken_server(either: Cli) -> None:
    outcome = either("tools", "--server", "broken")
    assert (outcome.status, outcome.out) == (1, "")
    assert "exited with status 1" in outcome.error()


def test_tools_of_a_profile(either: Cli) -> None:
    assert [row[0] for row in either("tools", "--profile", "narrow").rows] == ["example_add"]


@pytest.mark.parametrize(
    ("option", "word", "reason"),
    [
        ("--server", "exmple", 'unknown server "exmple"; did you mean example?'),
        ("--profile", "narow", 'unknown profile "narow"; did you mean narrow?'),
    ],
)
def test_unknown_names(either: Cli, option: str, word: str, reason: str) -> None:
    outcome = either("tools", option, word)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error() == reason


def test_call(either: Cli) -> None:
    assert either("call", "example_add", '{"a": 2, "b": 3}').out == "5\n"
    result = either("call", "example_add", '{"a": 2, "b": 3}', "--json").json
    assert result["content"] == [{"type": "text", "text": "5"}]


@pytest.fixture
def at_hub(shared: tuple[Cli, RunningHub]) -> Cli:
    return _once_ready(shared[0])


def test_call_reads_the_arguments_of_a_pipe(at_hub: Cli) -> None:
    assert at_hub("call", "example_add", "-", stdin='{"a": 2, "b": -3}').out == "-1\n"


def test_call_without_arguments(at_hub: Cli) -> None:
    assert at_hub("call", "example_picture").out == "[image, image/png, 3 bytes; see --json]\n"


def test_a_pipe_gets_the_text_as_it_is(at_hub: Cli) -> None:
    assert at_hub("call", "example_escape").out == "before\x1b[2Jafter\n"


def test_a_tool_that_fails(either: Cli) -> None:
    outcome = either("call", "example_fail")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error().startswith("example_fail failed: ")
    assert outcome.error().endswith("out of paper")


def test_a_tool_that_fails_as_json(at_hub: Cli) -> None:
    outcome = at_hub("call", "example_fail", "--json")
    assert (outcome.status, outcome.json["isError"]) == (1, True)


def test_an_unknown_tool(either: Cli) -> None:
    outcome = either("call", "example_ad", "{}")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1].startswith('hub: unknown tool "example_ad"; did you mean example_add')


def test_a_tool_of_a_broken_server_says_why(either: Cli) -> None:
    outcome = either("call", "broken_tool")
    assert outcome.status == 1
    assert "exited with status 1" in outcome.err


def test_only_broken_servers_is_a_failure(cli: Cli) -> None:
    cli.write({"server": {"port": 1}, "mcpServers": {"broken": {"command": "no-such-program-anywhere"}}})
    outcome = cli("tools")
    assert (outcome.status, outcome.out) == (1, "")
    assert "no-such-program-anywhere" in outcome.error()


def test_a_hub_that_has_just_been_started(cli: Cli) -> None:
    """Its servers need a moment, which `tools` and `call` give them."""
    cli.write({"mcpServers": {"example": {"command": "${HUB_PYTHON}", "args": [EXAMPLE_SERVER]}}})
    with serving(cli, errors=subprocess.DEVNULL) as hub:
        outcome = cli("tools", "--port", hub.port)
    assert (outcome.status, outcome.err) == (0, "")
    assert [row[0] for row in outcome.rows] == NAMES


def test_no_servers_is_no_failure(cli: Cli) -> None:
    cli.write({"server": {"port": 1}})
    outcome = cli("tools")
    assert (outcome.status, outcome.out) == (0, "")
    assert "mcpServers" in outcome.error()


def on_terminal(cli: Cli, *arguments: str) -> str:
    """What a command shows on a terminal of 200 columns."""
    own, theirs = pty.openpty()
    process = subprocess.Popen(
        [HUB, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cli.folder,
        env={**cli.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 60
    while True:
        readable, _, _ = select.select([own], [], [], deadline - time.monotonic())
        assert readable, "the command is still running"
        try:
            data = os.read(own, 65536)
        except OSError:  # Linux's end of a terminal
            data = b""
        if not data:
            break
        shown += data
    os.close(own)
    assert process.wait(10) == 0
    return shown.decode()


def test_a_terminal_gets_a_table(cli: Cli) -> None:
    cli.write(
        {
            "server": {"port": 1},
            "mcpServers": {"example": {"command": "${HUB_PYTHON}", "args": [EXAMPLE_SERVER]}},
        }
    )
    shown = on_terminal(cli, "tools")
    assert "\x1b[" in shown, "colours"
    assert "description" in shown, "a heading"
    assert "example_picture" in shown
    assert "read on" not in shown, "only the first line of a description"


def test_a_terminal_without_colours(at_hub: Cli) -> None:
    plain = Cli(at_hub.folder, {**at_hub.extra, "NO_COLOR": "1"})
    assert "\x1b[36m" not in on_terminal(plain, "groups")


def test_a_terminal_is_not_repainted_by_a_tool(at_hub: Cli) -> None:
    assert "before[2Jafter" in on_terminal(at_hub, "call", "example_escape")
