"""`hub serve`: its port, its start and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.hub.cli.conftest import EXAMPLE_SERVER, Cli, RunningHub, serving

CONFIGS = Path(__file__).parents[3] / "configs"


def test_a_port_of_a_hub(cli: Cli, shared: tuple[Cli, RunningHub]) -> None:
    outcome = cli("serve", "--port", shared[1].port)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error() == (
        f"a hub runs at {shared[1].url} already: hub status shows it; "
        f"for a second one: hub serve --port {int(shared[1].port) + 1}"
    )


def test_a_port_of_ollama(cli: Cli, ollama_port: int) -> None:
    outcome = cli("serve", "--port", str(ollama_port))
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error() == (
        f"port {ollama_port} is taken by Ollama; "
        f"use another one: hub serve --port {ollama_port + 1} (or stop Ollama)"
    )


def test_a_port_of_someone(cli: Cli, foreign_port: int) -> None:
    outcome = cli("serve", "--port", str(foreign_port))
    assert outcome.status == 1
    assert f"port {foreign_port} is taken by another program" in outcome.error()
    assert f"hub serve --port {foreign_port + 1}" in outcome.error()


def test_a_host_of_someone_else(cli: Cli) -> None:
    cli.write({"keys": {"me": {"key": "k" * 20}}})
    outcome = cli("serve", "--host", "192.0.2.1", "--port", "0")
    assert (outcome.status, outcome.out) == (1, "")
    assert "cannot listen on 192.0.2.1:0" in outcome.error()


@pytest.mark.parametrize("text", ["groups: {a: {model: m, provider: nobody}}", "a: [", "server: {prt: 1}"])
def test_wrong_settings(cli: Cli, text: str) -> None:
    (cli.folder / "hub.yaml").write_text(text)
    outcome = cli("serve", "--port", "0")
    assert (outcome.status, outcome.out) == (1, "")
    assert "hub.yaml" in outcome.error()


def test_the_start_says_where_everything_is(cli: Cli) -> None:
    cli.write(
        {
            "groups": {"mine": {"model": "m", "provider": "ollama"}},
            "mcpServers": {"example": {"command": "${HUB_PYTHON}", "args": [EXAMPLE_SERVER]}},
            "profiles": {"narrow": {}},
        }
    )
    process = cli.start("serve", "--port", "0", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ctrl-C"):
        lines.append(process.stdout.readline())
        assert lines[-1], "it ended early"
    text = "".join(lines)
    url = lines[0].split()[-1]
    for wanted in (
        f"{url}/mcp ",
        f"{url}/mcp/narrow",
        f"{url}/v1 ",
        "1 MCP server: example",
        "1 group: mine",
    ):
        assert wanted in text
    assert f'hub chat mine "Hello" --port {url.rpartition(":")[2]}' in text
    assert httpx.get(f"{url}/healthz").status_code == 200
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=15)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in errors


def test_without_settings_it_says_what_to_do(cli: Cli) -> None:
    process = cli.start("serve", "--port", "0", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    text = ""
    while "Ctrl-C" not in text:
        line = process.stdout.readline()
        assert line, "it ended early"
        text += line
    assert "serves what it found" in text
    assert "hub.yaml" in text
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=15)
    assert process.returncode == 0


def children_of(pid: int) -> set[int]:
    """All processes below `pid`."""
    found: set[int] = set()
    parents = {
        int(stat.parent.name): int(stat.read_text().rpartition(")")[2].split()[1])
        for stat in Path("/proc").glob("[0-9]*/stat")
    }
    below = [pid]
    while below:
        parent = below.pop()
        new = [child for child, of in parents.items() if of == parent]
        found.update(new)
        below += new
    return found


def gone(pids: set[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
    return True


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.model
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_quickstart_runs_and_leaves_nothing(cli: Cli, ending: signal.Signals) -> None:
    pytest.importorskip("xllamacpp")
    cli.extra["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    with serving(cli, "--config", str(CONFIGS / "quickstart.yaml"), errors=subprocess.DEVNULL) as hub:
        at = ("--port", hub.port)
        if ending == signal.SIGINT:
            chat = cli("chat", "local", "Say hello.", "--max-tokens", "10", *at)
            assert chat.status == 0, chat.err
            assert chat.out.strip()
            assert cli("call", "time_get_current_time", '{"timezone": "UTC"}', *at).status == 0
        children = children_of(hub.process.pid)
        assert children
        hub.process.send_signal(ending)
        hub.process.wait(15)
        assert gone(children, 3)
    assert hub.process.returncode == (0 if ending != signal.SIGKILL else -signal.SIGKILL)
