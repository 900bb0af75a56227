"""The MCP conformance suite through `/mcp/{server}` of the real program, in both eras."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.conformance import suite
from tests.e2e.program import ROOT, Program, program
from tests.hub.mcp.harness import free_port, wait_for_port

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(240)]

SERVER = "tests.servers.conformance"
SCENARIOS = {"2025-11-25": 30, "2026-07-28": 37}
"""How many scenarios each revision requires; the lists are frozen in the suite."""


@pytest.fixture(scope="module")
def command() -> list[str]:
    found = suite.install() if os.environ.get("HUB_CONFORMANCE") else suite.find()
    if found is None:
        pytest.skip("the conformance suite is not installed; `make conformance` installs it")
    return found


@contextmanager
def http_server(era: str) -> Iterator[str]:
    port = free_port()
    arguments = [sys.executable, "-m", SERVER, "http", "--port", str(port), "--era", era]
    process = subprocess.Popen(arguments, cwd=ROOT)
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def stdio_server(era: str) -> dict[str, Any]:
    environment = {"PYTHONPATH": str(ROOT)}
    return {"command": sys.executable, "args": ["-m", SERVER, "stdio", "--era", era], "env": environment}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with ExitStack() as stack:
        servers: dict[str, Any] = {f"stdio_{era}": stdio_server(era) for era in ("modern", "legacy")}
        for era in ("modern", "legacy"):
            servers[f"http_{era}"] = {"url": stack.enter_context(http_server(era))}
        started = stack.enter_context(program(tmp_path_factory.mktemp("hub"), {"mcpServers": servers}))
        started.wait_servers(*servers)
        yield started


def check(report: suite.Report, revision: str) -> None:
    assert report.status == 0, report.output
    assert len(report.scored) == SCENARIOS[revision], report.output
    assert all(passed and not failed for passed, failed in report.scored.values()), report.output


@pytest.mark.parametrize("revision", suite.REVISIONS)
def test_the_server_itself_passes(command: list[str], revision: str) -> None:
    """So that a failure below is the hub's."""
    with http_server("modern") as url:
        check(suite.run(command, url, revision), revision)


@pytest.mark.parametrize("revision", suite.REVISIONS)
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_the_hub_passes(command: list[str], hub: Program, transport: str, revision: str) -> None:
    check(suite.run(command, f"{hub.url}/mcp/{transport}_modern", revision), revision)


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_the_hub_passes_in_front_of_an_older_server(command: list[str], hub: Program, transport: str) -> None:
    check(suite.run(command, f"{hub.url}/mcp/{transport}_legacy", "2025-11-25"), "2025-11-25")
