"""Every client through every target protocol: whole loops, and what happens when the upstream fails."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.clients import CLIENTS, Client, Outcome, run
from tests.clients.install import Installed, install
from tests.clients.results import record
from tests.clients.script import Plan, Step
from tests.clients.upstream import PROVIDERS, Upstream, upstream
from tests.e2e.program import ROOT, Program, program

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]

SECONDS = 90  # more than any client here takes to give up
TOOL = "notes_say_echo"
# Protocols that carry a signature or an encrypted form of the thinking.
SIGNED = ("responses", "anthropic", "gemini")


@dataclass(frozen=True, slots=True)
class Bench:
    hub: Program
    upstream: Upstream
    installed: Installed

    def run(self, client: Client, target: str, plan: Plan, home: Path, *features: str) -> Outcome:
        for feature in features:  # nothing older may stand for a run that fails in between
            record(client.name, client.package, target, feature, "the run did not come to its end")
        self.upstream.plans[plan.tag] = plan
        self.upstream.faults.clear()
        (home / "work").mkdir(parents=True)
        for name in ("one", "two", "three"):
            (home / "work" / f"{name}.txt").write_text(f"this is file {name}\n")
        return run(client, self.installed, home, self.hub.url, target, plan.prompt, SECONDS)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("hub")
    with upstream() as server:
        notes = {"command": sys.executable, "args": [str(ROOT / "tests" / "servers" / "tiny.py"), "say"]}
        settings = {**server.settings(), "mcpServers": {"notes": notes}}
        with program(folder, settings) as hub:
            hub.wait_servers("notes")
            yield Bench(hub, server, install())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    # Clients put the path of their home into prompts: it must not look like a plan or hold odd characters.
    return tmp_path / "home"


every_cell = pytest.mark.parametrize(
    ("client", "target"),
    [
        pytest.param(client, target, id=f"{client.name}:{target}")
        for client in CLIENTS
        for target in PROVIDERS
    ],
)


def why(outcome: Outcome, plan: Plan, bench: Bench) -> str:
    """Everything that helps to find out, on one line."""
    losses = bench.upstream.faults[:1]
    texts = (f"status {outcome.status}", *losses, outcome.errors[-300:], outcome.output[-600:])
    return re.sub(r"\s+", " ", "; ".join(one for one in texts if one)).strip()


@every_cell
def test_loop(bench: Bench, client: Client, target: str, home: Path) -> None:
    one, two, three = (home / "work" / f"{name}.txt" for name in ("one", "two", "three"))
    plan = Plan(
        (
            Step("own tool", (client.reads(one),), ("this is file one",)),
            Step("parallel", (client.reads(two), client.reads(three)), ("file two", "file three")),
            Step("failing", (client.fails or client.reads(home / "work" / "missing.txt"),)),
            Step("MCP", (client.uses(TOOL, {"text": "echo of the hub"}),), ("echo of the hub",)),
        ),
        query=client.query,
    )
    signed = ("thinking",) if target in SIGNED else ()
    features = ("answer", *signed, *(step.feature for step in plan.steps))
    outcome = bench.run(client, target, plan, home, *features)
    problems: dict[str, str] = {}
    told = why(outcome, plan, bench)
    for step in plan.steps:
        problem = plan.problem(step)
        record(client.name, client.package, target, step.feature, problem and f"{problem}; {told}")
        if problem:
            problems[step.feature] = problem
    if outcome.status != 0 or not outcome.says(plan.word):
        problems["answer"] = "the client does not give the answer"
    record(
        client.name,
        client.package,
        target,
        "answer",
        problems.get("answer") and f"{problems['answer']}; {told}",
    )
    for feature in signed:
        lost = (
            None
            if plan.replayed
            else "the client sends the thinking back without its signature, or not at all"
        )
        record(client.name, client.package, target, feature, lost)
    assert not problems, f"{problems}\n{told}\n{bench.hub.log[-1500:]}"


def reported(outcome: Outcome) -> bool:
    """It ended, and with a failing status or a word about the error."""
    return bool(outcome.status) or "the script says no" in outcome.output + outcome.errors


def tells_error(outcome: Outcome) -> bool:
    """Whether it speaks of an error, apart from fields that say there is none."""
    told = outcome.output + outcome.errors
    return (
        "error" in re.sub(r'"\w*errors?"\s*:\s*(?:false|null|0|""|\[\]|\{\})', "", told, flags=re.I).lower()
    )


def judge(
    client: Client, target: str, feature: str, outcome: Outcome, problem: str | None, told: str
) -> None:
    if outcome.status is None:
        problem = f"it does not end in {SECONDS} s"
    record(client.name, client.package, target, feature, problem and f"{problem}; {told}")
    assert problem is None, f"{problem}\n{told}"


@every_cell
def test_busy_upstream(bench: Bench, client: Client, target: str, home: Path) -> None:
    plan = Plan(failures=[503])
    outcome = bench.run(client, target, plan, home, "busy")
    assert not plan.failures
    good = (outcome.status == 0 and outcome.says(plan.word)) or reported(outcome)
    problem = None if good else "neither an answer nor an error"
    judge(client, target, "busy", outcome, problem, why(outcome, plan, bench))


@every_cell
def test_refusal(bench: Bench, client: Client, target: str, home: Path) -> None:
    plan = Plan(refuse=400)
    outcome = bench.run(client, target, plan, home, "refused")
    problem = None if reported(outcome) else "the refusal is not reported"
    judge(client, target, "refused", outcome, problem, why(outcome, plan, bench))


@every_cell
def test_stream_that_breaks_off(bench: Bench, client: Client, target: str, home: Path) -> None:
    plan = Plan(cut=1)
    outcome = bench.run(client, target, plan, home, "cut")
    assert not plan.cut
    # Half an answer with a good end would be a lie: the word is in the second half.
    good = outcome.says(plan.word) or outcome.status != 0 or tells_error(outcome)
    problem = None if good else "half an answer passes for a whole one"
    judge(client, target, "cut", outcome, problem, why(outcome, plan, bench))
