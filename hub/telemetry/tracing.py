"""Spans: one for a request of a client, below it one for each target that was asked; one for each MCP request
of a client, below it one for what its server was asked.

Token counts stand in the span of the target that answered, and nowhere else, so that nobody adds them twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from mcp.shared.exceptions import MCPError
from opentelemetry.context import Context
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from hub.requests import Request
from hub.telemetry import names
from routing.answered import Excerpt
from routing.upstream import UpstreamRequest
from routing.usage import Record

_CONTEXT = TraceContextTextMapPropagator()
_INCOMING = frozenset((b"traceparent", b"tracestate"))
_SERVED: ContextVar[Span | None] = ContextVar("served", default=None)
"""The span of the MCP request that is being answered."""


class Tracing:
    """Makes the spans. `propagate`: whether providers and MCP servers are told the trace."""

    def __init__(self, provider: TracerProvider, *, propagate: bool = True) -> None:
        self._tracer = provider.get_tracer("ccproxy-hub")
        self._propagate = propagate

    # ------------------------------------------------------------ chats

    def request(self, request: Request, scope: Scope) -> RequestTrace:
        """The trace of a client's request, below that of the client where it tells one."""
        parent = _CONTEXT.extract(_carrier(scope), Context())
        address, port = scope.get("server") or ("", None)
        attributes: dict[str, str | int] = {
            names.HTTP_METHOD: request.method,
            names.URL_PATH: request.path[:500],
            names.HUB_REQUEST: request.id,
            names.SERVER_ADDRESS: address,
            **({names.SERVER_PORT: port} if port else {}),
        }
        span = self._tracer.start_span(request.method, parent, SpanKind.SERVER, attributes)
        return RequestTrace(self, span)

    def attempt(self, parent: Span, request: UpstreamRequest, number: int) -> AttemptTrace:
        provider, _, model = request.target.decode().partition("/")
        url = urlsplit(request.url)
        attributes: dict[str, str | int] = {
            names.PROVIDER: names.PROVIDERS.get(provider, provider),
            names.REQUEST_MODEL: model,
            names.HUB_TARGET: request.target.decode(),
            names.HUB_TARGET_PROTOCOL: request.protocol,
            names.SERVER_ADDRESS: url.hostname or "",
            names.SERVER_PORT: url.port or (443 if url.scheme == "https" else 80),
            **({names.HTTP_RESEND: number} if number else {}),
        }
        context = set_span_in_context(parent, Context())
        span = self._tracer.start_span(f"chat {model}", context, SpanKind.CLIENT, attributes)
        return AttemptTrace(span, model, request.protocol)

    def headers(self, span: Span) -> dict[str, str]:
        """What an upstream is sent: which trace it is, and nothing of what other vendors keep in it."""
        if not self._propagate:
            return {}
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier, set_span_in_context(span, Context()))
        carrier.pop("tracestate", None)
        return carrier

    # ------------------------------------------------------------ tools

    @contextmanager
    def served(
        self, method: str, params: Mapping[str, Any], attributes: Mapping[str, Any], scope: Scope | None
    ) -> Iterator[None]:
        """Around the answer to an MCP request of a client, whose `_meta` or headers may tell its trace."""
        parent = _CONTEXT.extract(_meta_carrier(params) or (_carrier(scope) if scope else {}), Context())
        id_ = scope.get("state", {}).get("request_id") if scope else None
        told = {**attributes, names.HUB_REQUEST: id_} if id_ else attributes
        with self._mcp(method, params, SpanKind.SERVER, told, parent):
            yield

    @contextmanager
    def asked(self, server: str, method: str, params: Mapping[str, Any], transport: str) -> Iterator[None]:
        """Around a request to a downstream MCP server."""
        attributes = {
            names.HUB_SERVER: server,
            names.NETWORK_TRANSPORT: "pipe" if transport == "stdio" else "tcp",
        }
        parent = _SERVED.get()
        context = set_span_in_context(parent, Context()) if parent is not None else Context()
        with self._mcp(method, params, SpanKind.CLIENT, attributes, context):
            yield

    @contextmanager
    def _mcp(
        self,
        method: str,
        params: Mapping[str, Any],
        kind: SpanKind,
        attributes: Mapping[str, Any],
        parent: Context,
    ) -> Iterator[None]:
        target, more = _mcp_target(method, params)
        span = self._tracer.start_span(
            f"{method} {target}" if target else method,
            parent,
            kind,
            {names.MCP_METHOD: method, **more, **attributes},
        )
        # The MCP SDK puts the current span into what it sends.
        current = (
            use_span(span, record_exception=False, set_status_on_exception=False)
            if self._propagate
            else nullcontext()
        )
        token = _SERVED.set(span)
        try:
            with current:
                yield
        except BaseException as error:
            failed(span, _mcp_error(error))
            raise
        finally:
            _SERVED.reset(token)
            span.end()


class RequestTrace:
    """The spans of one request to the chat endpoints."""

    __slots__ = ("_attempts", "_span", "_tracing")

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self._tracing = tracing
        self._span = span
        self._attempts: list[AttemptTrace] = []

    def attempt(self, request: UpstreamRequest) -> tuple[AttemptTrace, Mapping[str, str]]:
        """A target is asked: its span, and headers that tell it of the trace."""
        attempt = self._tracing.attempt(self._span, request, len(self._attempts))
        self._attempts.append(attempt)
        return attempt, self._tracing.headers(attempt.span)

    def end(self, request: Request) -> None:
        """All is known: say it, and end every span at its own time."""
        record, span = request.record, self._span
        for attempt in self._attempts:
            attempt.end(record, answered=attempt is self._attempts[-1])
        if span.is_recording():
            span.set_attribute(names.HTTP_STATUS, request.status)
            if record is not None:
                self._tell(record)
            if request.status >= 500 or request.status == 0 or (record is not None and record.error):
                failed(span, (record.error_kind if record else None) or str(request.status))
        span.end()

    def _tell(self, record: Record) -> None:
        self._span.update_name(f"{record.operation} {record.group}" if record.group else record.operation)
        self._span.set_attributes(
            _told(
                {
                    names.HUB_GROUP: record.group,
                    names.HUB_KEY: record.caller,
                    names.HUB_CLIENT: record.client,
                    names.HUB_PROTOCOL: record.client_protocol,
                    names.HUB_ATTEMPTS: record.attempts,
                    names.HUB_LOSSES: record.losses,
                    names.HUB_COST: record.cost,
                }
            )
        )


class AttemptTrace:
    """The span of one request to a target."""

    __slots__ = ("_content_type", "_ended", "_error", "_excerpt", "_first", "_model", "_protocol", "_started",
                 "_status", "span")  # fmt: skip

    def __init__(self, span: Span, model: str, protocol: str) -> None:
        self.span = span
        self._model = model
        self._protocol = protocol
        self._started = time.time_ns()
        self._first: int | None = None
        self._ended: int | None = None
        self._status: int | None = None
        self._content_type = ""
        self._error: str | None = None
        self._excerpt = Excerpt() if span.is_recording() else None

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        self._status = status
        self._content_type = headers.get("content-type", "")

    def came(self, data: bytes) -> None:
        if self._first is None:
            self._first = time.time_ns()
        if self._excerpt is not None:
            self._excerpt.add(data)

    def failed(self, error: str) -> None:
        self._error = error
        self.over()

    def over(self) -> None:
        """No more is read from it."""
        if self._ended is None:
            self._ended = time.time_ns()

    def end(self, record: Record | None, *, answered: bool) -> None:
        span = self.span
        if span.is_recording():
            operation = record.operation if record is not None else "chat"
            operation = names.OPERATIONS.get(operation, operation)
            span.update_name(f"{operation} {self._model}")
            span.set_attribute(names.OPERATION, operation)
            self._tell(record, answered)
        span.end(self._ended)

    def _tell(self, record: Record | None, answered: bool) -> None:
        span, status = self.span, self._status
        well = status is not None and 200 <= status < 300
        if status is not None:
            span.set_attribute(names.HTTP_STATUS, status)
        if self._error is not None or not well:
            failed(span, self._error or str(status))
        if self._first is not None:
            span.set_attribute(names.FIRST_CHUNK, (self._first - self._started) / 1e9)
        if not (answered and well and record is not None):
            return
        told = self._excerpt.read(self._protocol, self._content_type) if self._excerpt else None
        usage = record.usage
        span.set_attributes(
            _told(
                {
                    names.REQUEST_STREAM: record.stream,
                    names.RESPONSE_ID: told.id if told else None,
                    names.RESPONSE_MODEL: told.model if told else None,
                    names.FINISH_REASONS: told.finish_reasons if told else None,
                    names.INPUT_TOKENS: usage.input_tokens if usage else None,
                    names.OUTPUT_TOKENS: usage.output_tokens if usage else None,
                    names.CACHED_TOKENS: usage.cached_tokens if usage else None,
                    names.CACHE_WRITE_TOKENS: usage.cache_write_tokens if usage else None,
                    names.REASONING_TOKENS: usage.reasoning_tokens if usage else None,
                    names.HUB_ESTIMATED: record.estimated or None,
                }
            )
        )
        if record.error and self._error is None:
            failed(span, record.error_kind or "error")


def failed(span: Span, error: str) -> None:
    """By the kind of error alone: what it says may be content."""
    span.set_attribute(names.ERROR, error)
    span.set_status(Status(StatusCode.ERROR))


def _told(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None and value not in ("", ())}


def _carrier(scope: Scope) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _INCOMING}


def _meta_carrier(params: Mapping[str, Any]) -> dict[str, str]:
    meta = params.get("_meta")
    if not isinstance(meta, Mapping):
        return {}
    return {name: meta[name] for name in ("traceparent", "tracestate") if isinstance(meta.get(name), str)}


def _mcp_target(method: str, params: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """What follows the method in a span's name, and the attribute that says it. No URI is in a name: there
    are too many."""
    match method:
        case "tools/call":
            name = str(params.get("name", ""))
            return name, {names.TOOL: name, names.OPERATION: "execute_tool"}
        case "prompts/get":
            name = str(params.get("name", ""))
            return name, {names.PROMPT: name}
        case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
            return "", {names.MCP_RESOURCE: str(params.get("uri", "")).partition("?")[0]}
    return "", {}


def _mcp_error(error: BaseException) -> str:
    return str(error.error.code) if isinstance(error, MCPError) else type(error).__name__
