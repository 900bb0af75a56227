"""Real servers, a real hub on a real port, and clients of both eras."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp import Client

from hub.mcp_hub import McpHub
from hub.settings.mcp import McpServerSettings, ProfileSettings

EVERYTHING = Path(__file__).parents[2] / "servers" / "everything.py"
ERAS = ("legacy", "modern")
MODES = {"legacy": "legacy", "modern": "auto"}


def stdio(*options: str, **more: Any) -> McpServerSettings:
    return McpServerSettings.model_validate(
        {"command": sys.executable, "args": [str(EVERYTHING), "stdio", *options], **more}
    )


def bind() -> socket.socket:
    # With the protocol said, asyncio turns Nagle's algorithm off; without it each answer waits 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.bind(("127.0.0.1", 0))
    return bound


def free_port() -> int:
    with bind() as probe:
        return int(probe.getsockname()[1])


@contextmanager
def remote(transport: str, *options: str, port: int | None = None) -> Iterator[McpServerSettings]:
    """A Streamable HTTP or SSE server in a process of its own."""
    port = port or free_port()
    process = subprocess.Popen([sys.executable, str(EVERYTHING), transport, "--port", str(port), *options])
    try:
        wait_for_port(port, process)
        path = "mcp" if transport == "http" else "sse"
        yield McpServerSettings.model_validate({"type": transport, "url": f"http://127.0.0.1:{port}/{path}"})
    finally:
        process.kill()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port}")


class Running:
    """A hub and where it listens."""

    def __init__(self, hub: McpHub, port: int) -> None:
        self.hub = hub
        self.port = port

    def url(self, name: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/mcp" + (f"/{name}" if name else "")

    def client(self, era: str, name: str = "", **options: Any) -> Client:
        return Client(self.url(name), mode=MODES[era], **options)


@asynccontextmanager
async def running(
    servers: Mapping[str, McpServerSettings] | None = None,
    profiles: Mapping[str, ProfileSettings] | None = None,
    *,
    settle: float = 20,
    **options: Any,
) -> AsyncIterator[Running]:
    async with McpHub(version="1.2.3", **options) as hub:
        listener = bind()
        config = uvicorn.Config(
            hub.app, log_level="warning", lifespan="off", interface="asgi3", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await hub.apply(servers or {}, profiles or {})
            if settle:
                await hub.wait_settled(settle)
            await until(lambda: server.started)
            yield Running(hub, listener.getsockname()[1])
        finally:
            server.should_exit = True
            await serving
            listener.close()


async def raw_request(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """A request in the client's era whose result no model has touched."""
    data: dict[str, Any] = {"method": method, "params": params}
    options: Any = {}
    client.session._stamp(data, options)
    return await client.session._dispatcher.send_raw_request(method, data["params"], options)


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something to become true; fails when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(0.01)


def text_of(result: Any) -> str:
    return str(result.content[0].text)


def json_of(result: Any) -> Any:
    return json.loads(text_of(result))


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid: int) -> set[int]:
    """All descendants of a process."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found |= {int(child)} | children(int(child))
    return found


@asynccontextmanager
async def listening(running: Running, era: str, name: str = "", **filters: Any) -> AsyncIterator[list[str]]:
    """A connected client of an era and the change notifications that it got so far."""
    heard: list[str] = []

    async def on_message(message: Any) -> None:
        match message:
            case types.ToolListChangedNotification():
                heard.append("tools")
            case types.ResourceListChangedNotification():
                heard.append("resources")
            case types.PromptListChangedNotification():
                heard.append("prompts")
            case types.ResourceUpdatedNotification():
                heard.append(f"updated {message.params.uri}")

    async with running.client(era, name, message_handler=on_message) as client:
        await client.list_tools()
        if era == "legacy":
            for uri in filters.get("resource_subscriptions", ()):
                await raw_request(client, "resources/subscribe", uri=uri)
            yield heard
            return
        wanted = {"tools_list_changed": True, "prompts_list_changed": True, "resources_list_changed": True}
        async with client.listen(**(wanted | filters)):
            yield heard


def environment_without(*names: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in names}
