"""The tasks of the conformance fixture: the extension of 2026-07-28, past the SDK, which has none.

What a task is at a moment follows from the time since it was made; nothing runs behind it.
https://github.com/modelcontextprotocol/ext-tasks
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_REQUIRED_CLIENT_CAPABILITY

EXTENSION = "io.modelcontextprotocol/tasks"
TOOLS = (
    "greet", "slow_compute", "failing_job", "protocol_error_job", "confirm_delete", "multi_input",
    "test_tool_with_task",
)  # fmt: skip
_ONLY_AS_TASKS = ("failing_job", "test_tool_with_task")
_JOB_SECONDS = 0.2
Json = dict[str, Any]


@dataclass
class Task:
    name: str
    due: float
    outcome: Json
    """`result` or `error` of `tasks/get`."""
    pending: Json = field(default_factory=dict)
    """What is to be asked, by key."""
    cancelled: bool = False
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @property
    def ended(self) -> bool:
        return self.cancelled or (not self.pending and time.monotonic() >= self.due)

    def state(self) -> Json:
        if self.cancelled:
            status, more = "cancelled", {}
        elif self.pending:
            status, more = "input_required", {"inputRequests": self.pending}
        elif not self.ended:
            status, more = "working", {}
        else:
            status, more = "failed" if "error" in self.outcome else "completed", self.outcome
        moments = {"createdAt": self.created, "lastUpdatedAt": datetime.now(UTC).isoformat()}
        return {
            "taskId": self.name,
            "status": status,
            **moments,
            "ttlMs": 60000,
            "pollIntervalMs": 100,
            **more,
        }


class Desk:
    """All tasks of a server, and the tools that make them."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def answer(self, method: str, params: Mapping[str, Any], *, negotiated: bool) -> Json | None:
        """What to answer; None: it is not about tasks. `negotiated`: the client knows the extension."""
        if method == "tools/call" and params.get("name") in TOOLS:
            return self._call(str(params["name"]), params, negotiated)
        if not method.startswith("tasks/"):
            return None
        if method not in ("tasks/get", "tasks/update", "tasks/cancel"):
            raise MCPError(METHOD_NOT_FOUND, "Method not found", method)
        if not negotiated:
            raise _not_negotiated()
        task = self._tasks.get(str(params.get("taskId")))
        if task is None:
            raise MCPError(INVALID_PARAMS, f"no task {params.get('taskId')}")
        if method == "tasks/get":
            return {"resultType": "complete", **task.state()}
        if method == "tasks/update":
            task.pending = {k: v for k, v in task.pending.items() if k not in params["inputResponses"]}
        elif not task.ended:
            task.cancelled = True
        return {"resultType": "complete"}

    def _call(self, name: str, params: Mapping[str, Any], negotiated: bool) -> Json:
        arguments = params.get("arguments") or {}
        if name == "greet":
            return {"resultType": "complete", **_said(f"Hello, {arguments.get('name')}!")}
        if not negotiated:
            if name in _ONLY_AS_TASKS:
                raise _not_negotiated()
            return {"resultType": "complete", **_said(f"{name} is done")}
        if name == "test_tool_with_task":
            given = (params.get("inputResponses") or {}).get("user_name")
            if given is None:
                asked = {"user_name": _elicit("What is your name?", "name")}
                return {"resultType": "input_required", "inputRequests": asked}
            return self._made({"result": _said(f"Hello, {given['content']['name']}!")})
        match name:
            case "slow_compute":
                return self._made({"result": _said("computed")}, float(arguments.get("seconds", 1)))
            case "failing_job":
                return self._made({"result": {**_said("it failed"), "isError": True}})
            case "protocol_error_job":
                return self._made({"error": {"code": INTERNAL_ERROR, "message": "it broke"}})
            case "confirm_delete":
                return self._made({"result": _said("deleted")}, pending={"sure": _elicit("Sure?", "confirm")})
            case _:
                pending = {"first": _elicit("First?", "name"), "second": _elicit("Second?", "name")}
                return self._made({"result": _said("both")}, pending=pending)

    def _made(self, outcome: Json, seconds: float = _JOB_SECONDS, pending: Json | None = None) -> Json:
        task = Task(f"task-{len(self._tasks) + 1}", time.monotonic() + seconds, outcome, dict(pending or {}))
        self._tasks[task.name] = task
        state = {**task.state(), "status": "working"}
        return {
            "resultType": "task",
            **{k: v for k, v in state.items() if k not in ("inputRequests", *outcome)},
        }


def _not_negotiated() -> MCPError:
    needed = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
    return MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "the client does not know tasks", needed)


def _said(words: str) -> Json:
    return {"content": [{"type": "text", "text": words}]}


def _elicit(message: str, field_name: str) -> Json:
    schema = {"type": "object", "properties": {field_name: {"type": "string"}}}
    params = {"mode": "form", "message": message, "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}
