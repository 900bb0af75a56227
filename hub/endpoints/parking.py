"""A client of 2026-07-28 in front of a server that asks in the middle of a request.

Such a client takes a question as the result of its request, and sends the request again with the
answer. Meanwhile the request to the server is parked here, still open.
https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

_PATIENCE_SECONDS = 600.0
"""How long a client may think about an answer."""
_STATE_PREFIX = "hub-parked-"

Result = dict[str, Any]


class Questions:
    """What a server has asked one client during one request, and is still waiting for."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[dict[str, Any], asyncio.Future[Result]]] = {}
        self._numbers = itertools.count(1)
        self.asked = asyncio.Event()

    async def ask(self, method: str, params: Mapping[str, Any] | None) -> Result:
        """Wait for the client's answer."""
        key = f"question-{next(self._numbers)}"
        question: dict[str, Any] = {"method": method}
        if params is not None:
            question["params"] = dict(params)
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._open[key] = (question, answer)
        self.asked.set()
        try:
            return await answer
        finally:
            self._open.pop(key, None)
            if not self._open:
                self.asked.clear()

    def as_result(self, state: str) -> Result:
        return {
            "resultType": "input_required",
            "inputRequests": {key: question for key, (question, _) in self._open.items()},
            "requestState": state,
        }

    def answer(self, answers: Mapping[str, Any]) -> None:
        """Hand the answers over. One that is missing stays open and will be asked for again."""
        for key, (_, future) in list(self._open.items()):
            value = answers.get(key)
            if isinstance(value, Mapping) and not future.done():
                future.set_result({k: v for k, v in value.items() if k != "resultType"})
                self._open.pop(key, None)
        if not self._open:
            self.asked.clear()


class _Parked:
    def __init__(self, work: Coroutine[Any, Any, Result], questions: Questions, caller: Any) -> None:
        self.task = asyncio.create_task(work)
        self.questions = questions
        self.caller = caller
        self.expiry: asyncio.TimerHandle | None = None


class ParkingLot:
    """The parked requests of one endpoint."""

    def __init__(self) -> None:
        self._parked: dict[str, _Parked] = {}

    async def start(self, work: Coroutine[Any, Any, Result], questions: Questions, caller: Any) -> Result:
        """Run a request until it ends or asks. Returns its result, or the question as one."""
        return await self._drive(_Parked(work, questions, caller))

    def is_parked(self, state: object) -> bool:
        """Whether a request's state is one of ours, and not one of the server's own."""
        return isinstance(state, str) and state.startswith(_STATE_PREFIX)

    async def resume(self, state: str, answers: Mapping[str, Any], caller: Any) -> Result:
        """Go on with a parked request, on behalf of the request that brings the answers."""
        parked = self._parked.pop(state, None)
        if parked is None:
            raise MCPError(
                INVALID_PARAMS, "the request that this answers is not waiting any more; start it again"
            )
        if parked.expiry is not None:
            parked.expiry.cancel()
        parked.caller.continue_as(caller)
        parked.questions.answer(answers)
        return await self._drive(parked)

    def close(self) -> None:
        for parked in self._parked.values():
            parked.task.cancel()
        self._parked.clear()

    async def _drive(self, parked: _Parked) -> Result:
        asked = asyncio.create_task(parked.questions.asked.wait())
        try:
            await asyncio.wait([parked.task, asked], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            parked.task.cancel()
            # The server hears of it before this request is over.
            with suppress(asyncio.CancelledError, Exception):
                await asyncio.wait([parked.task], timeout=1)
            raise
        finally:
            asked.cancel()
        if parked.task.done():
            return parked.task.result()
        state = _STATE_PREFIX + secrets.token_urlsafe(24)
        self._parked[state] = parked
        parked.expiry = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._expire, state)
        return parked.questions.as_result(state)

    def _expire(self, state: str) -> None:
        parked = self._parked.pop(state, None)
        if parked is not None:
            parked.task.cancel()
