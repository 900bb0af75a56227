"""The MCP conformance suite through `/mcp/{server}` of the real program, in both eras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.doctor import conformance
from hub.doctor.conformance import REVISIONS, Report
from tests.conformance import table
from tests.e2e.program import ROOT, Program, environment, program
from tests.hub.mcp.harness import free_port, wait_for_port

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(300)]

SERVER = "tests.servers.conformance"
SCENARIOS = {"2025-11-25": 30, "2026-07-28": 37}
"""How many scenarios each revision requires; the lists are frozen in the suite."""
RUNS = [
    *((revision, transport) for revision in REVISIONS for transport in ("http", "stdio")),
    *((REVISIONS[0], f"{transport}_older") for transport in ("http", "stdio")),
]


@pytest.fixture(scope="module")
def command() -> list[str]:
    """Fails, and says why, where the suite is not there and cannot be fetched."""
    return conformance.install()


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
    eras = {"": "modern", "_older": "legacy"}
    with ExitStack() as stack:
        servers: dict[str, Any] = {f"stdio{suffix}": stdio_server(era) for suffix, era in eras.items()}
        for suffix, era in eras.items():
            servers[f"http{suffix}"] = {"url": stack.enter_context(http_server(era))}
        started = stack.enter_context(program(tmp_path_factory.mktemp("hub"), {"mcpServers": servers}))
        started.wait_servers(*servers)
        yield started


@pytest.fixture(scope="module")
def reports() -> dict[tuple[str, str], Report]:
    """What the runs below found."""
    return {}


def check(report: Report, revision: str) -> None:
    assert report.status == 0, report.output
    assert len(report.required) == SCENARIOS[revision], report.output
    assert all(one.passed and not one.failed for one in report.required), report.output


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_server_itself_passes(command: list[str], revision: str) -> None:
    """So that a failure below is the hub's."""
    with http_server("modern") as url:
        check(conformance.run(command, url, revision), revision)


@pytest.mark.parametrize(("revision", "server"), RUNS)
def test_the_hub_passes(
    command: list[str], hub: Program, reports: dict[tuple[str, str], Report], revision: str, server: str
) -> None:
    report = conformance.run(command, f"{hub.url}/mcp/{server}", revision)
    check(report, revision)
    assert not any(one.failed for one in report.scenarios), f"extensions pass, too:\n{report.output}"
    reports[revision, server] = report


def test_hub_doctor_runs_it_for_a_user(command: list[str], tmp_path: Path) -> None:
    """In front of one of the settings' servers, through a hub of its own."""
    settings = {"mcpServers": {"fixture": stdio_server("modern"), "other": {"command": "no-such-program"}}}
    (tmp_path / "hub.yaml").write_text(json.dumps(settings))
    doctor = [sys.executable, "-m", "hub", "doctor", "--conformance", "fixture", "--json"]
    variables = {"PYTHONPATH": str(ROOT), conformance.FOLDER_VARIABLE: str(conformance.folder())}
    done = subprocess.run(
        doctor,
        cwd=tmp_path,
        env=environment(tmp_path, variables),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(run["revision"], run["passed"]) for run in told["runs"]] == [(one, True) for one in REVISIONS]


def test_these_are_the_published_results(reports: dict[tuple[str, str], Report]) -> None:
    assert len(reports) == len(RUNS), "not all runs passed"
    if os.environ.get("HUB_CONFORMANCE_RECORD"):
        table.record(reports)
    for run in table.recorded()["runs"]:
        published = [one for one in run["scenarios"] if one["kind"] == "required"]
        found = reports[run["revision"], run["server"]].required
        assert {one["name"]: one["passed"] for one in published} == {one.name: one.passed for one in found}, (
            "HUB_CONFORMANCE_RECORD=1 make conformance"
        )
