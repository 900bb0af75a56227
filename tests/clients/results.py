"""What the runs found, one JSON file per run, gathered into one document by `table`."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.clients.install import VERSIONS, folder

FEATURES = {
    "answer": "an answer",
    "own tool": "a tool of the client, its result, the next turn",
    "parallel": "two calls in one turn",
    "failing": "a tool that fails",
    "MCP": "an MCP tool that the hub serves",
    "thinking": "the signature of the model's thinking comes back to it",
    "busy": "503, then an answer: the client gives the answer or reports",
    "refused": "400 for good: the client reports and ends",
    "cut": "a stream that breaks off: repeated or reported",
}

SESSION = "session"
"""In the place of a target, for what is tried with several or with any."""
IN_SESSION = {
    "long": "30 turns with a tool in one conversation",
    "switch": "`hub switch` in the middle, through targets of all five protocols",
    "new tool": "a new MCP server in the settings: its tool is called in the same session",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`reason` tells why it does not work, and None that it does."""

    client: str
    package: str
    version: str
    target: str
    feature: str
    reason: str | None
    date: str


def results_folder() -> Path:
    return folder() / "results"


def record(client: str, package: str, target: str, feature: str, reason: str | None) -> None:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    finding = Finding(client, package, VERSIONS[package], target, feature, reason, today)
    results_folder().mkdir(parents=True, exist_ok=True)
    name = f"{client}--{target}--{feature}".translate(str.maketrans(" /", "--"))
    path = results_folder() / f"{name}.json"
    path.write_text(json.dumps(asdict(finding), indent=1))


def gather() -> list[Finding]:
    return [Finding(**json.loads(path.read_text())) for path in sorted(results_folder().glob("*--*.json"))]
