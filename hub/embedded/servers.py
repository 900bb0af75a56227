"""Supervision of the embedded servers: start, watch, restart, retire."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from hub.embedded.child import Child
from hub.embedded.events import Event, Failed, Fetching, Loading, Ready
from hub.embedded.ports import ReservedPort
from hub.embedded.progress import DownloadDisplay, suitable_display

if TYPE_CHECKING:
    from hub.settings.providers import EmbeddedSettings

_FIRST_DELAY = 0.25
_LONGEST_DELAY = 30.0
_STEADY_SECONDS = 60.0
_IDLE_POLL_SECONDS = 0.5
_RETIRE_SECONDS = 300.0


class EmbeddedState(StrEnum):
    STARTING = "starting"
    FETCHING = "fetching"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    """It will not come up with these settings; `reason` says what to do."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    name: str
    state: EmbeddedState
    reason: str | None
    pid: int | None
    base_url: str
    """Of the OpenAI protocol, ending in `/v1`."""


class EmbeddedServers:
    """The llama.cpp servers that the settings ask for.

    `apply` returns at once; loading goes on in the background, and a server that dies is
    started again on the same port.
    """

    def __init__(self, display: DownloadDisplay | None = None) -> None:
        self._display = display or suitable_display()
        self._servers: dict[str, _Server] = {}
        self._retiring: dict[asyncio.Task[None], _Server] = {}

    async def apply(self, wanted: Mapping[str, EmbeddedSettings]) -> Mapping[str, str]:
        """Provider name -> base URL (OpenAI protocol).

        An unchanged server keeps its process, unless it has failed for good: then it is tried
        again. One that is no longer wanted goes on until it has answered what it is answering.
        """
        for name, server in list(self._servers.items()):
            if wanted.get(name) != server.settings or server.status.state is EmbeddedState.FAILED:
                del self._servers[name]
                self._retire(server)
        for name, settings in wanted.items():
            if name not in self._servers:
                self._servers[name] = _Server(name, settings, self._display)
        return {name: server.status.base_url for name, server in self._servers.items()}

    def _retire(self, server: _Server) -> None:
        task = asyncio.create_task(server.retire(), name=f"retire {server.status.name}")
        self._retiring[task] = server
        task.add_done_callback(self._retiring.pop)

    def status(self) -> list[EmbeddedStatus]:
        return [server.status for server in self._servers.values()]

    async def wait_ready(self, name: str, timeout: float) -> bool:
        """Whether `name` answers, waiting up to `timeout` seconds while it is on its way."""
        server = self._servers.get(name)
        return server is not None and await server.wait_ready(timeout)

    async def aclose(self) -> None:
        """Stop every process, busy or not."""
        # A retirement that is cancelled before its first step stops nothing, so its server is stopped here.
        servers = [*self._servers.values(), *self._retiring.values()]
        self._servers = {}
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in servers))
        self._display.close()


class _Server:
    """One wanted server: its port, and the task that keeps a process behind it."""

    def __init__(self, name: str, settings: EmbeddedSettings, display: DownloadDisplay) -> None:
        self.settings = settings
        self._display = display
        self._log = logging.getLogger(f"hub.embedded.{name}")
        self._port = ReservedPort()
        self._settled = asyncio.Event()
        base_url = f"http://127.0.0.1:{self._port.number}/v1"
        self.status = EmbeddedStatus(name, EmbeddedState.STARTING, None, None, base_url)
        self._task = asyncio.create_task(self._keep_running(), name=f"embedded {name}")

    def _become(self, state: EmbeddedState, reason: str | None = None, pid: int | None = None) -> None:
        before = self.status
        self.status = EmbeddedStatus(before.name, state, reason, pid, before.base_url)
        if state in (EmbeddedState.READY, EmbeddedState.FAILED):
            self._settled.set()
        else:
            self._settled.clear()

    async def _keep_running(self) -> None:
        delay = _FIRST_DELAY
        while True:
            started = time.monotonic()
            failure = await self._run_once()
            if failure.permanent:
                self._log.error("%s", failure.reason)
                self._become(EmbeddedState.FAILED, failure.reason)
                return
            if time.monotonic() - started > _STEADY_SECONDS:
                delay = _FIRST_DELAY
            self._log.warning("%s; next start in %g s", failure.reason, delay)
            self._become(EmbeddedState.RESTARTING, failure.reason)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _run_once(self) -> Failed:
        try:
            child = await Child.start(self.status.name, self.settings, self._port.number)
        except OSError as error:
            return Failed(f"cannot start the process for llama.cpp: {error}", permanent=False)
        self._become(EmbeddedState.STARTING, pid=child.pid)
        try:
            return await child.follow(lambda event: self._take(event, child.pid))
        finally:
            await child.stop()

    def _take(self, event: Event, pid: int) -> None:
        match event:
            case Fetching(done, total):
                self._display.show(self.status.name, done, total)
                reason = f"fetching the weights: {100 * done // max(total, 1)} %"
                self._become(EmbeddedState.FETCHING, reason, pid)
            case Loading(path):
                self._become(EmbeddedState.STARTING, f"loading {path}", pid)
            case Ready():
                self._log.info("answers at %s", self.status.base_url)
                self._become(EmbeddedState.READY, pid=pid)
            case Failed():
                pass  # the result of Child.follow
            case _:
                assert_never(event)

    async def wait_ready(self, timeout: float) -> bool:
        try:
            await asyncio.wait_for(self._settled.wait(), timeout)
        except TimeoutError:
            return False
        return self.status.state is EmbeddedState.READY

    async def retire(self) -> None:
        """Stop once no chat is running any more."""
        if self.status.state is EmbeddedState.READY:
            await self._wait_idle()
        await self.stop()

    async def _wait_idle(self) -> None:
        """Poll llama.cpp's list of slots: https://github.com/ggml-org/llama.cpp, tools/server, GET /slots."""
        import httpx

        url = self.status.base_url.removesuffix("/v1") + "/slots"
        deadline = time.monotonic() + _RETIRE_SECONDS
        async with httpx.AsyncClient(trust_env=False) as client:
            while time.monotonic() < deadline:
                await asyncio.sleep(_IDLE_POLL_SECONDS)
                try:
                    slots = (await client.get(url)).json()
                except (httpx.HTTPError, ValueError):
                    return
                if not any(slot["is_processing"] for slot in slots):
                    return

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._port.release()
        self._become(EmbeddedState.STOPPED)
