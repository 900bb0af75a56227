"""Servers as processes: started, waited for, ended by pid, and their CPU time and memory read."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
_TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A process that listens on `port`. Use as a context manager."""

    def __init__(self, name: str, *arguments: str, port: int) -> None:
        self.name, self.port = name, port
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._state: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Server:
        # Not among the usage and logs of whoever runs this.
        self._state = TemporaryDirectory(prefix="hub-bench-")
        self._process = subprocess.Popen(
            [sys.executable, *self._arguments],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "XDG_STATE_HOME": self._state.name},
        )
        deadline = time.monotonic() + 60
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._state is not None
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._state.cleanup()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def cpu_seconds(self) -> float:
        """User and system time of the process itself."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    @property
    def memory_megabytes(self) -> float:
        """Resident set."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
