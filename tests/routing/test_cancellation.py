"""A client that goes away: the upstream's connection closes within a second, whatever was under way."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Literal

import httpx
import pytest

from routing.table import Group, Provider, Table, Target
from routing.usage import Record
from tests.routing.samples import SAMPLES
from tests.routing.scripted_upstream import Connection, Received, scripted
from tests.routing.serving import BASE_PATHS, serving

pytestmark = pytest.mark.usefixtures("upstream_client")

SECONDS = 1.0
OTHERS = {
    "openai": "gemini",
    "openai-responses": "anthropic",
    "anthropic": "openai",
    "gemini": "ollama",
    "ollama": "openai-responses",
}
Moment = Literal["before the head", "after the head", "in the body"]
MOMENTS: tuple[Moment, ...] = ("before the head", "after the head", "in the body")


@dataclass
class Cell:
    client: str
    target: str
    stream: bool
    moment: Moment
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """The upstream has come to the moment."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """The upstream's connection is closed."""
    took: float = -1.0
    records: list[Record] = field(default_factory=list)

    @property
    def name(self) -> str:
        how = "stream" if self.stream else "json"
        return f"{self.client}-{self.target}-{how}-{self.moment.replace(' ', '-')}"

    async def script(self, connection: Connection) -> None:
        """An upstream that comes to the moment, and there it stays."""
        theirs = SAMPLES[self.target]
        content_type = theirs.stream_type if self.stream else "application/json"
        if self.moment != "before the head":
            await connection.head(200, {"content-type": content_type})
        if self.moment == "in the body":
            half = theirs.stream[: max(1, len(theirs.stream) // 2)]
            body = json.dumps(theirs.answer).encode()
            await connection.chunk(b"".join(half) if self.stream else body[: len(body) // 2])
        self.reached.set()
        await connection.gone.wait()
        self.gone.set()

    async def leave(self, port: int, *, abruptly: bool) -> None:
        ours = SAMPLES[self.client]
        path = ours.stream_path if self.stream else ours.path
        body = json.dumps(ours.stream_body if self.stream else ours.body).encode()
        head = f"POST /{self.name}{path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + body)
        await self.reached.wait()
        if self.stream and self.moment == "in the body":
            assert b"200" in await reader.readline()
        if abruptly:  # a reset instead of an orderly end: SO_LINGER with no time
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        began = time.monotonic()
        writer.close()
        async with asyncio.timeout(10):
            await self.gone.wait()
        self.took = time.monotonic() - began


def cells() -> dict[str, Cell]:
    made = [
        Cell(client, target, stream, moment)
        for client in SAMPLES
        for target in (client, OTHERS[client])
        for stream in (False, True)
        for moment in MOMENTS
    ]
    return {cell.name: cell for cell in made}


@pytest.mark.parametrize("abruptly", [False, True], ids=["closed", "reset"])
async def test_the_upstream_is_let_go(abruptly: bool) -> None:
    all_cells = cells()

    async def script(received: Received, connection: Connection) -> None:
        await all_cells[received.target.split("/")[1]].script(connection)

    async with scripted(script) as upstream:
        groups = {
            name: Group(
                name,
                (
                    Target(
                        Provider(
                            name,
                            cell.target,
                            f"{upstream.url}/{name}{BASE_PATHS[cell.target]}",
                            ("sk-key-0",),
                        ),
                        "m",
                    ),
                ),
            )
            for name, cell in all_cells.items()
        }
        async with serving(Table(groups)) as hub:
            port = httpx.URL(hub.url).port
            assert port is not None
            async with asyncio.timeout(30):
                await asyncio.gather(*(cell.leave(port, abruptly=abruptly) for cell in all_cells.values()))
                while len(hub.records) < len(all_cells):
                    hub.recorded.clear()
                    await hub.recorded.wait()
            for record in hub.records:
                all_cells[record.group].records.append(record)
    late = {name: cell.took for name, cell in all_cells.items() if cell.took > SECONDS}
    assert late == {}
    for name, cell in all_cells.items():
        (record,) = cell.records
        began = cell.stream and cell.moment == "in the body"
        assert record.status == (200 if began else 499), name
        assert record.error == "the client went away", name
    assert len(upstream.requests) == len(all_cells), "nobody else is asked for a client that is gone"
