"""A gateway behind a real server, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from routing.app import chat_app
from routing.gateway import Gateway
from routing.table import Group, Provider, Table, Target
from routing.upstream import AiohttpUpstream
from routing.usage import Record

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
    start: Table, *, max_body_bytes: Callable[[], int] | None = None, **options: Any
) -> AsyncIterator[Served]:
    """A gateway on `start`; assign `served.table` to swap."""
    holder: dict[str, Served] = {}
    upstream = AiohttpUpstream()
    gateway = Gateway(
        lease=lambda: nullcontext(holder["served"].table),
        upstream=upstream,
        sink=lambda record: holder["served"].take(record),
        **options,
    )
    served = holder["served"] = Served("", gateway, table=start)
    more = {"max_body_bytes": max_body_bytes} if max_body_bytes else {}
    async with running(chat_app(gateway, **more)) as url:
        served.url = url
        try:
            yield served
        finally:
            await gateway.close()


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def without(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}
