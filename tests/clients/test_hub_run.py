"""Every client started by `hub run`, with settings of its own that have to stay as they are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.client_programs import CLIENT_PROGRAMS
from tests.clients.clients import CLIENTS, QUIET, Client, start
from tests.clients.install import Installed, install
from tests.clients.results import record
from tests.clients.script import Plan, Step
from tests.clients.upstream import Upstream, upstream
from tests.e2e.program import ROOT, Program, program

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

TARGET = "chat"
PROTOCOLS = {
    "chat": "openai",
    "responses": "openai-responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Upstream]]:
    with upstream() as server:
        notes = {"command": sys.executable, "args": [str(ROOT / "tests" / "servers" / "tiny.py"), "say"]}
        settings = {**server.settings(), "mcpServers": {"notes": notes}}
        settings["keys"] = {"all": {"key": "sk-of-this-hub-0001"}}
        with program(tmp_path_factory.mktemp("hub"), settings) as hub:
            yield hub, server


def programs(folder: Path, installed: Installed) -> str:
    """A folder with the clients' programs by their names, as a PATH has them."""
    folder.mkdir()
    for known in CLIENT_PROGRAMS.values():
        (command,) = installed.command(known.program)
        (folder / known.program).symlink_to(command)
    return str(folder)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_hub_run(served: tuple[Program, Upstream], client: Client, tmp_path: Path) -> None:
    hub, model = served
    feature = f"`hub run {client.program}`"
    record(client.name, client.package, "run", feature, "the run did not come to its end")
    home = tmp_path / "home"
    work = home / "work"
    for folder in (work / ".git", home / "tmp", home / ".codex"):
        folder.mkdir(parents=True)
    (work / "one.txt").write_text("this is file one\n")
    for name, settings in client.settings.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(json.dumps(settings))
    plan = Plan(
        (
            Step("own tool", (client.reads(work / "one.txt"),), ("this is file one",)),
            Step("MCP", (client.uses("notes_say_echo", {"text": "echo of the hub"}),), ("echo of the hub",)),
        ),
        query=client.query,
    )
    model.plans[plan.tag] = plan
    installed = install()
    environ = {
        "PATH": os.pathsep.join([programs(tmp_path / "bin", installed), *installed.path, "/usr/bin", "/bin"]),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": str(ROOT),
        "HUB_KEY": "sk-of-this-hub-0001",
        **QUIET,
        **{name: value.format(home=home) for name, value in client.environ.items()},
    }
    protocol = PROTOCOLS.get(client.name.rpartition("-")[2])
    chosen = ["--protocol", protocol] if protocol else []
    words = [plan.prompt if one == "{prompt}" else one for one in client.arguments]
    command = [sys.executable, "-m", "hub", "run", client.program, "--url", hub.url, "--group", TARGET]
    outcome = start([*command, *chosen, "--", *words], environ, work, 90)
    problems = [problem for step in plan.steps if (problem := plan.problem(step))]
    if outcome.status != 0 or not outcome.says(plan.word):
        problems.append(f"status {outcome.status}, no answer")
    for name in client.settings:
        if hub.url in (home / name).read_text():
            problems.append("the client's own settings have changed")
    if list((home / "tmp").glob("hub-run-*")):
        problems.append("files are left")
    record(client.name, client.package, "run", feature, "; ".join(problems) or None)
    assert not problems, f"{problems}\n{outcome}\n{hub.log[-1500:]}"
