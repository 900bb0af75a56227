"""The fault matrix: each way of failing x what is asked for x who could answer instead.

One cell is one client protocol, passed through or converted, as JSON or as a stream. All cells of a fault
run at once, each with a group and providers of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pytest

from adapters import registry
from adapters.canonical import Failure
from routing.table import Group, Provider, Retry, Table, Target
from routing.usage import Record
from tests.routing.certificates import Authority
from tests.routing.faults.scripts import Expected, good
from tests.routing.faults.table import FAULTS, Breaks, Ends, Fails, Fault, Works
from tests.routing.samples import SAMPLES, Sample, error_message, text_of
from tests.routing.scripted_upstream import Connection, Received, scripted
from tests.routing.serving import BASE_PATHS, Served, serving

pytestmark = pytest.mark.usefixtures("upstream_client")

Policy = Literal["alone", "spare", "keys"]
KEYS = ("sk-first-key-0123", "sk-second-key-0123")
OTHERS = {
    "openai": "anthropic",
    "openai-responses": "openai",
    "anthropic": "openai",
    "gemini": "openai",
    "ollama": "openai-responses",
}
"""The protocol of the target where a conversion is wanted."""


@dataclass
class Cell:
    client: str
    target: str
    stream: bool
    expected: Expected = field(init=False)
    asked: list[str] = field(default_factory=list)
    """`first` and `second` (the key, or the target) in the order of asking."""
    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    body: bytes = b""
    broken: bool = False
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.expected = Expected(SAMPLES[self.target], self.stream)

    @property
    def name(self) -> str:
        return f"{self.client}-{self.target}-{'stream' if self.stream else 'json'}"

    @property
    def passed_through(self) -> bool:
        return self.client == self.target

    @property
    def ours(self) -> Sample:
        return SAMPLES[self.client]


def cells() -> dict[str, Cell]:
    made = [
        Cell(client, target, stream)
        for client in SAMPLES
        for target in (client, OTHERS[client])
        for stream in (False, True)
    ]
    return {cell.name: cell for cell in made}


class House:
    """The upstreams of all cells: `/{cell}/{who}/…`."""

    def __init__(self, fault: Fault, policy: Policy) -> None:
        self.fault, self.policy = fault, policy
        self.cells = cells()

    async def script(self, received: Received, connection: Connection) -> None:
        _, name, who, *_ = received.target.split("/")
        cell = self.cells[name]
        if self.policy == "keys":
            who = "second" if any(KEYS[1] in value for value in received.headers.values()) else "first"
            who = "second" if KEYS[1] in received.target else who
        cell.asked.append(who)
        await (self.fault.script if who == "first" else good)(cell.expected, connection)

    def table(self, bad: str, well: str) -> Table:
        return Table({name: self._group(cell, bad, well) for name, cell in self.cells.items()})

    def _group(self, cell: Cell, bad: str, well: str) -> Group:
        def target(who: str, url: str, weight: float, keys: tuple[str, ...]) -> Target:
            return Target(
                Provider(
                    f"{who}-{cell.name}",
                    cell.target,
                    f"{url}/{cell.name}/{who}{BASE_PATHS[cell.target]}",
                    keys,
                    timeouts=self.fault.timeouts,
                ),
                "real-model",
                weight,
            )

        targets = [target("first", bad, 1, KEYS if self.policy == "keys" else KEYS[:1])]
        if self.policy == "spare":
            targets.append(target("second", well, 0, KEYS[:1]))
        return Group(cell.name, tuple(targets), retry=Retry(budget=0))

    async def ask(self, cell: Cell, hub: Served, client: httpx.AsyncClient) -> None:
        ours = cell.ours
        path, body = (ours.stream_path, ours.stream_body) if cell.stream else (ours.path, ours.body)
        pieces = []
        try:
            async with client.stream("POST", f"{hub.url}/{cell.name}{path}", json=body) as answer:
                cell.status, cell.headers = answer.status_code, answer.headers
                async for piece in answer.aiter_bytes():
                    pieces.append(piece)
                    cell.expected.begun.set()
        except httpx.RemoteProtocolError:
            cell.broken = True
        cell.body = b"".join(pieces)


@asynccontextmanager
async def first_upstream(house: House, authority: Authority) -> AsyncIterator[str]:
    way = house.fault.way
    tls = authority.server(authority.identity("upstream")) if way == "untrusted" else None
    async with scripted(house.script, tls=tls) as upstream:
        if way == "not tls":
            async with plain_server() as url:
                yield url
        elif way != "closed":
            yield upstream.url
    if way == "closed":
        yield upstream.url


@asynccontextmanager
async def plain_server() -> AsyncIterator[str]:
    """Speaks before it is asked, as a server does that was sent a TLS greeting."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def run(fault: Fault, policy: Policy, authority: Authority) -> list[Cell]:
    house = House(fault, policy)
    async with (
        first_upstream(house, authority) as bad,
        scripted(house.script) as well,
        serving(house.table(bad, well.url)) as hub,
        httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=None)) as client,
    ):
        async with asyncio.timeout(40):
            await asyncio.gather(*(house.ask(cell, hub, client) for cell in house.cells.values()))
            while len(hub.records) < len(house.cells):  # a record comes after its answer
                hub.recorded.clear()
                await hub.recorded.wait()
    for record in hub.records:
        house.cells[record.group].records.append(record)
    return list(house.cells.values())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder: Path = tmp_path_factory.mktemp("authority")
    return Authority(folder)


def problems(cell: Cell, fault: Fault, policy: Policy) -> list[str]:
    """What is not as the table says."""
    outcome = fault.outcome(cell.stream)
    found: list[str] = []

    def same(what: str, actual: object, wanted: object) -> None:
        if actual != wanted:
            found.append(f"{what} is {actual!r}, not {wanted!r}")

    same("records", len(cell.records), 1)
    record = cell.records[0]
    reached = fault.way == "http"
    moves_on = isinstance(outcome, Fails) and (policy, outcome.next) in _MOVES
    asked = (["first"] if reached else []) + (["second"] if moves_on else [])
    same("asked", cell.asked, asked)
    same("attempts", record.attempts, 2 if moves_on else 1)
    same("recorded status", record.status, cell.status)
    if isinstance(outcome, Works) or moves_on:
        who = "second" if moves_on and policy == "spare" else "first"
        same("status", cell.status, 200)
        same("broken", cell.broken, False)
        same("provider", record.provider, f"{who}-{cell.name}")
        same("error", record.error, None)
        found += _not_right(cell)
    elif isinstance(outcome, Fails):
        found += _not_refused(cell, record, outcome)
    else:
        found += _not_broken(cell, record, outcome)
    return [f"{cell.name}: {each}" for each in found]


_MOVES = {("spare", "target"), ("spare", "key"), ("keys", "key")}


def _not_right(cell: Cell) -> list[str]:
    """A whole answer, as a client of the protocol reads it."""
    codec = registry.codec(cell.client)
    if not cell.stream:
        try:
            codec.decode_response(json.loads(cell.body))
        except Exception as error:  # whatever it is, it is told with its cell
            return [f"the body is {cell.body[:200]!r}: {error!r}"]
        return [] if b'"Hello there"' in cell.body else [f"the text is not in {cell.body!r}"]
    decoder = codec.stream_decoder()
    events = [*decoder.feed(cell.body), *decoder.close()]
    failures = [event.error.message for event in events if isinstance(event, Failure)]
    text = text_of(cell.body)
    return [*failures] or ([] if "Hello there" in text else [f"the text is {text!r}"])


def _not_refused(cell: Cell, record: Record, outcome: Fails) -> list[str]:
    found: list[str] = []
    wanted = outcome.status
    if wanted == 529 and cell.client != "anthropic" and not cell.passed_through:
        wanted = 503  # 529 is Anthropic's own; others say 503
    if cell.status != wanted and not (wanted == 5 and cell.status >= 500):
        found.append(f"status is {cell.status}, not {wanted}")
    if outcome.kind is not None and record.error_kind != outcome.kind:
        found.append(f"recorded kind is {record.error_kind!r}, not {outcome.kind!r}")
    if not record.error:
        found.append("no error is recorded")
    if cell.headers.get("content-type") != "application/json":
        found.append(f"content-type is {cell.headers.get('content-type')}")
    try:
        message = error_message(cell.ours, httpx.Response(200, content=cell.body).json())
    except Exception as error:  # as above
        return [*found, f"the body is no error of {cell.client}: {cell.body[:200]!r} ({error!r})"]
    if outcome.says not in message:
        found.append(f"it says {message!r}, not {outcome.says!r}")
    if any(key in message for key in KEYS):
        found.append("it tells a key")
    return found


def _not_broken(cell: Cell, record: Record, outcome: Breaks | Ends) -> list[str]:
    found: list[str] = []
    if cell.status != 200:
        found.append(f"status is {cell.status}, not 200")
    if cell.passed_through:
        half = cell.expected.half
        if not cell.body.startswith(half) or cell.body[len(half) :].strip(b"\r\n: keep-alive"):
            found.append(f"other bytes came than were sent: {cell.body!r}")
        if cell.broken != isinstance(outcome, Breaks):
            found.append(f"the connection was {'' if cell.broken else 'not '}broken")
        if isinstance(outcome, Breaks) and outcome.says not in (record.error or ""):
            found.append(f"recorded error is {record.error!r}, not {outcome.says!r}")
        return found
    if cell.broken:
        found.append("the connection was broken")
    if not record.error or outcome.says not in record.error:
        found.append(f"recorded error is {record.error!r}, not {outcome.says!r}")
    failures = [
        event.error.message
        for event in registry.codec(cell.client).stream_decoder().feed(cell.body)
        if isinstance(event, Failure)
    ]
    if len(failures) != 1 or outcome.says not in failures[0]:
        found.append(f"the stream tells {failures}, not {outcome.says!r}: {cell.body[-300:]!r}")
    return found


@pytest.mark.parametrize("policy", ["alone", "spare", "keys"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_fault(fault: Fault, policy: Policy, authority: Authority) -> None:
    done = await run(fault, policy, authority)
    assert [each for cell in done for each in problems(cell, fault, policy)] == []


async def test_a_time_to_wait_is_passed_on(authority: Authority) -> None:
    (fault,) = (each for each in FAULTS if each.name == "429 with a time")
    for cell in await run(fault, "alone", authority):
        assert cell.headers["retry-after"] == "7", cell.name


def test_the_table_names_each_fault_once() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
