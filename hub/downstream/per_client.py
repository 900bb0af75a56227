"""A session of its own for each client of one server (`session: per-client`).

A client of the handshake era is one session of the hub's endpoint, and has its downstream session until
that ends. A request of 2026-07-28 tells nothing certain about the client beyond itself (two windows of an
IDE send the same key and the same name), so each has a session for itself alone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from hub.downstream.calls import Caller
from hub.downstream.errors import Unavailable
from hub.downstream.input_required import is_input_required
from hub.settings.mcp import McpServerSettings

_PATIENCE_SECONDS = 10.0
"""How long a request waits for room."""
_ANSWER_SECONDS = 600.0
"""How long a session waits for the answer to its question."""
_STATE_PREFIX = "hub-session-"


class OwnSession(Protocol):
    """What is made for a client: a `DownstreamServer`."""

    subscriptions: Any

    def start(self) -> None: ...

    async def stop(self, *, patience: float = 0) -> None: ...


S = TypeVar("S", bound=OwnSession)
Send = Callable[[S, Mapping[str, Any]], Awaitable[dict[str, Any]]]


class _Entry(Generic[S]):
    __slots__ = ("idle", "key", "server", "used_at", "users")

    def __init__(self, key: object, server: S) -> None:
        self.key = key
        self.server = server
        self.users = 0
        self.used_at = 0.0
        self.idle: asyncio.TimerHandle | None = None


class ClientSessions(Generic[S]):
    """`make(caller)` makes a session's server, not yet started."""

    def __init__(self, name: str, settings: McpServerSettings, make: Callable[[Caller], S]) -> None:
        self._name = name
        self._settings = settings
        self._make = make
        self._by_client: dict[object, _Entry[S]] = {}
        self._single: set[_Entry[S]] = set()
        self._waiting: dict[str, _Entry[S]] = {}
        """Of `_single`, those that have asked and whose answer is still to come."""
        self._ending: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopped = False

    def __len__(self) -> int:
        """Sessions, those that are ending included."""
        return len(self._by_client) + len(self._single) + len(self._ending)

    async def request(self, caller: Caller, params: Mapping[str, Any], send: Send[S]) -> dict[str, Any]:
        """`send` it on the caller's session. Raises `Unavailable` when there is no room for one.

        A question of a server of 2026-07-28 ends the request; its session waits for the one that answers,
        which is known by the state that it brings back.
        """
        entry, params = self._continued(params)
        if entry is None:
            entry = await self._entry(caller)
        self._use(entry)
        waits = False
        try:
            result = await send(entry.server, params)
            waits = entry in self._single and is_input_required(result)
            return self._keep(entry, result) if waits else result
        finally:
            if not waits:
                self._release(entry)

    def _keep(self, entry: _Entry[S], result: dict[str, Any]) -> dict[str, Any]:
        entry.users -= 1
        token = secrets.token_urlsafe(16)
        self._waiting[token] = entry
        entry.idle = asyncio.get_running_loop().call_later(_ANSWER_SECONDS, self._give_up, token)
        state = result.get("requestState")
        own = f"{_STATE_PREFIX}{token}"
        return {**result, "requestState": own if state is None else f"{own}.{state}"}

    def _continued(self, params: Mapping[str, Any]) -> tuple[_Entry[S] | None, Mapping[str, Any]]:
        """The session that waits for this request, and the parameters with the server's own state."""
        state = params.get("requestState")
        if not isinstance(state, str) or not state.startswith(_STATE_PREFIX):
            return None, params
        token, dot, own = state.removeprefix(_STATE_PREFIX).partition(".")
        params = {key: value for key, value in params.items() if key != "requestState"}
        return self._waiting.pop(token, None), {**params, "requestState": own} if dot else params

    def _give_up(self, token: str) -> None:
        if (entry := self._waiting.pop(token, None)) is not None:
            self._end(entry)

    def hold(self, caller: Caller) -> S:
        """The session of a client that stays, made where there is none. Raises `Unavailable`."""
        entry = self._by_client.get(caller.key)
        if entry is None:
            if self._stopped or not self._has_room():
                raise Unavailable(self._full())
            entry = self._add(caller)
            self._wait_idle(entry)
        return entry.server

    def find(self, client: object) -> S | None:
        entry = self._by_client.get(client)
        return entry.server if entry is not None else None

    def gone(self, client: object) -> None:
        """A client's session with the hub has ended."""
        if (entry := self._by_client.get(client)) is not None:
            self._end(entry)

    async def stop(self) -> None:
        self._stopped = True
        for entry in (*self._by_client.values(), *self._single):
            self._end(entry)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _entry(self, caller: Caller) -> _Entry[S]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while (entry := self._by_client.get(caller.key)) is None:
                    if self._stopped:
                        raise Unavailable(f"server {self._name!r} is stopped")
                    if self._has_room():
                        return self._add(caller)
                    self._changed.clear()
                    await self._changed.wait()
                return entry
        except TimeoutError:
            raise Unavailable(self._full()) from None

    def _full(self) -> str:
        return (
            f"server {self._name!r} has {len(self)} sessions, and every one is in use; "
            f"raise its `max_sessions`"
        )

    def _has_room(self) -> bool:
        """Whether one more may start. Else the one that has been idle for longest has to end first."""
        if len(self) < self._settings.max_sessions:
            return True
        idle = [entry for entry in self._by_client.values() if _is_idle(entry)]
        if idle and not self._ending:
            self._end(min(idle, key=lambda entry: entry.used_at))
        return False

    def _add(self, caller: Caller) -> _Entry[S]:
        entry = _Entry(caller.key, self._make(caller))
        if caller.one_request:
            self._single.add(entry)
        else:
            self._by_client[caller.key] = entry
        entry.server.start()
        return entry

    def _use(self, entry: _Entry[S]) -> None:
        entry.users += 1
        if entry.idle is not None:
            entry.idle.cancel()
            entry.idle = None

    def _release(self, entry: _Entry[S]) -> None:
        entry.users -= 1
        if entry in self._single:
            self._end(entry)
        elif entry.users == 0 and self._by_client.get(entry.key) is entry:
            self._wait_idle(entry)
            self._changed.set()

    def _wait_idle(self, entry: _Entry[S]) -> None:
        loop = asyncio.get_running_loop()
        entry.used_at = loop.time()
        if entry.idle is not None:
            entry.idle.cancel()
        entry.idle = loop.call_later(self._settings.session_idle, self._expire, entry)

    def _expire(self, entry: _Entry[S]) -> None:
        entry.idle = None
        if _is_idle(entry):
            self._end(entry)
        else:
            self._wait_idle(entry)

    def _end(self, entry: _Entry[S]) -> None:
        """Begin to end a session; its place is free when its process is gone."""
        if entry.idle is not None:
            entry.idle.cancel()
        self._single.discard(entry)
        if self._by_client.get(entry.key) is entry:
            del self._by_client[entry.key]
        task = asyncio.create_task(entry.server.stop())
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        self._changed.set()


def _is_idle(entry: _Entry[Any]) -> bool:
    """Whether nobody would miss it: who waits for news of a resource would."""
    return entry.users == 0 and not entry.server.subscriptions.wanted
