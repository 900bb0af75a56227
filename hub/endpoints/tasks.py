"""Tasks: work that goes on behind a call, and is asked after by an id.

They are of two kinds, and a client gets those of its own era alone: of 2025-11-25, where the client asks for
a task (https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks), and the extension of
2026-07-28, where the server decides (https://github.com/modelcontextprotocol/ext-tasks). Neither can say what
the other needs: there is no result to wait for in the one, and no choice for the client in the other. A
server hears of a client's support in its own era alone, so none makes a task for a client that could not ask
after it.

On endpoints of several servers the id says which server's it is, in the way of URIs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
)
from starlette.requests import Request

from hub.catalog import UriTable
from hub.endpoints import rewrite
from hub.endpoints.caller import Context, connection_of, is_modern

EXTENSION = "io.modelcontextprotocol/tasks"
METHODS = ("tasks/get", "tasks/update", "tasks/cancel", "tasks/result", "tasks/list")
_OF_2026 = frozenset(METHODS[:3])
_MOST_OWNED = 10_000
_RELATED = "io.modelcontextprotocol/related-task"
_OF_2025: Mapping[str, Any] = {"cancel": {}, "requests": {"tools": {"call": {}}}}
"""Without `list`: servers are shared, and would list the tasks of other clients."""

_Json = dict[str, Any]


def introduced(result: _Json, offered: Iterable[Mapping[str, Any]], *, modern: bool) -> _Json:
    """The hub's introduction of itself, with tasks where one of the servers behind it has them.

    `offered` are the servers' capabilities in wire form.
    """
    own = result.get("capabilities") or {}
    if modern:
        if not any(EXTENSION in (each.get("extensions") or {}) for each in offered):
            return result
        extensions = {**(own.get("extensions") or {}), EXTENSION: {}}
        return {**result, "capabilities": {**own, "extensions": extensions}}
    if not any(_calls(each.get("tasks")) for each in offered):
        return result
    return {**result, "capabilities": {**own, "tasks": _OF_2025}}


def _calls(tasks: Mapping[str, Any] | None) -> bool:
    """Whether a server of 2025-11-25 makes tasks of calls."""
    requests = (tasks or {}).get("requests") or {}
    return (requests.get("tools") or {}).get("call") is not None


def refusal(context: Context) -> MCPError | None:
    """Why a request about a task cannot be answered, whoever's task it is; None: it can."""
    method, named = context.method, (context.params or {}).get("taskId")
    if not is_modern(context):
        if method == "tasks/list":
            return MCPError(METHOD_NOT_FOUND, "the hub does not list tasks: some are other clients'", method)
        return MCPError(METHOD_NOT_FOUND, "Method not found", method) if method == "tasks/update" else None
    if method not in _OF_2026:
        return MCPError(METHOD_NOT_FOUND, "Method not found", method)
    capabilities = connection_of(context).client_capabilities
    if EXTENSION not in ((capabilities and capabilities.extensions) or {}):
        needed: _Json = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
        return MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, f"the client does not offer {EXTENSION}", needed)
    if isinstance(context.request, Request):
        written = decode_header_value(context.request.headers.get(MCP_NAME_HEADER))
        if written != named:
            message = f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
            return MCPError(HEADER_MISMATCH, message)
    return None


class Owners:
    """Which key of the hub each task belongs to: servers are shared, and cannot tell its clients apart.

    Without keys it is the id alone that lets somebody ask after a task, as in the specification; so it is for
    tasks made before the hub was started.
    """

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str], str] = OrderedDict()

    def learn(self, server: str, answer: Mapping[str, Any], key: str) -> None:
        """Remember the owner of a task, if an answer to a call is one. `key` is its name."""
        inner = answer.get("task")
        task = answer if answer.get("resultType") == "task" else inner if isinstance(inner, dict) else {}
        if key and isinstance(name := task.get("taskId"), str):
            self._keys[server, name] = key
            while len(self._keys) > _MOST_OWNED:
                self._keys.popitem(last=False)

    def may_ask(self, server: str, task: str, key: str) -> bool:
        return self._keys.get((server, task), key) == key


def unknown(params: Mapping[str, Any]) -> MCPError:
    return MCPError(INVALID_PARAMS, f"Unknown task: {params.get('taskId')}", {"taskId": params.get("taskId")})


def rewritten(answer: _Json, table: UriTable) -> _Json:
    """An answer with a task in it, for the endpoint that it leaves by: ids, and links in the final result."""
    if table.verbatim:
        return answer
    changed = rewrite.tool_result(_named(answer, table), table)
    for key in ("task", "result"):
        if isinstance(inner := changed.get(key), dict):
            changed = {**changed, key: rewrite.tool_result(_named(inner, table), table)}
    related = (changed.get("_meta") or {}).get(_RELATED)
    if isinstance(related, dict):
        changed = {**changed, "_meta": {**changed["_meta"], _RELATED: _named(related, table)}}
    return changed


def _named(value: _Json, table: UriTable) -> _Json:
    task = value.get("taskId")
    return {**value, "taskId": table.public(task)} if isinstance(task, str) else value
