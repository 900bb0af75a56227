"""The real program in a process of its own, with nothing of this machine's settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.hub.mcp.harness import free_port

ROOT = Path(__file__).parents[2]
_START_SECONDS = 30


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """No keys, no settings of the user's, a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), **(more or {})}


class Program:
    """`hub serve` on `folder/hub.yaml`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any] | str, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.file = folder / "hub.yaml"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.save(settings)
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hub", "serve", "--config", str(self.file), "--port", str(self.port)],
            cwd=folder,
            env=environment(folder, {"PYTHONPATH": str(ROOT), **environ}),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def save(self, settings: Mapping[str, Any] | str) -> None:
        """As an editor does: a new file takes the old one's name."""
        text = settings if isinstance(settings, str) else json.dumps(settings, indent=1)
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_started(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/healthz", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, f"the hub ended:\n{self.log}"
            time.sleep(0.02)
        raise AssertionError(f"the hub does not answer:\n{self.log}")

    def status(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/hub/v1/status", trust_env=False)
        document: dict[str, Any] = answer.json()
        return document

    def wait_servers(self, *names: str) -> None:
        """Until these servers are ready."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            states = {server["name"]: server["state"] for server in self.status()["servers"]}
            if all(states.get(name) == "ready" for name in names):
                return
            time.sleep(0.02)
        raise AssertionError(f"{states}\n{self.log}")

    def stop(self) -> int:
        """Ask it to end, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self._log.close()
        return self.process.returncode


@contextmanager
def program(
    folder: Path, settings: Mapping[str, Any] | str, environ: Mapping[str, str] | None = None
) -> Iterator[Program]:
    started = Program(folder, settings, environ or {})
    try:
        started.wait_started()
        yield started
    finally:
        started.stop()
