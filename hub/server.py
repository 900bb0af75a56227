"""Listening: sockets bound before anything starts, uvicorn on them, and the hub's life around it."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import Receive, Scope, Send

from hub import SERVER_NAME
from hub.app import Hub
from hub.settings import LoadedSettings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 2
"""For requests in flight when the hub is told to stop; then they are cut."""


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
) -> None:
    """Serve until SIGINT or SIGTERM. Raises what the first loading of the settings raises."""
    async with Hub(load) as hub:

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
            timeout_graceful_shutdown=_GRACE_SECONDS,
            timeout_keep_alive=75,
        )
        await _Server(config, lambda: on_started(hub)).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server, told to stop by the hub and telling when it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
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
        self.force_exit = self.should_exit  # a second signal does not wait
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._tell()
