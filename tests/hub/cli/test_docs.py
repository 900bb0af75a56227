"""Every command in docs/command-line.md runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.cli.commands import COMMANDS
from tests.hub.cli.conftest import HUB, Cli, serving

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "command-line.md").read_text()
EXAMPLES = [
    line
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A hub on the quickstart settings, and commands in the repository's folder that find it."""
    folder = tmp_path_factory.mktemp("quickstart")
    (folder / "home").mkdir()
    cli = Cli(folder, {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))})
    (folder / "home" / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
    with serving(
        cli, "--config", str(ROOT / "configs" / "quickstart.yaml"), cwd=ROOT, errors=subprocess.DEVNULL
    ) as hub:
        cli.extra["HUB_SERVER__PORT"] = hub.port
        cli.extra["PATH"] = f"{Path(HUB).parent}{os.pathsep}{os.environ['PATH']}"
        yield cli


@pytest.mark.model
@pytest.mark.parametrize("example", EXAMPLES)
def test_example(quickstart: Cli, example: str) -> None:
    pytest.importorskip("xllamacpp")
    done = subprocess.run(
        example,
        shell=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        env=quickstart.environ,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_every_command_is_described() -> None:
    assert len(EXAMPLES) > 10
    for command in COMMANDS:
        assert f"| `hub {command.name}" in PAGE
