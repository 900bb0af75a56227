"""A gateway behind a real server, for tests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from routing.app import chat_app
from routing.gate import Gate
from routing.gateway import Gateway
from routing.lean_upstream import LeanUpstream
from routing.table import Group, Provider, Table, Target
from routing.upstream import Upstream
from routing.usage import Record

upstream_client: Callable[[], Upstream] = LeanUpstream
"""The client of the gateways that are made here."""
PROVIDER_KEY = "sk-provider-secret-0123456789"
BASE_PATHS = {"openai": "/v1", "openai-responses": "/v1", "anthropic": "", "gemini": "", "ollama": ""}
"""What the protocol's own SDK has behind the host in its base URL."""


def provider(protocol: str, url: str, name: str = "up", **more: Any) -> Provider:
    more.setdefault("api_keys", (PROVIDER_KEY,))
    return Provider(name, protocol, url + BASE_PATHS[protocol], **more)


def group(*targets: Target, name: str = "g", **more: Any) -> Group:
    return Group(name, targets, **more)


def table(*groups: Group, default: str | None = None) -> Table:
    return Table({each.name: each for each in groups}, default)


def simple_table(protocol: str, url: str, model: str = "real-model", **more: Any) -> Table:
    return table(group(Target(provider(protocol, url, **more), model)))


@dataclass
class Served:
    url: str
    gateway: Gateway
    records: list[Record] = field(default_factory=list)
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    table: Table = field(default_factory=Table)

    def take(self, record: Record) -> None:
        self.records.append(record)
        self.recorded.set()


@asynccontextmanager
async def serving(
    start: Table,
    *,
    max_body_bytes: Callable[[], int] | None = None,
    gate: Gate | None = None,
    listener: socket.socket | None = None,
    **options: Any,
) -> AsyncIterator[Served]:
    """A gateway on `start`; assign `served.table` to swap."""
    holder: dict[str, Served] = {}
    upstream = upstream_client()
    gateway = Gateway(
        lease=lambda: nullcontext(holder["served"].table),
        upstream=upstream,
        sink=lambda record: holder["served"].take(record),
        **options,
    )
    served = holder["served"] = Served("", gateway, table=start)
    more = {"max_body_bytes": max_body_bytes} if max_body_bytes else {}
    async with running(chat_app(gateway, gate=gate, **more), listener) as url:
        served.url = url
        try:
            yield served
        finally:
            await gateway.close()


@asynccontextmanager
async def running(app: Any, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """uvicorn's protocol on a socket, without the ticking of its main loop."""
    config = uvicorn.Config(app, log_level="critical", lifespan="off")
    config.load()
    state = ServerState()

    def protocol() -> asyncio.Protocol:
        made: asyncio.Protocol = config.http_protocol_class(config=config, server_state=state, app_state={})
        return made

    where: dict[str, Any] = {"sock": listener} if listener else {"host": "127.0.0.1", "port": 0}
    server = await asyncio.get_running_loop().create_server(protocol, **where)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
