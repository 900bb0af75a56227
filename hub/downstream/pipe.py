"""A child's standard input, with the exact count of what the child has read of it.

When a child dies, the bytes that it never read stay in the pipe for as long as its writer is open.
So a request that a child cannot have seen is told from one that it may have acted upon, and only
the former is sent again to the next child.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from collections import deque
from contextlib import suppress

from mcp_types import RequestId

_REMEMBERED = 256
"""Requests whose place in the stream is kept; far more than are ever unread."""


class InputPipe:
    """The writing end. `child_end` is for the child and is closed with `release_child_end`."""

    def __init__(self) -> None:
        self.child_end, self._fd = os.pipe()
        os.set_blocking(self._fd, False)
        self._written = 0
        self._ends: deque[tuple[RequestId, int]] = deque(maxlen=_REMEMBERED)

    def release_child_end(self) -> None:
        if self.child_end >= 0:
            os.close(self.child_end)
            self.child_end = -1

    async def write(self, data: bytes, request: RequestId | None) -> None:
        """Write all of it. Raises `BrokenPipeError` when nobody can read it any more."""
        if request is not None:
            self._ends.append((request, self._written + len(data)))
        view = memoryview(data)
        while view:
            if self._fd < 0:
                raise BrokenPipeError("the pipe is closed")
            try:
                count = os.write(self._fd, view)
            except BlockingIOError:
                await self._writable()
                continue
            self._written += count
            view = view[count:]

    def unread(self) -> list[RequestId]:
        """The requests that the child has not read to their end."""
        if self._fd < 0:
            return []
        waiting = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0\0\0\0"))[0]
        read = self._written - waiting
        return [request for request, end in self._ends if end > read]

    def close(self) -> None:
        """The child sees the end of its input."""
        self.release_child_end()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(RuntimeError):
                asyncio.get_running_loop().remove_writer(fd)
            os.close(fd)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        fd = self._fd
        loop.add_writer(fd, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            if self._fd == fd:
                loop.remove_writer(fd)
