"""Around each call of a downstream tool: what is held back, how often, with whose consent, how large."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, INVALID_REQUEST

from hub.downstream import Caller, DownstreamServer
from hub.downstream.listing import Definition
from hub.endpoints.handlers import RATE_LIMITED
from hub.settings.mcp import Confirm, McpServerSettings
from hub.trust.pages import Pages
from hub.trust.scan import visible
from hub.trust.warden import Warden

_MINUTE = 60.0
_SHOWN_ARGUMENTS = 1000
"""Characters of the arguments in a question to the user."""

Send = Callable[[float | None], Awaitable[dict[str, Any]]]
"""`await send(timeout)`; None: that of the server."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one tool."""

    timeout: float | None = None
    rpm: int | None = None
    confirm: Confirm = "never"
    max_result: int | None = None


def rule_of(settings: McpServerSettings, tool: str) -> Rule:
    """Of the globs that match the first that says a thing counts, then the server's entry."""
    matching = [limits for glob, limits in settings.tools.items() if fnmatchcase(tool, glob)]

    def first(name: str, otherwise: Any) -> Any:
        said = (getattr(limits, name) for limits in matching)
        return next((value for value in said if value is not None), otherwise)

    return Rule(
        first("timeout", None),
        first("rpm", None),
        first("confirm", settings.confirm),
        first("max_result", settings.max_result),
    )


def may_be_cut(settings: McpServerSettings) -> bool:
    """Whether any result of a server can be too large."""
    limits = (settings.max_result, *(each.max_result for each in settings.tools.values()))
    return any(limit is not None for limit in limits)


class Guard:
    """`call` in the place of a plain call."""

    def __init__(self, warden: Warden, clock: Callable[[], float] = time.monotonic) -> None:
        self._warden = warden
        self._clock = clock
        self.pages = Pages(clock)
        self._calls: dict[tuple[str, str], deque[float]] = {}

    async def call(
        self, server: DownstreamServer, params: Mapping[str, Any], caller: Caller, send: Send
    ) -> dict[str, Any]:
        """Raises MCPError where the call is refused, and what `send` raises."""
        tool = str(params.get("name"))
        if (why := self.refusal(server.name, tool)) is not None:
            raise MCPError(INVALID_PARAMS, why)
        rule = rule_of(server.settings, tool)
        self._count(server.name, tool, rule.rpm)
        # A request that goes on with one that was made before (2026-07-28) was agreed to then.
        first = params.get("requestState") is None
        if first and rule.confirm != "never" and _asks(rule.confirm, _definition(server, tool)):
            await _agree(server.name, tool, params.get("arguments"), caller)
        result = await send(rule.timeout)
        if rule.max_result is None or "content" not in result:
            return result
        typed = _definition(server, tool).get("outputSchema") is not None
        cut = self.pages.cut(tool, result, rule.max_result, caller.key_name, typed=typed)
        if cut is not result:
            server.troubles.note("oversized", tool)
        return cut

    def refusal(self, server: str, tool: str) -> str | None:
        """Why a tool must not be called, as far as it is held back."""
        held = next((each for each in self._warden.held(server) if each.tool == tool), None)
        if held is None:
            return None
        return (
            f"tool {visible(tool)!r} of server {server!r} is held back: {held.reason}. "
            f"Whoever runs the hub can look at it with `hub trust {server}`"
        )

    def _count(self, server: str, tool: str, rpm: int | None) -> None:
        if rpm is None:
            return
        times = self._calls.setdefault((server, tool), deque())
        now = self._clock()
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        if len(times) >= rpm:
            wait = round(times[-rpm] + _MINUTE - now, 1)
            raise MCPError(
                RATE_LIMITED,
                f"tool {tool!r} of server {server!r} may be called {rpm} times a minute; "
                f"try again in {wait:g} s",
                {"type": "rate_limit", "retryAfter": wait},
            )
        times.append(now)


def _definition(server: DownstreamServer, tool: str) -> Definition:
    return next((each for each in server.listing.tools if each.get("name") == tool), {})


def _asks(confirm: Confirm, definition: Definition) -> bool:
    hints = definition.get("annotations")
    hints = hints if isinstance(hints, dict) else {}
    harmless = hints.get("readOnlyHint") is True or hints.get("destructiveHint") is False
    return confirm == "always" or (confirm == "destructive" and not harmless)


async def _agree(server: str, tool: str, arguments: Any, caller: Caller) -> None:
    """Ask the user. Raises MCPError where that cannot be done, or the answer is not yes."""
    name = f"{visible(tool)} of the MCP server {server}"
    if (refusal := caller.refusal(server, "elicitation/create")) is not None:
        raise MCPError(
            INVALID_REQUEST,
            f"a call of {name} needs the user's consent, and this client cannot ask for it; "
            f"`confirm: never` for this tool in the settings needs none",
        ) from refusal
    shown = visible(json.dumps(arguments or {}, ensure_ascii=False))
    if len(shown) > _SHOWN_ARGUMENTS:
        shown = f"{shown[:_SHOWN_ARGUMENTS]}… ({len(shown):,} characters)"
    answer = await caller.ask(
        "elicitation/create",
        {
            "mode": "form",
            "message": f"Call {name} with {shown}?",
            "requestedSchema": {
                "type": "object",
                "properties": {"allow": {"type": "boolean", "title": "Call it", "default": True}},
                "required": ["allow"],
            },
        },
    )
    if answer.get("action") != "accept" or (answer.get("content") or {}).get("allow") is not True:
        raise MCPError(INVALID_REQUEST, f"the user did not agree to the call of {name}")
