"""What happens in one session of a client: many turns, another model, another MCP server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.clients import CLIENTS, Client, Outcome, run
from tests.clients.install import install
from tests.clients.results import SESSION, record
from tests.clients.script import Plan, Step
from tests.clients.upstream import PROVIDERS, Upstream, upstream
from tests.e2e.program import ROOT, Program, program

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

SECONDS = 150
TURNS = 30
NOTICED = 2.5
"""Seconds that a model thinks, so that a client which was told of new tools can ask for them."""
THINKING = threading.Event()
DEAF = {"@qwen-code/qwen-code": "the client does not look for new tools while it runs"}


def server(name: str) -> dict[str, Any]:
    return {"command": sys.executable, "args": [str(ROOT / "tests" / "servers" / "tiny.py"), name]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Upstream]]:
    with upstream() as model, program(tmp_path_factory.mktemp("hub"), model.settings()) as hub:
        yield hub, model


every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


def files(home: Path, count: int) -> list[Path]:
    (home / "work").mkdir(parents=True)
    found = [home / "work" / f"part{number}.txt" for number in range(count)]
    for number, path in enumerate(found):
        path.write_text(f"this is part {number}\n")
    return found


def judge(client: Client, feature: str, plan: Plan, outcome: Outcome, more: str | None = None) -> None:
    problem = next((found for step in plan.steps if (found := plan.problem(step))), more)
    if problem is None and (outcome.status != 0 or not outcome.says(plan.word)):
        problem = f"status {outcome.status}, no answer"
    record(client.name, client.package, SESSION, feature, problem)
    assert problem is None, f"{problem}\n{outcome}"


@every_client
def test_long(served: tuple[Program, Upstream], client: Client, tmp_path: Path) -> None:
    hub, model = served
    record(client.name, client.package, SESSION, "long", "the run did not come to its end")
    paths = files(tmp_path / "home", TURNS)
    steps = (
        Step("long", (client.reads(path),), (f"this is part {number}",)) for number, path in enumerate(paths)
    )
    plan = Plan(tuple(steps))
    model.plans[plan.tag] = plan
    outcome = run(client, install(), tmp_path / "home", hub.url, "chat", plan.prompt, SECONDS)
    judge(client, "long", plan, outcome)


@every_client
def test_switch(served: tuple[Program, Upstream], client: Client, tmp_path: Path) -> None:
    hub, model = served
    record(client.name, client.package, SESSION, "switch", "the run did not come to its end")
    targets = list(PROVIDERS)
    switch(hub, targets[0])
    paths = files(tmp_path / "home", len(targets))
    steps = [Step("switch", (client.reads(paths[0]),), ("this is part 0",))]
    for number, (_, target) in enumerate(pairwise(targets), 1):
        # In the turn before: the answer that is under way comes from the old one, the next from the new.
        steps[-1] = Step("switch", steps[-1].calls, steps[-1].expect, switching(hub, target))
        steps.append(Step("switch", (client.reads(paths[number]),), (f"this is part {number}",)))
    plan = Plan(tuple(steps))
    model.plans[plan.tag] = plan
    outcome = run(client, install(), tmp_path / "home", hub.url, "switch", plan.prompt, SECONDS)
    seen = [wire for wire, _ in groupby(plan.wires)]
    judge(client, "switch", plan, outcome, None if seen == targets else f"the targets were {seen}")


def switch(hub: Program, group: str) -> None:
    answer = httpx.post(f"{hub.url}/hub/v1/switch", json={"group": group}, trust_env=False)
    assert answer.status_code == 200, answer.text


def switching(hub: Program, group: str) -> Callable[[], None]:
    return lambda: switch(hub, group)


@every_client
def test_new_tool(client: Client, tmp_path: Path) -> None:
    record(client.name, client.package, SESSION, "new tool", "the run did not come to its end")
    home = tmp_path / "home"
    paths = files(home, 3)
    (tmp_path / "hub").mkdir()
    with upstream() as model:
        settings = {**model.settings(), "mcpServers": {"notes": server("say")}}
        with program(tmp_path / "hub", settings) as hub:
            hub.wait_servers("notes")

            def add() -> None:
                hub.save({**settings, "mcpServers": {"notes": server("say"), "late": server("say")}})
                hub.wait_servers("late")

            call = client.uses("late_say_echo", {"text": "echo of the late one"})
            plan = Plan(
                (
                    Step("own", (client.reads(paths[0]),), ("this is part 0",)),
                    Step("own", (client.reads(paths[1]),), ("this is part 1",), add),
                    Step("own", (client.reads(paths[2]),), ("this is part 2",), lambda: _think(NOTICED)),
                    Step("new tool", (call,), ("echo of the late one",)),
                ),
                query=client.query,
            )
            model.plans[plan.tag] = plan
            outcome = run(client, install(), home, hub.url, "chat", plan.prompt, SECONDS)
    if client.package in DEAF:
        assert plan.problem(plan.steps[-1]), "it notices new tools now: say so on its page"
        record(client.name, client.package, SESSION, "new tool", DEAF[client.package])
        return
    judge(client, "new tool", plan, outcome)


def _think(seconds: float) -> None:
    THINKING.wait(seconds)
