"""The MCP conformance suite from npm: installed once, as its lock file has it, and run against a URL.

No script of any package runs. What is installed is proved by the hashes in `suite/package-lock.json`.
https://github.com/modelcontextprotocol/conformance
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

MANIFEST = Path(__file__).with_name("suite")
PACKAGE = "@modelcontextprotocol/conformance"
VERSION: str = json.loads((MANIFEST / "package.json").read_text())["dependencies"][PACKAGE]
REVISIONS = ("2025-11-25", "2026-07-28")
OLDEST_NODE = 22
FOLDER_VARIABLE = "HUB_CONFORMANCE_DIR"

Kind = Literal["required", "extension", "pending"]
"""What a revision requires, what its extensions require, and what is not settled yet."""

_INSTALL_SECONDS = 900
_RUN_SECONDS = 300
_SCENARIO = re.compile(r"^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed$", re.MULTILINE)
_NOT_SCORED = re.compile(r"^  [✓✗] ([\w-]+) \(([\w-]+)\)$", re.MULTILINE)
_FILES = ("package.json", "package-lock.json")


class CannotRun(Exception):
    """The suite cannot be installed or started; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Passed and failed checks of one scenario."""

    name: str
    kind: Kind
    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Report:
    """One run of a revision's scenarios. `status` 0: all that is required passed."""

    status: int
    scenarios: tuple[Scenario, ...]
    output: str

    @property
    def required(self) -> tuple[Scenario, ...]:
        return tuple(one for one in self.scenarios if one.kind == "required")


def folder() -> Path:
    """Where the suite is kept between runs: `HUB_CONFORMANCE_DIR`, else in the user's cache."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("ccproxy-hub") / "conformance"


def find() -> list[str] | None:
    """The command of a suite that is installed as it should be, or `None`."""
    here = folder()
    modules = here / "node_modules"
    program = modules / PACKAGE / "dist" / "index.js"
    if not program.is_file() or any(_content(here / name) != _content(MANIFEST / name) for name in _FILES):
        return None
    node = _new_enough_node(modules)
    return [node, str(program)] if node is not None else None


def install() -> list[str]:
    """The suite's command; npm runs where it is not there or is not the right one. Raises CannotRun."""
    command = find()
    if command is not None:
        return command
    npm = shutil.which("npm")
    if npm is None:
        raise CannotRun(f"the suite {PACKAGE}@{VERSION} comes from npm, and there is no npm: install Node.js")
    here = folder()
    arguments = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    if _new_enough_node() is not None:
        arguments.append("--omit=optional")
    try:
        here.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copy(MANIFEST / name, here / name)
        done = _output(arguments, _INSTALL_SECONDS, here)
    except OSError as error:
        raise CannotRun(f"the suite cannot be put into {here}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise CannotRun(
            f"npm did not end within {_INSTALL_SECONDS} s; is the npm registry reachable?"
        ) from None
    if done.returncode != 0:
        (here / _FILES[1]).unlink(missing_ok=True)  # so that the next run tries again
        raise CannotRun(f"npm could not install {PACKAGE}@{VERSION}: {_last_words(done.stdout)}")
    command = find()
    if command is None:
        raise CannotRun(
            f"the suite needs Node {OLDEST_NODE} or later, and npm has none for this machine: install Node.js"
        )
    return command


def run(command: list[str], url: str, revision: str) -> Report:
    """Every scenario of a revision's requirements, without a list of expected failures. Raises CannotRun."""
    arguments = [*command, "server", "--url", url, "--requirements", revision]
    try:
        done = _output(arguments, _RUN_SECONDS)
    except subprocess.TimeoutExpired:
        raise CannotRun(f"the suite did not end within {_RUN_SECONDS} s at {url}") from None
    kinds: dict[str, str] = dict(_NOT_SCORED.findall(done.stdout))
    scenarios = tuple(
        Scenario(name, _kind(kinds.get(name)), int(passed), int(failed))
        for name, passed, failed in _SCENARIO.findall(done.stdout)
    )
    if not scenarios:
        raise CannotRun(f"the suite said nothing that can be read: {_last_words(done.stdout)}")
    return Report(done.returncode, scenarios, done.stdout)


def _kind(written: str | None) -> Kind:
    if written is None:
        return "required"
    return "extension" if written == "extension" else "pending"


def _new_enough_node(modules: Path | None = None) -> str | None:
    """A Node on PATH, else the one that npm brought."""
    brought = (
        [] if modules is None else [str(one) for one in sorted(modules.glob("node-*/bin")) if one.is_dir()]
    )
    candidates = [shutil.which("node"), *(shutil.which("node", path=path) for path in brought)]
    return next((node for node in candidates if node and _major(node) >= OLDEST_NODE), None)


def _major(node: str) -> int:
    try:
        version = _output([node, "--version"], 20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = version.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0


def _output(command: list[str], seconds: float, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - programs of this module, arguments as a list
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _last_words(output: str) -> str:
    """What npm or the suite said last, and what npm calls an error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("npm error ") for line in lines if line.startswith("npm error ")]
    return " ".join((errors or lines)[:3]) or "nothing"
