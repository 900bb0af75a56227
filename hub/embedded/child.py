"""One run of the child process, seen from the hub."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hub.embedded.events import Event, Failed, decode

if TYPE_CHECKING:
    from hub.settings.providers import EmbeddedSettings

_STOP_SECONDS = 2.0
_LINE_LIMIT = 1 << 20
_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)S?$", re.IGNORECASE)
_SEVERITY = re.compile(r"^[\d.]+ ([A-Z]) ")
_NOTABLE = 3


class Child:
    """Start it, follow its events until it ends, stop it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._log = logging.getLogger(f"hub.embedded.{name}")
        self._process = process
        self._errors: deque[str] = deque(maxlen=_NOTABLE)

    @classmethod
    async def start(cls, name: str, settings: EmbeddedSettings, port: int) -> Child:
        # -P: a folder called `hub` in the current directory must not be taken for this package.
        command = [sys.executable, "-P", "-m", "hub.embedded", "--model", settings.model]
        command += ["--port", str(port), "--context", str(settings.context_size)]
        if settings.threads is not None:
            command += ["--threads", str(settings.threads)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(os.environ),
            limit=_LINE_LIMIT,
            start_new_session=True,
        )
        return cls(name, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def follow(self, on_event: Callable[[Event], None]) -> Failed:
        """Report events until the child has ended; why it ended is the result."""
        said: list[Failed] = []

        def event_line(line: bytes) -> None:
            event = decode(line)
            if isinstance(event, Failed):
                said.append(event)
            elif event is not None:
                on_event(event)

        await asyncio.gather(
            _each_line(self._process.stdout, event_line), _each_line(self._process.stderr, self._log_line)
        )
        status = await self._process.wait()
        detail = self._errors[0] if self._errors else ""
        if not said:
            return Failed(f"llama.cpp ended with status {status}{detail and ': ' + detail}", permanent=False)
        return Failed(f"{said[0].reason}{detail and ' (' + detail + ')'}", said[0].permanent)

    def _log_line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        severity = _SEVERITY.match(text)
        if severity and severity[1] == "E":
            self._errors.append(text[severity.end() :])
        self._log.debug("%s", text)

    async def stop(self) -> None:
        """Close its standard input, which ends it; kill it if that is not enough."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.name == "posix":
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()
            await self._process.wait()


async def _each_line(stream: asyncio.StreamReader | None, take: Callable[[bytes], None]) -> None:
    while stream is not None:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the limit: readline has dropped it
            continue
        if not line:
            return
        take(line)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The hub's environment without what looks like a secret: llama.cpp needs none."""
    return {name: value for name, value in environ.items() if not _SECRET.search(name)}
