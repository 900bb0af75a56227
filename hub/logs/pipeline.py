"""From what is said to where it is written, by a thread of its own.

Whoever says something puts one object into a queue; making lines, masking secrets and writing is the
thread's work, for many at once. What it cannot keep up with, or cannot write, is left out, never waited for.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import orjson

from hub.logs import lines
from hub.logs.files import LogFile, default_file
from hub.requests import Request, request_id
from hub.scrub import Scrubber
from hub.settings.observability import LogSettings
from hub.settings.server import LogLevel
from hub.usage.records import ToolRecord
from routing.usage import Record

OWN = ("hub", "routing", "adapters")
"""Loggers that follow the settings' level; those of libraries only warn."""
_BATCH_SECONDS = 0.05
_MOST_WAITING = 20_000

Said = Record | ToolRecord | Request | lines.Line


class _Handler(logging.Handler):
    """The root logger's. Libraries that set logging up anew close handlers: that ends nothing here."""

    def __init__(self, pipeline: LogPipeline) -> None:
        super().__init__()
        self._pipeline = pipeline

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._pipeline.say(record)
        except Exception:
            self.handleError(record)


class LogPipeline:
    """A handler for the root logger, and a sink for records. `start` it once, `close` it at the end.

    `port` names the log file where the settings do not.
    """

    def __init__(
        self, settings: LogSettings, level: LogLevel, port: int, *, stream: TextIO | None = None
    ) -> None:
        self._handler = _Handler(self)
        self.scrubber = Scrubber()
        """Of the settings that hold now; assign another one at any time."""
        self._stream = stream if stream is not None else sys.stderr
        self._port = port
        self._waiting: deque[Said] = deque()
        self._dropped = 0
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._idle = False
        self._ended = False
        self._complained = False
        self._file: LogFile | None = None
        self._retired: deque[LogFile] = deque()
        """Files of earlier settings, for the thread to close: it may be writing."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self.follow(settings, level)

    @property
    def file(self) -> Path | None:
        """Where the lines go; None: to no file."""
        return self._file.path if self._file is not None else None

    def follow(self, settings: LogSettings, level: LogLevel) -> None:
        """Work by these settings from now on."""
        path = _file_of(settings, self._port)
        if self._file is not None:
            self._retired.append(self._file)
        self._settings = settings
        self._lowest = lines.rank(settings.level or level)
        self._file = LogFile(path, settings.max_size, settings.keep) if path is not None else None
        for name in OWN:
            logging.getLogger(name).setLevel((settings.level or level).upper())

    def start(self) -> None:
        root = logging.getLogger()
        root.handlers[:] = [self._handler]
        root.setLevel(logging.WARNING)
        self._thread.start()
        atexit.register(self.close)

    def close(self) -> None:
        """Write what is left, and end. Later messages go nowhere."""
        if not self._ended:
            self._ended = True
            self._wake.set()
            self._hurry.set()
            if self._thread.is_alive():
                self._thread.join(5)
            if self._file is not None:
                self._file.close()
            root = logging.getLogger()
            root.removeHandler(self._handler)
            atexit.unregister(self.close)

    # ------------------------------------------------------------ saying something

    def say(self, event: logging.LogRecord) -> None:
        """What a logger says. It is written at once, with what waits."""
        self._put(lines.of_event(event, request_id()))
        self._hurry.set()

    def take(self, record: Record | ToolRecord) -> None:
        """A sink for chats and tool calls."""
        if self._settings.access:
            self._put(record)

    def done(self, request: Request) -> None:
        """Of requests that are no chats: those that failed, and at `debug` all."""
        if request.record is None and self._settings.access and (request.status >= 400 or self._lowest == 0):
            self._put(request)

    def _put(self, said: Said) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append(said)
        if self._idle:
            self._wake.set()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._ended:
            self._idle = True
            if not self._waiting:
                self._wake.wait()
            self._idle = False
            self._wake.clear()
            self._hurry.wait(_BATCH_SECONDS)  # what comes in a moment is written with it
            self._hurry.clear()
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        file, for_file = self._file, list[bytes]()
        for_stream: list[str] = []
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._waiting.append(_own(f"{dropped} lines of the log were left out: too many at once"))
        for line, data in self._masked():
            if file is not None:
                for_file.append(data)
            if line["logger"] != lines.ACCESS or file is None:
                for_stream.append(data.decode() if self._settings.format == "json" else lines.text(line))
        _tolerate(lambda: self._to_stream(for_stream), for_stream)
        if for_file and file is not None:
            self._to_file(file, b"\n".join(for_file) + b"\n")
        while self._retired:
            self._retired.popleft().close()

    def _masked(self) -> list[tuple[lines.Line, bytes]]:
        """All that waits and is wanted, without secrets, each line also as JSON."""
        found: list[tuple[lines.Line, bytes]] = []
        while self._waiting:
            try:
                line = _line(self._waiting.popleft())
                if lines.rank(line["level"]) >= self._lowest:
                    found.append((line, orjson.dumps(line, default=str)))
            except Exception as error:  # one line that cannot be made must not end the log
                said = _own(f"a line of the log could not be made: {type(error).__name__}")
                found.append((said, orjson.dumps(said)))
        scrubber = self.scrubber
        if not scrubber.suspects(b"\n".join(data for _, data in found).decode()):
            return found
        masked = [scrubber.values(line) for line, _ in found]
        return [(line, orjson.dumps(line, default=str)) for line in masked]

    def _to_stream(self, texts: list[str]) -> None:
        self._stream.write("\n".join(texts) + "\n")
        self._stream.flush()

    def _to_file(self, file: LogFile, data: bytes) -> None:
        try:
            file.write(data)
            self._complained = False
        except OSError as error:
            if not self._complained:
                self._complained = True
                said = _own(f"the log file {file.path} cannot be written: {error.strerror}; it is left out")
                _tolerate(lambda: self._to_stream([lines.text(said)]), [""])


def _line(said: Said) -> lines.Line:
    match said:
        case Record():
            return lines.of_chat(said)
        case ToolRecord():
            return lines.of_tool(said)
        case Request():
            return lines.of_other(said)
        case _:
            return said


def _own(message: str) -> lines.Line:
    event = logging.LogRecord("hub.logs", logging.WARNING, "", 0, message, None, None)
    return lines.of_event(event, "")


def _tolerate(write: Callable[[], None], what: list[str]) -> None:
    """Standard error may be a terminal that has gone: there is nobody left to tell."""
    if what:
        try:
            write()
        except (OSError, ValueError):
            return


def _file_of(settings: LogSettings, port: int) -> Path | None:
    match settings.file:
        case False:
            return None
        case True:
            return default_file(port)
        case path:
            return path.expanduser()
