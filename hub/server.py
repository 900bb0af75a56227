"""Listening: sockets bound before anything starts, uvicorn on them, and the hub's life around it."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import Receive, Scope, Send

from hub import SERVER_NAME
from hub.app import Hub
from hub.logs.pipeline import LogPipeline
from hub.settings import LoadedSettings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LAST_SECONDS = 2.0
"""For requests that are cut to end in order, so that what they used is recorded."""
_OPEN_FILES = 65_536
"""Each stream takes two. Not the most that is allowed: some programs close every number there is at start."""

log = logging.getLogger("hub")


class PortTaken(OSError):
    """Another program listens there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(errno.EADDRINUSE, f"port {port} of {host} is taken by another program")
        self.host = host
        self.port = port


def bind(host: str, port: int) -> socket.socket:
    """A bound socket. Raises PortTaken, or OSError for a host that is not this machine's."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(2048)  # without listening, a second hub could bind the same port
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port) from None
        raise
    bound.setblocking(False)
    return bound


async def serve(
    load: Callable[[], LoadedSettings],
    listener: socket.socket,
    *,
    on_started: Callable[[Hub], None] = lambda hub: None,
    pipeline: LogPipeline | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. Raises what the first loading of the settings raises.

    `pipeline` is the log's, where there is one.
    """
    allow_many_files()
    async with Hub(load, pipeline) as hub:
        give_up_on_silent_clients(listener, hub.live.current.settings.server.limits.client_timeout)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await hub.app(scope, receive, send)

        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            headers=[("server", SERVER_NAME)],
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        await _Server(config, hub, lambda: on_started(hub)).serve(sockets=[listener])


def allow_many_files() -> None:
    """As many open connections as this user may have. Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS refuses more than its kern.maxfilesperproc
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def give_up_on_silent_clients(listener: socket.socket, seconds: float) -> None:
    """Let the kernel break connections whose other end takes nothing for so long (tcp(7), Linux).

    What has been sent and not been read costs memory, and closing would wait for it too.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections have it from the socket that accepts them
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


class _Server(uvicorn.Server):
    """uvicorn's server, told to stop by the hub and telling when it listens."""

    def __init__(self, config: uvicorn.Config, hub: Hub, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._hub = hub
        self._tell = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not uvicorn's own handlers: they raise the signal once more after the end."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        """The first signal: nothing new, and time for what is under way. The second: no more time."""
        if self.should_exit:
            self.force_exit = True
            return
        self.should_exit = True
        if not self.started:
            return
        for server in self.servers:
            server.close()
        self._hub.drain()
        seconds = self._hub.live.current.settings.server.drain_timeout
        self.config.timeout_graceful_shutdown = seconds  # type: ignore[assignment]  # to asyncio.wait_for
        if self.server_state.tasks:
            log.info("stopping: up to %g s for what is under way; a second signal cuts it", seconds)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if cut := set(self.server_state.tasks):
            log.warning("%d answers were under way and are cut", len(cut))
            for task in cut:
                task.cancel()
            await asyncio.wait(cut, timeout=_LAST_SECONDS)
