"""The MCP Inspector's command line against the hub's MCP endpoint."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.clients import QUIET, start
from tests.clients.install import install
from tests.clients.results import record
from tests.e2e.program import ROOT, Program, program

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

PACKAGE = "@modelcontextprotocol/inspector"
CASES = {
    "tools/list": (("--method", "tools/list"), "notes_say_echo"),
    "tools/call": (
        ("--method", "tools/call", "--tool-name", "notes_say_echo", "--tool-arg", "text=back"),
        '"back"',
    ),
    "a server of its own": (
        ("--method", "tools/call", "--tool-name", "say_echo", "--tool-arg", "text=back"),
        '"back"',
    ),
    "resources/list": (("--method", "resources/list"), '"resources"'),
    "prompts/list": (("--method", "prompts/list"), '"prompts"'),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    notes = {"command": sys.executable, "args": [str(ROOT / "tests" / "servers" / "tiny.py"), "say"]}
    with program(tmp_path_factory.mktemp("hub"), {"mcpServers": {"notes": notes}}) as running:
        running.wait_servers("notes")
        yield running


@pytest.mark.parametrize("what", CASES)
def test_inspector(hub: Program, what: str, tmp_path: Path) -> None:
    arguments, expected = CASES[what]
    installed = install()
    url = f"{hub.url}/mcp/notes" if what == "a server of its own" else f"{hub.url}/mcp"
    work = tmp_path / "work"
    work.mkdir()
    environ = {"PATH": ":".join([*installed.path, "/usr/bin", "/bin"]), "HOME": str(tmp_path), **QUIET}
    command = [*installed.command("mcp-inspector"), "--cli", url, "--transport", "http", *arguments]
    outcome = start(command, environ, work, 60)
    good = outcome.status == 0 and expected in outcome.output
    record("inspector", PACKAGE, "mcp", what, None if good else f"status {outcome.status}")
    assert good, outcome
    json.loads(outcome.output)
