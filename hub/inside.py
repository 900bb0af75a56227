"""What looks into the hub while it works: the log, traces, the recorder.

Traces and the recorder are off unless the settings say so, and cost nothing then.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from hub.logs.pipeline import LogPipeline
from hub.recorder.recorder import Recorder
from hub.recorder.tape import AttemptTape, Tape
from hub.requests import REQUEST, Request
from hub.scrub import Scrubber, scrubber_of
from hub.snapshot import Snapshot
from hub.telemetry import AttemptTrace, RequestTrace, Tracing
from routing.upstream import Upstream, UpstreamAnswer, UpstreamFault, UpstreamRequest

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger("hub")

_UNWATCHED = frozenset(("mcp", "hub", "metrics", "healthz", "readyz"))
"""First path segments that are no chat endpoints."""
_GOODBYE_SECONDS = 3
"""For the last spans to be sent."""


class Inside:
    """`prepare` and `follow` are listeners of the live settings; the rest is asked for each request."""

    def __init__(self, version: str, pipeline: LogPipeline | None = None) -> None:
        self._version = version
        self._log = pipeline
        self._scrubber = Scrubber()
        self._provider: TracerProvider | None = None
        self.tracing: Tracing | None = None
        self._recorder: Recorder | None = None
        self._watching = False

    # ------------------------------------------------------------ following the settings

    async def prepare(self, new: Snapshot, old: Snapshot | None) -> None:
        """Before new settings hold. Raises `SettingsError` where they ask for what is not installed."""
        telemetry = new.settings.telemetry
        if old is not None and telemetry == old.settings.telemetry:
            return
        provider = None
        if telemetry is not None and telemetry.enabled:
            from hub.telemetry.provider import tracer_provider

            provider = tracer_provider(telemetry, self._version)
            self.tracing = Tracing(provider, propagate=telemetry.propagate)
        else:
            self.tracing = None
        before, self._provider = self._provider, provider
        self._watching = self.tracing is not None or self._recorder is not None
        _say_goodbye(before)

    async def follow(self, new: Snapshot, old: Snapshot | None) -> None:
        """After new settings hold."""
        settings = new.settings
        self._scrubber = scrubber_of(new.loaded)
        if self._log is not None:
            own = settings.recorder.redact if settings.recorder is not None else ()
            self._log.scrubber = self._scrubber.with_patterns(own)
            if old is not None and (settings.log, settings.server) != (old.settings.log, old.settings.server):
                self._log.follow(settings.log, settings.server.log_level)
        await self._follow_recorder(new)

    async def _follow_recorder(self, new: Snapshot) -> None:
        """Anew for each snapshot: its secrets are others."""
        before, self._recorder = self._recorder, None
        settings = new.settings.recorder
        if settings is not None and settings.enabled:
            self._recorder = Recorder(settings, self._scrubber)
            self._recorder.start()
        self._watching = self.tracing is not None or self._recorder is not None
        if before is not None:
            await asyncio.to_thread(before.close)

    async def close(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            await asyncio.to_thread(recorder.close)
        thread = _say_goodbye(self._provider)
        if thread is not None:
            await asyncio.to_thread(thread.join, _GOODBYE_SECONDS)
        self._provider = self.tracing = None

    # ------------------------------------------------------------ one request

    def observe(self, request: Request, scope: Scope) -> Watched | None:
        if not self._watching or request.path[1:].partition("/")[0] in _UNWATCHED:
            return None
        trace = self.tracing.request(request, scope) if self.tracing is not None else None
        tape = self._recorder.tape(request, scope) if self._recorder is not None else None
        return Watched(trace, tape, self._keep)

    def _keep(self, tape: Tape) -> None:
        if self._recorder is not None:  # another one, maybe, than when the request came
            self._recorder.take(tape)

    def done(self, request: Request) -> None:
        if self._log is not None:
            self._log.done(request)

    def upstream(self, upstream: Upstream) -> Upstream:
        """`upstream`, looked at."""
        return _WatchedUpstream(upstream)

    def served(
        self, method: str, params: Mapping[str, Any], attributes: Mapping[str, Any], scope: Scope | None
    ) -> AbstractContextManager[None]:
        """Around the answer to an MCP request."""
        if self.tracing is None:
            return nullcontext()
        return self.tracing.served(method, params, attributes, scope)

    def asked(
        self, server: str, method: str, params: Mapping[str, Any], transport: str
    ) -> AbstractContextManager[None]:
        """Around a request to an MCP server."""
        return (
            nullcontext() if self.tracing is None else self.tracing.asked(server, method, params, transport)
        )


class Watched:
    """A request that is traced, recorded, or both."""

    __slots__ = ("_keep", "_tape", "_trace")

    def __init__(self, trace: RequestTrace | None, tape: Tape | None, keep: Callable[[Tape], None]) -> None:
        self._trace = trace
        self._tape = tape
        self._keep = keep

    def wrap(self, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return self._tape.wrap(receive, send) if self._tape is not None else (receive, send)

    def done(self, request: Request) -> None:
        try:
            if self._trace is not None:
                self._trace.end(request)
            if self._tape is not None:
                self._keep(self._tape)
        except Exception:  # the request has been answered; that nobody sees how is no reason to fail
            log.exception("a request could not be traced or recorded")

    async def send(self, upstream: Upstream, request: UpstreamRequest) -> UpstreamAnswer:
        trace: AttemptTrace | None = None
        if self._trace is not None:
            trace, headers = self._trace.attempt(request)
            if headers:
                request = replace(request, headers={**request.headers, **headers})
        tape = self._tape.attempt(request) if self._tape is not None else None
        watchers: list[AttemptTrace | AttemptTape] = [each for each in (trace, tape) if each is not None]
        try:
            answer = await upstream.send(request)
        except UpstreamFault as fault:
            for each in watchers:
                each.failed(fault.fault)
            raise
        except BaseException as error:
            for each in watchers:
                each.failed(
                    "cancelled" if isinstance(error, asyncio.CancelledError) else type(error).__name__
                )
            raise
        for each in watchers:
            each.answered(answer.status, answer.headers)
        return _WatchedAnswer(answer, trace, tape)


class _WatchedUpstream:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        current = REQUEST.get()
        watched = current.observation if current is not None else None
        if not isinstance(watched, Watched):
            return await self._upstream.send(request)
        return await watched.send(self._upstream, request)

    async def close(self) -> None:
        await self._upstream.close()


class _WatchedAnswer:
    __slots__ = ("_answer", "_tape", "_trace", "headers", "status")

    def __init__(self, answer: UpstreamAnswer, trace: AttemptTrace | None, tape: AttemptTape | None) -> None:
        self._answer = answer
        self._trace = trace
        self._tape = tape
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers

    async def read(self, patience: float | None = None) -> bytes:
        try:
            data = await self._answer.read(patience)
        except UpstreamFault as fault:
            self._failed(fault)
            raise
        self._came(data)
        return data

    async def read_all(self, limit: int) -> bytes:
        try:
            data = await self._answer.read_all(limit)
        except UpstreamFault as fault:
            self._failed(fault)
            raise
        self._came(data)
        return data

    def close(self) -> None:
        self._answer.close()
        for each in (self._trace, self._tape):
            if each is not None:
                each.over()

    def _came(self, data: bytes) -> None:
        if not data:
            return
        if self._trace is not None:
            self._trace.came(data)
        if self._tape is not None:
            self._tape.answer.add(data)

    def _failed(self, fault: UpstreamFault) -> None:
        for each in (self._trace, self._tape):
            if each is not None:
                each.failed(fault.fault)


def _say_goodbye(provider: TracerProvider | None) -> threading.Thread | None:
    """Send what is left and end, without keeping the loop: the collector may be gone."""
    if provider is None:
        return None
    thread = threading.Thread(target=provider.shutdown, name="telemetry", daemon=True)
    thread.start()
    return thread
