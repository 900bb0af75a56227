"""What is told of a tool call: who called which tool, how it went, how long it took and how large it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import orjson

from hub.downstream.errors import DownstreamError
from hub.endpoints.caller import Context, connection_of
from hub.trust.audit import Audit
from hub.usage.records import ToolRecord, ToolSink
from routing.call import client_name


class ToolAccount:
    """Around one call: `item` when the tool is known, `result` when there is one; told at the end."""

    __slots__ = (
        "_answer",
        "_audit",
        "_context",
        "_params",
        "_profile",
        "_server",
        "_sink",
        "_started",
        "_tool",
    )

    def __init__(
        self,
        sink: ToolSink | None,
        profile: str,
        context: Context,
        params: Mapping[str, Any],
        audit: Audit,
    ) -> None:
        self._audit = audit
        self._sink = sink
        self._profile = profile
        self._context = context
        self._params = params
        self._server = self._tool = ""
        self._answer: Mapping[str, Any] | None = None
        self._started = time.perf_counter()

    def item(self, server: str, tool: str) -> None:
        self._server, self._tool = server, tool

    def called_with(self, params: Mapping[str, Any]) -> None:
        """The call itself, where a tool of the hub's passed it on."""
        self._params = params

    def result(self, answer: Mapping[str, Any]) -> None:
        self._answer = answer

    def __enter__(self) -> ToolAccount:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink is None:
            return
        duration = time.perf_counter() - self._started
        answer, arguments = self._answer, self._params.get("arguments")
        failed = "tool" if answer is not None and answer.get("isError") else None
        self._sink(
            ToolRecord(
                time=time.time() - duration,
                request_id=_request_id(self._context),
                caller=_caller(self._context),
                client=_client(self._context),
                profile=self._profile,
                server=self._server,
                tool=self._tool,
                error_kind=failed if error is None else _kind(error),
                duration=duration,
                bytes_in=_size(arguments),
                bytes_out=_size(answer),
                arguments_hash=self._audit.hashed(arguments),
                arguments=self._audit.kept(arguments),
            )
        )


def _kind(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "client_gone"
    return "unavailable" if isinstance(error.__cause__, DownstreamError) else "refused"


def _state(context: Context) -> Mapping[str, Any]:
    """Of the HTTP request that brought the call. None outside of HTTP."""
    scope = getattr(context.request, "scope", None)
    return scope.get("state", {}) if scope is not None else {}


def _caller(context: Context) -> str:
    return str(getattr(_state(context).get("caller"), "name", ""))


def _request_id(context: Context) -> str:
    return str(_state(context).get("request_id", ""))


def _client(context: Context) -> str:
    """As it called itself; else by its user agent."""
    params = connection_of(context).client_params
    if params is not None:
        return params.client_info.name
    headers = getattr(context.request, "headers", {})
    return client_name(headers.get("user-agent", "").encode())


def _size(value: Any) -> int:
    """Bytes as JSON; 0 for nothing, and for what orjson cannot write (integers beyond 64 bits)."""
    if value is None:
        return 0
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return 0
