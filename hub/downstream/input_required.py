"""A server of 2026-07-28 in front of a client that can be asked: the hub asks and retries.

Such a server answers with `InputRequiredResult` instead of asking in the middle of a request; the
request is sent again with the answers and the server's opaque state.
https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

from hub.downstream.calls import Caller

_MOST_ROUNDS = 10
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 0.25

Send = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


def is_input_required(result: Mapping[str, Any]) -> bool:
    return result.get("resultType") == "input_required"


async def answer_questions(
    server: str, caller: Caller, params: Mapping[str, Any], result: dict[str, Any], send: Send
) -> dict[str, Any]:
    """Ask the client whatever the server needs until it answers. Raises `MCPError`."""
    pause = _FIRST_PAUSE
    for _ in range(_MOST_ROUNDS):
        if not is_input_required(result):
            return result
        retry = {k: v for k, v in params.items() if k not in ("inputResponses", "requestState")}
        if (questions := result.get("inputRequests")) is not None:
            retry["inputResponses"] = await _ask_all(server, caller, questions)
        else:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        if (state := result.get("requestState")) is not None:
            retry["requestState"] = state
        result = await send(retry)
    raise MCPError(INTERNAL_ERROR, f"server {server!r} asked for input more than {_MOST_ROUNDS} times")


async def _ask_all(server: str, caller: Caller, questions: Mapping[str, Any]) -> dict[str, Any]:
    answers = {}
    for key, question in questions.items():
        method = str(question.get("method"))
        if (refusal := caller.refusal(server, method)) is not None:
            raise refusal
        answers[key] = await caller.ask(method, _for_handshake_era(method, question.get("params")))
    return answers


def _for_handshake_era(method: str, params: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """2025-11-25 requires an id in a URL elicitation; 2026-07-28 has none."""
    if method == "elicitation/create" and params is not None and params.get("mode") == "url":
        return {"elicitationId": secrets.token_hex(8), **params}
    return params
