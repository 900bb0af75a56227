"""A stdio server: a child in a process group of its own, and JSON-RPC over its pipes.

Framing and the order of a graceful end (close standard input, wait, SIGTERM, SIGKILL):
https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#shutdown
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    ErrorData,
    JSONRPCError,
    JSONRPCRequest,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from hub.downstream.environment import child_environment, redact, secret_values
from hub.downstream.errors import UNDELIVERED_MARK, Unavailable
from hub.downstream.pipe import InputPipe
from hub.downstream.session import Streams
from hub.downstream.watchdog import Watchdog
from hub.settings.mcp import McpServerSettings

_CHUNK = 256 * 1024
_LONGEST_LINE = 128 * 1024 * 1024
_LONGEST_LOG_LINE = 4096
_CLOSE_SECONDS = 0.8
"""For a server to leave after its standard input was closed; SDK-made ones need about 0.1 s."""
_TERMINATE_SECONDS = 0.8
_KILL_SECONDS = 0.5
_PF_EXITING = 0x4
"""linux/sched.h"""


def _is_dying(pid: int) -> bool:
    """Whether a process has ended or is bound to: also one whose SIGKILL is on its way.

    Waiting for its status tells this only once its last thread is gone; a request sent in that
    moment may be taken from the pipe by a thread that will never run again.
    """
    try:
        # proc_pid_stat(5): after the name come state (3), ... flags (9), ... pending signals (31).
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        state, flags, pending = fields[0], int(fields[6]), int(fields[28])
    except FileNotFoundError:
        return Path("/proc/self/stat").exists()
    except ProcessLookupError:
        return True
    return state in b"ZX" or bool(flags & _PF_EXITING) or bool(pending & 1 << signal.SIGKILL - 1)


class Child:
    """A running child process and its group."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: InputPipe, watchdog: Watchdog) -> None:
        self._process = process
        self._pipe = pipe
        self._watchdog = watchdog
        self.pid = process.pid
        watchdog.add(self.pid)

    @property
    def alive(self) -> bool:
        """Whether it runs at this moment, asked of the system and not of the event loop."""
        return self._process.returncode is None and not _is_dying(self.pid)

    @property
    def exit_reason(self) -> str | None:
        code = self._process.returncode
        if code is None:
            return None
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process exited with status {code}"

    async def end(self) -> None:
        """Close its input, wait, then end the whole group. Bounded, and safe to call twice."""
        try:
            self._pipe.close()
            if not await self._gone(_CLOSE_SECONDS):
                self._signal(signal.SIGTERM)
                await self._gone(_TERMINATE_SECONDS)
        finally:
            # Also for descendants that outlived their parent.
            self._signal(signal.SIGKILL)
            self._watchdog.remove(self.pid)
        await self._gone(_KILL_SECONDS)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _gone(self, seconds: float) -> bool:
        # Not `Process.wait()`: it also waits for the pipes, which a grandchild may hold open.
        deadline = asyncio.get_running_loop().time() + seconds
        while self._process.returncode is None:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True


def _find(settings: McpServerSettings, environment: Mapping[str, str]) -> tuple[str, Path | None]:
    """The program's full path and the folder to start it in. Raises `Unavailable`."""
    command = settings.command or ""
    folder = settings.cwd.expanduser() if settings.cwd is not None else None
    if folder is not None and not folder.is_dir():
        raise Unavailable(f"its `cwd` {str(folder)!r} is not a folder")
    program = shutil.which(str(Path(command).expanduser()), path=environment.get("PATH"))
    if program is None and folder is not None:
        program = shutil.which(str(folder / command))
    if program is None:
        raise Unavailable(f"command {command!r} was not found on PATH; install it or give its full path")
    return program, folder


async def spawn(
    settings: McpServerSettings, environment: Mapping[str, str], pipe: InputPipe
) -> asyncio.subprocess.Process:
    """Start the program. Raises `Unavailable` with what to do when it cannot be started."""
    program, folder = _find(settings, environment)
    try:
        return await asyncio.create_subprocess_exec(
            program,
            *settings.args,
            stdin=pipe.child_end,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(
            f"command {settings.command!r} could not be started: {error.strerror or error}"
        ) from error


@asynccontextmanager
async def stdio_streams(
    name: str, settings: McpServerSettings, watchdog: Watchdog, on_child: Callable[[Child], None]
) -> AsyncIterator[Streams]:
    """Start the server; yield its messages. Its whole process group is gone afterwards."""
    log = logging.getLogger(f"hub.server.{name}")
    environment = child_environment(settings.env, os.environ)
    pipe = InputPipe()
    try:
        process = await spawn(settings, environment, pipe)
    except BaseException:
        pipe.close()
        raise
    child = Child(process, pipe, watchdog)
    on_child(child)
    received, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, sent = anyio.create_memory_object_stream[SessionMessage](0)
    pumps = [
        asyncio.create_task(_read(process, pipe, received, log)),
        asyncio.create_task(_write(pipe, sent, received)),
        asyncio.create_task(_log_errors(process, log, secret_values(settings.env))),
    ]
    try:
        yield incoming, outgoing
    finally:
        with anyio.CancelScope(shield=True):
            await child.end()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for stream in (received, incoming, outgoing, sent):
                stream.close()
            _release(process)


def _release(process: asyncio.subprocess.Process) -> None:
    # Nothing public closes the pipes that a surviving descendant may hold; without it they warn at
    # garbage collection.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        with suppress(PermissionError, ProcessLookupError):
            transport.close()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines of almost any length (`readline` has a limit); one that never ends must not fill the memory."""
    rest = bytearray()
    while chunk := await stream.read(_CHUNK):
        rest += chunk
        if b"\n" in chunk:
            *whole, last = rest.split(b"\n")
            rest = bytearray(last)
            for line in whole:
                yield bytes(line)
        elif len(rest) > _LONGEST_LINE:
            yield bytes(rest)  # which is no message, and so is left out
            rest.clear()
    if rest:
        yield bytes(rest)


async def _read(
    process: asyncio.subprocess.Process,
    pipe: InputPipe,
    received: MemoryObjectSendStream[SessionMessage | Exception],
    log: logging.Logger,
) -> None:
    if process.stdout is None:
        return
    try:
        async for line in _lines(process.stdout):
            if not line.strip():
                continue
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValidationError:
                log.warning(
                    "standard output is for messages only; ignored: %.200s", line.decode(errors="replace")
                )
                continue
            await received.send(SessionMessage(message))
        for request in pipe.unread():
            await received.send(_undelivered(request))
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError):
        pass
    finally:
        received.close()


def _undelivered(request: RequestId) -> SessionMessage:
    error = ErrorData(code=CONNECTION_CLOSED, message="its process had ended", data=UNDELIVERED_MARK)
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=request, error=error))


async def _write(
    pipe: InputPipe,
    sent: MemoryObjectReceiveStream[SessionMessage],
    received: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    try:
        async for item in sent:
            message = item.message
            line = message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
            try:
                await pipe.write(line, message.id if isinstance(message, JSONRPCRequest) else None)
            except BrokenPipeError:
                if not isinstance(message, JSONRPCRequest):
                    continue
                await received.send(_undelivered(message.id))
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass
    finally:
        sent.close()


async def _log_errors(
    process: asyncio.subprocess.Process, log: logging.Logger, secrets: tuple[str, ...]
) -> None:
    if process.stderr is None:
        return
    with suppress(ConnectionError):
        async for line in _lines(process.stderr):
            if text := line.decode(errors="replace").rstrip():
                log.info("%s", redact(text, secrets)[:_LONGEST_LOG_LINE])
