"""Resource subscriptions to one server, counted: many clients, one subscription each URI."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from typing import Any

from mcp.shared.exceptions import MCPError

from hub.downstream.errors import DownstreamError
from hub.downstream.session import Session

_RETRY_SECONDS = (0.1, 1, 5, 15)
_listen_ids = itertools.count(1)


class Subscriptions:
    """What is wanted outlives a session; `attach` makes it true on a new one."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(f"hub.server.{name}")
        self._wanted: Counter[str] = Counter()
        self._session: Session | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def wanted(self) -> bool:
        """Whether anything is."""
        return bool(self._wanted)

    def add(self, uri: str) -> None:
        self._wanted[uri] += 1
        if self._wanted[uri] == 1:
            self._open(uri)

    def remove(self, uri: str) -> None:
        if uri not in self._wanted:
            return
        self._wanted[uri] -= 1
        if self._wanted[uri] <= 0:
            del self._wanted[uri]
            self._close(uri)

    def take_over(self, other: Subscriptions) -> None:
        """Want what another one wants, which served the same clients before."""
        for uri, count in other._wanted.items():
            before = self._wanted[uri]
            self._wanted[uri] += count
            if not before:
                self._open(uri)

    def attach(self, session: Session) -> None:
        self._session = session
        if session.modern:
            self._run("", _listen(session, _lists_filter(session), self._log))
        for uri in self._wanted:
            self._open(uri)

    def detach(self) -> None:
        self._session = None
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def _open(self, uri: str) -> None:
        session = self._session
        if session is None:
            return
        if session.modern:
            self._run(uri, _listen(session, {"resourceSubscriptions": [uri]}, self._log))
        else:
            self._run(uri, _once(session, "resources/subscribe", uri, self._log))

    def _close(self, uri: str) -> None:
        task = self._tasks.pop(uri, None)
        if task is not None:
            task.cancel()
        if self._session is not None and not self._session.modern:
            self._run(uri, _once(self._session, "resources/unsubscribe", uri, self._log))

    def _run(self, key: str, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks[key] = task
        task.add_done_callback(
            lambda done: self._tasks.pop(key, None) if self._tasks.get(key) is done else None
        )


def _lists_filter(session: Session) -> dict[str, Any]:
    wanted = {
        "toolsListChanged": "tools",
        "resourcesListChanged": "resources",
        "promptsListChanged": "prompts",
    }
    return {
        key: True for key, kind in wanted.items() if (session.capabilities.get(kind) or {}).get("listChanged")
    }


async def _once(session: Session, method: str, uri: str, log: logging.Logger) -> None:
    try:
        await session.request(method, {"uri": uri})
    except (MCPError, DownstreamError) as error:
        log.warning("%s of %s failed: %s", method, uri, error)


async def _listen(session: Session, wanted: dict[str, Any], log: logging.Logger) -> None:
    """Keep one `subscriptions/listen` stream open. Its events arrive as notifications."""
    if not wanted:
        return
    for attempt in itertools.count():
        try:
            await session.request(
                "subscriptions/listen", {"notifications": wanted}, request_id=f"listen-{next(_listen_ids)}"
            )
        except (MCPError, DownstreamError) as error:
            log.debug("the change stream ended: %s", error)
        if session.closed.is_set():
            return
        await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
