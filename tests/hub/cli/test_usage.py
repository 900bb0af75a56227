"""Help, wrong use and missing hubs: one line that helps, and the right exit status."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from hub.cli.commands import COMMANDS
from hub.cli.errors import did_you_mean
from hub.cli.output import clean, one_line
from tests.hub.cli.conftest import Cli


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["--config", "x", "--help"]])
def test_help_names_every_command(cli: Cli, arguments: list[str]) -> None:
    outcome = cli(*arguments)
    assert outcome.status == 0
    for command in COMMANDS:
        assert f"  {command.name} " in outcome.out
        assert command.summary in outcome.out


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_each_command_has_help(cli: Cli, command: str) -> None:
    outcome = cli(command, "--help")
    assert outcome.status == 0
    assert f"hub {command}" in outcome.out
    assert cli("help", command).out == outcome.out


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from hub.cli.run import run; status = run(['--help']);"
        "heavy = {'cyclopts', 'rich', 'pydantic', 'httpx', 'mcp', 'fastmcp'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_version(cli: Cli) -> None:
    outcome = cli("--version")
    assert outcome.status == 0
    assert outcome.out.startswith("hub 0.")


def test_no_command_is_wrong_use(cli: Cli) -> None:
    outcome = cli()
    assert (outcome.status, outcome.out) == (2, "")
    assert "Usage: hub COMMAND" in outcome.err


WRONG_USE = [
    (["sevre"], 'unknown command "sevre"; did you mean serve or secret?'),
    (["--confg", "x", "check"], "unknown option --confg; did you mean --config?"),
    (["check", "--confg", "x"], "Did you mean --config?"),
    (["check", "surplus"], "surplus"),
    (["switch"], "GROUP"),
    (["call"], "TOOL"),
    (["call", "tool", "{"], "the arguments are not JSON"),
    (["call", "tool", "[1]"], "have to be a JSON object"),
    (["tools", "--port", "many"], "--port"),
    (["status", "--url", "ftp://x"], "--url ftp://x is no address"),
    (["status", "--url", "http://x", "--port", "1"], "either --url, or --host and --port"),
    (["chat", "group", "--sytem"], "unknown option --sytem"),
    (["call", "tool", "--jsn"], "unknown option --jsn"),
    (["chat", "group", "-"], "the prompt is empty"),
    (["chat", "group", ""], "the prompt is empty"),
]


@pytest.mark.parametrize(("arguments", "reason"), WRONG_USE, ids=[" ".join(case[0]) for case in WRONG_USE])
def test_wrong_use(cli: Cli, arguments: list[str], reason: str) -> None:
    outcome = cli(*arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert reason in outcome.error()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


NEEDS_HUB = [["status"], ["switch", "a"], ["chat", "a", "hello"]]
FINDS_WITHOUT = [["tools"], ["call", "a"], ["groups"]]


@pytest.mark.parametrize("arguments", [*NEEDS_HUB, *FINDS_WITHOUT], ids=" ".join)
def test_without_a_running_hub(cli: Cli, free_port: int, arguments: list[str]) -> None:
    outcome = cli(*arguments, "--port", str(free_port))
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error() == f"no hub runs at http://127.0.0.1:{free_port}; start one: hub serve"


@pytest.mark.parametrize("arguments", NEEDS_HUB, ids=" ".join)
def test_another_program_at_the_address(cli: Cli, foreign_port: int, arguments: list[str]) -> None:
    outcome = cli("--port", str(foreign_port), *arguments)
    assert (outcome.status, outcome.out) == (1, "")
    assert f"the program at http://127.0.0.1:{foreign_port} is not a hub" in outcome.error()


def test_wrong_settings_are_one_line(cli: Cli) -> None:
    (cli.folder / "hub.yaml").write_text("groups:\n  a: {model: m}\n  b: {provider: p}\n")
    outcome = cli("tools", "--config", "hub.yaml")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error().startswith("hub.yaml:2: ")
    assert "more: hub check lists them all" in outcome.error()


def test_completion_is_installed(cli: Cli) -> None:
    cli.extra["SHELL"] = "/bin/bash"
    assert cli("--install-completion").status == 0
    (script,) = (cli.folder / "home").rglob("completions/hub")
    text = script.read_text()
    for command in COMMANDS:
        assert command.name in text
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("kimmi", ["kimi", "qwen"], "; did you mean kimi?"),
        ("zzz", ["kimi", "qwen"], "; there is: kimi, qwen"),
        ("zzz", [], ""),
        ("zzz", [f"group-{number}" for number in range(20)], ""),
    ],
)
def test_did_you_mean(word: str, known: list[str], hint: str) -> None:
    assert did_you_mean(word, known) == hint


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[2Jclear", "[2Jclear"),
        ("a\x00\x07\r\x9bb", "ab"),
        ("\u202etxet", "txet"),
        ("snow \u2603 \U0001f600", "snow \u2603 \U0001f600"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_one_line() -> None:
    assert one_line(" a\n\n b\tc\x1b ") == "a b c"
