"""What the README tells people to type, typed; and every example file, served."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from hub.settings.known_providers import KNOWN_PROVIDERS
from tests.e2e.program import ROOT, Program, environment, program

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
PYTHON_ONLY = {"PATH": str(Path(sys.executable).parent)}
"""No npx, no docker: what they would download is not what is tested here."""
MADE_BY_HAND = ("git clone ", "make ")
"""Continuous integration itself is the test of `make test`; `make run` is that of its two lines."""


def commands(page: Path) -> list[str]:
    """The commands of the console blocks, continued lines joined."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


README = [command for command in commands(ROOT / "README.md") if not command.startswith(MADE_BY_HAND)]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    settings = yaml.safe_load((ROOT / "configs" / "quickstart.yaml").read_text())
    folder = tmp_path_factory.mktemp("quickstart")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    with program(folder, settings) as running:
        running.wait_servers("time", "git", "fetch")
        yield running


@pytest.mark.model
@pytest.mark.parametrize("command", README)
def test_a_command_of_the_readme(quickstart: Program, command: str) -> None:
    arguments = shlex.split(command.replace("11434", str(quickstart.port)))
    if arguments[0] == ".venv/bin/hub":
        arguments[:1] = [sys.executable, "-m", "hub"]
    else:
        assert arguments[0] == "curl"
        arguments[1:1] = ["--silent", "--fail", "--max-time", "60"]
    more = {"HUB_SERVER__PORT": str(quickstart.port), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        arguments,
        cwd=quickstart.folder,
        env=environment(quickstart.folder, more),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_readme_has_commands_to_test() -> None:
    assert len(README) >= 5


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_an_example_is_served(tmp_path: Path, config: Path) -> None:
    text = config.read_text()
    used = re.findall(r"\$\{(?:env:)?([A-Z0-9_]+)", text)
    variables = {name: f"http://127.0.0.1:9/{name}" for name in used}
    keys = {name: "none" for provider in KNOWN_PROVIDERS.values() for name in provider.key_variables}
    variables.pop("HUB_PYTHON", None)
    with program(
        tmp_path, text, {**keys, **variables, **PYTHON_ONLY, "HUB_SERVER__HOST": "127.0.0.1"}
    ) as hub:
        assert httpx.get(f"{hub.url}/healthz", trust_env=False).status_code == 200
        assert hub.stop() == 0
