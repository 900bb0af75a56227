"""A port that is known, and kept, before the server behind it listens."""

from __future__ import annotations

import socket


class ReservedPort:
    """A free port on 127.0.0.1, held by a bound socket that does not listen.

    The child binds the same port beside it (`SO_REUSEPORT`, which Linux and macOS allow to
    processes of one user). Elsewhere the port is only chosen, and free again at once.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = socket.socket()
        shared = hasattr(socket, "SO_REUSEPORT")
        if shared:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]
        if not shared:
            self.release()

    def release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
