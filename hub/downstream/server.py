"""One downstream server: kept connected, restarted with backoff, called by everybody.

One task owns the connection. A call uses the live session, or waits for the next one: after a
crash the first restart is immediate, later ones wait longer each time (and a call cuts that short).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import Implementation

from hub.downstream.calls import Call, Caller, NoCaller
from hub.downstream.connect import Link, open_transport
from hub.downstream.errors import (
    ConnectionLost,
    DownstreamError,
    LoginNeeded,
    NotDelivered,
    Unavailable,
    explain,
)
from hub.downstream.input_required import answer_questions, is_input_required
from hub.downstream.listing import KINDS, Kind, Listing, fetch
from hub.downstream.per_client import ClientSessions
from hub.downstream.session import ABANDONED_SECONDS, Session, open_session
from hub.downstream.status import ServerState, ServerStatus, in_words
from hub.downstream.subscriptions import Subscriptions
from hub.downstream.troubles import Troubles
from hub.downstream.watchdog import Watchdog
from hub.settings.mcp import McpServerSettings

_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 60.0
_STABLE_SECONDS = 10.0
"""A session that lived this long makes the next restart immediate again."""
_POLL_SECONDS = 60.0
"""How often lists are read again when the server cannot say that they changed."""
_REFRESH_DEBOUNCE = 0.01
_REFRESHES = 20
_SLOW_DEBOUNCE = 1.0
"""For a server that says all the time that its lists changed: after 20 readings in 20 s, one a second."""
_SAFE_TO_REPEAT = frozenset(
    {"resources/read", "prompts/get", "completion/complete", "resources/list", "tools/list", "prompts/list"}
)
"""Reading twice does no harm, so these are sent again even when the first one may have arrived."""


class DownstreamServer:
    """`start()`, then `request()`; `listing` is what it offers now, empty when it is down."""

    def __init__(
        self,
        name: str,
        settings: McpServerSettings,
        *,
        identity: Implementation,
        watchdog: Watchdog,
        on_change: Callable[[], None],
        on_resource_updated: Callable[[str, str, object], None],
        source: DownstreamServer | None = None,
        owner: Caller | None = None,
    ) -> None:
        """`on_resource_updated` hears the server, the URI, and the client that it concerns alone (or None).

        With an `owner` it is the session of that client alone, and what it offers is what `source` does.
        """
        self.name = name
        self.settings = settings
        self.listing = Listing()
        self.settled = asyncio.Event()
        """Set once it is ready, failed or disabled for the first time."""
        self.subscriptions = Subscriptions(name)
        self._identity = identity
        self._watchdog = watchdog
        self._on_change = on_change
        self._on_resource_updated = on_resource_updated
        self._log = logging.getLogger(f"hub.server.{name}")
        self._source = source
        self._owner = owner
        self.troubles: Troubles = source.troubles if source is not None else Troubles(self._log)
        self._clients: ClientSessions[DownstreamServer] | None = None
        if settings.session == "per-client" and source is None:
            self._clients = ClientSessions(name, settings, self._make_own)
        self._state: ServerState = "disabled" if settings.disabled else "starting"
        self._reason: str | None = None
        self._since = time.time()
        self._restarts = 0
        self._protocol_version: str | None = None
        self._session: Session | None = None
        self._link: Link | None = None
        self._failures = 0
        self._turned = asyncio.Event()
        self._wake = asyncio.Event()
        self._dirty: set[Kind] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._in_flight = 0
        if settings.disabled:
            self.settled.set()

    def start(self) -> None:
        if not self.settings.disabled:
            self._task = asyncio.create_task(self._supervise(), name=f"mcp-server-{self.name}")

    async def stop(self, *, patience: float = 0) -> None:
        """End the connection and the process; first wait up to `patience` seconds for calls in flight."""
        deadline = time.monotonic() + patience
        while self._task and self._in_flight and time.monotonic() < deadline:  # noqa: ASYNC110 - bounded, and rare
            await asyncio.sleep(0.02)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task], timeout=3)
        if self._clients is not None:
            await self._clients.stop()
        self.subscriptions.detach()

    def _make_own(self, caller: Caller) -> DownstreamServer:
        return DownstreamServer(
            self.name,
            self.settings,
            identity=self._identity,
            watchdog=self._watchdog,
            on_change=lambda: None,
            on_resource_updated=lambda name, uri, _: self._on_resource_updated(name, uri, caller.key),
            source=self,
            owner=caller.outside(),
        )

    def client_gone(self, client: object) -> None:
        """A client's session with the hub has ended, and with it its session with the server."""
        if self._clients is not None:
            self._clients.gone(client)

    def subscriptions_of(self, caller: Caller | None) -> Subscriptions:
        """Where a client's subscriptions belong; who cannot be told from others hears what is for all.

        Raises `Unavailable`.
        """
        if self._clients is None or caller is None or caller.one_request:
            return self.subscriptions
        return self._clients.hold(caller).subscriptions

    def release(self, uri: str, client: object) -> None:
        """The end of a subscription; `client` is the key of its caller, None where that is all clients."""
        own = self._clients.find(client) if self._clients is not None and client is not None else None
        if own is not None:
            own.subscriptions.remove(uri)
        elif self._clients is None or client is None:
            self.subscriptions.remove(uri)

    async def roots_changed(self, client: object) -> None:
        """Tell the session of a client that its roots have changed; shared ones have nobody's roots."""
        own = self._clients.find(client) if self._clients is not None else None
        if own is not None:
            await own.tell_roots_changed()

    async def tell_roots_changed(self) -> None:
        if self._session is not None and not self._session.modern:
            await self._session.notify("notifications/roots/list_changed")

    @property
    def down(self) -> bool:
        """Whether there is nothing to show of it."""
        return self._state in ("failed", "needs login", "disabled")

    def try_again(self) -> None:
        """At once, where it waits for somebody to log in: somebody may have."""
        if self._state == "needs login":
            self._wake.set()

    async def set_log_level(self, level: str, client: object = None) -> None:
        """Ask a server of the handshake era for log messages; later eras are asked per request."""
        if self._clients is not None:
            # One that starts later is told as it starts.
            if (own := self._clients.find(client)) is not None:
                await own.set_log_level(level)
            return
        if self._session is not None:
            await self._tell_log_level(self._session, level)

    async def _tell_log_level(self, session: Session, level: str) -> None:
        if session.modern or session.capabilities.get("logging") is None:
            return
        try:
            async with asyncio.timeout(5):
                await session.request("logging/setLevel", {"level": level})
        except (MCPError, DownstreamError, TimeoutError) as error:
            self._log.warning("logging/setLevel failed: %s", explain(error))

    def status(self) -> ServerStatus:
        child = self._link.child if self._link is not None else None
        return ServerStatus(
            name=self.name,
            transport=self.settings.transport,
            state=self._state,
            reason=self._reason,
            protocol_version=self._protocol_version,
            tools=len(self.listing.tools),
            resources=len(self.listing.resources) + len(self.listing.templates),
            prompts=len(self.listing.prompts),
            pid=child.pid if child is not None else None,
            restarts=self._restarts,
            since=self._since,
            sessions=len(self._clients) if self._clients is not None else None,
            notes=self.troubles.told(),
        )

    async def request(
        self, method: str, params: Mapping[str, Any], caller: Caller, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Send one client's request; the raw result, after every notification that came with it.

        `timeout` in place of that of the settings. Raises `MCPError` (the server's own answer) and
        `DownstreamError`.
        """
        timeout = timeout or self.settings.timeout
        self._in_flight += 1
        try:
            if self._clients is None or isinstance(caller, NoCaller):
                return await self._request(method, params, caller, timeout)
            if self._task is None:
                raise self._not_started()

            async def send(own: DownstreamServer, its: Mapping[str, Any]) -> dict[str, Any]:
                return await own.request(method, its, caller, timeout=timeout)

            return await self._clients.request(caller, params, send)
        finally:
            self._in_flight -= 1

    async def _request(
        self, method: str, params: Mapping[str, Any], caller: Caller, timeout: float
    ) -> dict[str, Any]:
        result = await self._send(method, params, caller, timeout)
        if is_input_required(result) and caller.can_be_asked and not caller.stateless:

            async def again(retry: Mapping[str, Any]) -> dict[str, Any]:
                return await self._send(method, retry, caller, timeout)

            return await answer_questions(self.name, caller, params, result, again)
        return result

    async def _send(
        self, method: str, params: Mapping[str, Any], caller: Caller, timeout: float
    ) -> dict[str, Any]:
        for last_try in (False, True):
            session = await self._live_session()
            try:
                return await self._send_once(session, method, params, caller, timeout)
            except NotDelivered:
                if last_try:
                    raise
            except ConnectionLost as error:
                if last_try or not self._may_repeat(method, params):
                    why = self._link.why() if self._link is not None else "it closed the connection"
                    raise ConnectionLost(f"{error}: {why}") from None
            self._drop(session)
        raise AssertionError("unreachable")

    async def _send_once(
        self, session: Session, method: str, params: Mapping[str, Any], caller: Caller, timeout: float
    ) -> dict[str, Any]:
        call: Call | None = None
        try:
            async with asyncio.timeout(timeout) as clock:
                call = Call(caller, clock, timeout)
                try:
                    result = await session.request(method, params, call)
                except asyncio.CancelledError:
                    call.abandon()
                    raise
                except Exception:
                    await call.finish()
                    raise
                await call.finish()
                return result
        except TimeoutError:
            if call is not None and call.gave_way:
                raise Unavailable(
                    f"the question of server {self.name!r} was not answered for "
                    f"{ABANDONED_SECONDS:g} s while another client was to be asked; start the request again"
                ) from None
            named = params.get("name")
            self.troubles.note("silent", f"{method} {named}" if isinstance(named, str) else method)
            raise Unavailable(
                f"server {self.name!r} gave no sign of life for {timeout:g} s during {method}; "
                f"raise its `timeout` if it needs longer"
            ) from None
        finally:
            if call is not None:
                call.end()

    def _may_repeat(self, method: str, params: Mapping[str, Any]) -> bool:
        if method in _SAFE_TO_REPEAT:
            return True
        for tool in self.listing.tools:
            if tool.get("name") == params.get("name"):
                hints = tool.get("annotations") or {}
                return bool(hints.get("readOnlyHint") or hints.get("idempotentHint"))
        return False

    async def _live_session(self) -> Session:
        """The session, found alive at this moment; else the next one."""
        if self._session is not None and self._link is not None:
            if self._link.usable and not self._session.closed.is_set():
                return self._session
            self._drop(self._session)
        if self._task is None:
            raise self._not_started()
        failures = self._failures
        self._wake.set()
        try:
            async with asyncio.timeout(self.settings.start_timeout):
                while self._session is None:
                    if self._failures > failures:
                        raise Unavailable(f"server {self.name!r} {in_words(self._state)}: {self._reason}")
                    await self._turned.wait()
                return self._session
        except TimeoutError:
            raise Unavailable(f"server {self.name!r} is not ready: {self._reason or self._state}") from None

    def _not_started(self) -> Unavailable:
        return Unavailable(f"server {self.name!r} is {'disabled' if self.settings.disabled else 'stopped'}")

    def _turn(self) -> None:
        """Let those who wait for a session look again."""
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()

    def _drop(self, session: Session) -> None:
        if self._session is session:
            self._session = None
            if self._link is not None:
                self._link.on_lost(self._link.why())

    async def _supervise(self) -> None:
        backoff = 0.0
        while True:
            began = time.monotonic()
            was_live = False
            state: ServerState = "failed"
            try:
                was_live = await self._live_once()
                reason = self._link.why() if self._link is not None else "it closed the connection"
            except Exception as error:
                self._log.debug("connection attempt failed", exc_info=True)
                reason = explain(error)
                state = "needs login" if isinstance(error, LoginNeeded) else "failed"
                exited = self._link.child.exit_reason if self._link is not None and self._link.child else None
                reason = f"{exited} ({reason})" if exited else reason
            self._restarts += 1
            if was_live and time.monotonic() - began > _STABLE_SECONDS:
                backoff = 0.0
            if was_live:
                # Its tools stay listed: a crash that a restart heals must not look like a change.
                self._enter("restarting", reason)
            else:
                self._enter(state, reason)
                self._withdraw()
                self.settled.set()
                self._failures += 1
                self._turn()
            if self._source is not None:
                # A client's own starts again when that client needs it; one that waits has woken it before.
                if not (was_live and self._in_flight):
                    await self._pause(None)
            elif backoff or not was_live:
                await self._pause(backoff or _FIRST_BACKOFF)
            backoff = min(max(backoff * 2, _FIRST_BACKOFF), _LONGEST_BACKOFF)

    async def _pause(self, seconds: float | None) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _live_once(self) -> bool:
        """Connect, serve until the connection ends. True if it became ready."""
        link = self._link = Link()
        ready = False
        refresher: asyncio.Task[None] | None = None
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self.settings.start_timeout):
                    streams = await stack.enter_async_context(
                        open_transport(self.name, self.settings, self._watchdog, link)
                    )
                    session = await stack.enter_async_context(
                        open_session(
                            self.name,
                            streams,
                            identity=self._identity,
                            on_list_changed=self._mark,
                            on_resource_updated=lambda uri: self._on_resource_updated(self.name, uri, None),
                            troubles=self.troubles,
                            owner=self._owner,
                        )
                    )
                    await session.negotiate()
                    self._dirty.clear()
                    if self._source is None:
                        listing = await self._read(session, KINDS, Listing())
                    else:
                        listing = self._source.listing
                        session.learn_tools(listing.tools)
                        if self._owner is not None and self._owner.log_level is not None:
                            await self._tell_log_level(session, self._owner.log_level)
                ready = True
                self._became_ready(session, listing)
                if self._source is None:
                    refresher = asyncio.create_task(self._refresh(session))
                await _first(session.closed, link.lost)
                self._session = None
        except Exception:
            # How the SDK's transports report that a live connection broke.
            if not ready:
                raise
            self._log.debug("the connection ended", exc_info=True)
        finally:
            self._session = None
            self.subscriptions.detach()
            if refresher is not None:
                refresher.cancel()
        return ready

    def _became_ready(self, session: Session, listing: Listing) -> None:
        self._session = session
        self._protocol_version = session.protocol_version
        self.listing = listing
        self._enter("ready", None)
        self.subscriptions.attach(session)
        self.settled.set()
        self._turn()
        self._on_change()

    def _withdraw(self) -> None:
        if self.listing != Listing():
            self.listing = Listing()
            self._on_change()

    def _enter(self, state: ServerState, reason: str | None) -> None:
        if (state, reason) != (self._state, self._reason):
            quiet = logging.INFO if self._source is None else logging.DEBUG  # there may be many of them
            level = quiet if reason is None else logging.WARNING
            self._log.log(level, "%s%s", state, f": {reason}" if reason else "")
            self._state, self._reason, self._since = state, reason, time.time()

    def _mark(self, kind: Kind) -> None:
        self._dirty.add(kind)
        self._changed.set()

    async def _read(self, session: Session, kinds: tuple[Kind, ...], before: Listing) -> Listing:
        listing = replace(before, capabilities=session.capabilities, instructions=session.instructions)
        offered = [kind for kind in kinds if listing.offers(kind)]
        for found in await asyncio.gather(*(fetch(session.request, kind) for kind in offered)):
            if "tools" in found:
                found["tools"] = session.learn_tools(found["tools"])
            listing = replace(listing, **found)  # type: ignore[arg-type] # keys are its field names
        return listing

    async def _refresh(self, session: Session) -> None:
        """Read lists again when the server says that they changed, or now and then when it cannot."""
        silent = {kind for kind in KINDS if self.listing.offers(kind) and not self.listing.announces(kind)}
        times: deque[float] = deque(maxlen=_REFRESHES)
        while not session.closed.is_set():
            try:
                async with asyncio.timeout(_POLL_SECONDS if silent else None):
                    await self._changed.wait()
                often = len(times) == _REFRESHES and time.monotonic() - times[0] < _REFRESHES
                await asyncio.sleep(_SLOW_DEBOUNCE if often else _REFRESH_DEBOUNCE)
            except TimeoutError:
                self._dirty |= silent
            self._changed.clear()
            times.append(time.monotonic())
            kinds, self._dirty = tuple(k for k in KINDS if k in self._dirty), set()
            try:
                async with asyncio.timeout(self.settings.timeout):
                    listing = await self._read(session, kinds, self.listing)
            except (MCPError, DownstreamError, ValueError, TimeoutError) as error:
                self._log.warning("its lists could not be read again: %s", explain(error))
                continue
            if listing != self.listing and self._session is session:
                self.listing = listing
                self._on_change()


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
