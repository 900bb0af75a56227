"""More than the hub takes on: a place, the queue, or a word in the client's own protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from routing.gate import FixedLimits, Full, Gate
from tests.routing.samples import SAMPLES, error_message
from tests.routing.scripted_upstream import Connection, Received, ScriptedUpstream, answers, scripted
from tests.routing.serving import Served, serving, simple_table

pytestmark = pytest.mark.usefixtures("upstream_client")

CHAT = SAMPLES["openai"]


@dataclass
class Held:
    """An upstream that answers once `go` is set; `asked` counts what has come to it."""

    hub: Served
    upstream: ScriptedUpstream
    gate: Gate
    client: httpx.AsyncClient
    go: asyncio.Event

    def ask(self, protocol: str = "openai") -> asyncio.Task[httpx.Response]:
        ours = SAMPLES[protocol]
        return asyncio.create_task(self.client.post(f"{self.hub.url}/g{ours.path}", json=ours.body))


@asynccontextmanager
async def held(limits: FixedLimits) -> AsyncIterator[Held]:
    go = asyncio.Event()

    async def waits(received: Received, connection: Connection) -> None:
        await go.wait()
        await answers(CHAT.answer)(received, connection)

    gate = Gate(lambda: limits)
    async with (
        scripted(waits) as upstream,
        serving(simple_table("openai", upstream.url), gate=gate) as hub,
        httpx.AsyncClient(timeout=10) as client,
    ):
        yield Held(hub, upstream, gate, client, go)
    assert (gate.inside, gate.waiting, gate.body_bytes) == (0, 0, 0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - no event belongs to it
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("protocol", SAMPLES)
async def test_a_full_queue_is_told_in_the_clients_protocol(protocol: str) -> None:
    async with held(FixedLimits(concurrent_requests=2, queue=1)) as house:
        first = [house.ask() for _ in range(3)]
        await until(lambda: len(house.upstream.requests) == 2 and house.gate.waiting == 1)
        turned_away = await house.ask(protocol)
        assert turned_away.status_code == (529 if protocol == "anthropic" else 503)
        assert int(turned_away.headers["retry-after"]) >= 1
        assert "the hub is busy" in error_message(SAMPLES[protocol], turned_away.json())
        house.go.set()
        assert [answer.status_code for answer in await asyncio.gather(*first)] == [200, 200, 200]
    assert house.gate.turned_away == 1
    assert len(house.upstream.requests) == 3


@pytest.mark.parametrize("protocol", SAMPLES)
async def test_who_waits_too_long_is_told_so(protocol: str) -> None:
    async with held(FixedLimits(concurrent_requests=1, queue_timeout=0.1)) as house:
        first = house.ask()
        await until(lambda: house.upstream.requests)
        late = await house.ask(protocol)
        assert late.status_code == (529 if protocol == "anthropic" else 503)
        assert "no place within 0.1 s" in error_message(SAMPLES[protocol], late.json())
        house.go.set()
        assert (await first).status_code == 200


async def test_lists_are_answered_when_no_chat_is_taken_any_more() -> None:
    async with held(FixedLimits(concurrent_requests=1, queue=0)) as house:
        first = house.ask()
        await until(lambda: house.upstream.requests)
        assert (await house.client.get(f"{house.hub.url}/v1/models")).status_code == 200
        house.go.set()
        await first


async def test_a_client_that_goes_away_gives_its_place_back() -> None:
    async with held(FixedLimits(concurrent_requests=1)) as house:
        first, second = house.ask(), house.ask()
        await until(lambda: house.upstream.requests and house.gate.waiting == 1)
        first.cancel()
        await until(lambda: len(house.upstream.requests) == 2)
        house.go.set()
        assert (await second).status_code == 200


async def test_two_hundred_at_once_never_pass_the_limit() -> None:
    most = now = 0

    async def counting(received: Received, connection: Connection) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        await answers(CHAT.answer)(received, connection)

    gate = Gate(lambda: FixedLimits(concurrent_requests=5))
    async with (
        scripted(counting) as upstream,
        serving(simple_table("openai", upstream.url), gate=gate) as hub,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=200), timeout=20) as client,
    ):
        asking = (client.post(hub.url + CHAT.path, json=CHAT.body) for _ in range(200))
        assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
    assert 1 <= most <= 5


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize("protocol", SAMPLES)
async def test_a_body_that_stalls_is_given_up(protocol: str) -> None:
    ours = SAMPLES[protocol]
    async with held(FixedLimits(body_timeout=0.1)) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(house.hub.url).port)
        path = f"/g{ours.path}"
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{{".encode())
        async with asyncio.timeout(5):
            said = await reader.read()
        head, _, body = said.partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in head.lower()
    assert "did not come within 0.1 s" in error_message(ours, httpx.Response(408, content=body).json())
    assert house.upstream.requests == []


async def test_a_slow_body_that_moves_is_read_to_its_end() -> None:
    body = json.dumps(CHAT.body).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for place in range(0, len(body), 8):
            await asyncio.sleep(0.02)
            yield body[place : place + 8]

    async with held(FixedLimits(body_timeout=0.15)) as house:
        house.go.set()
        answer = await house.client.post(house.hub.url + CHAT.path, content=pieces())
    assert answer.status_code == 200


async def test_bodies_share_their_memory() -> None:
    large = {**CHAT.body, "padding": "x" * 60_000}
    async with held(FixedLimits(body_memory=100_000)) as house:
        first = asyncio.create_task(house.client.post(house.hub.url + CHAT.path, json=large))
        await until(lambda: house.upstream.requests)
        second = await house.client.post(house.hub.url + CHAT.path, json=large)
        assert second.status_code == 503
        assert "body_memory" in error_message(CHAT, second.json())
        small = house.ask()
        await until(lambda: len(house.upstream.requests) == 2)
        house.go.set()
        assert [(await first).status_code, (await small).status_code] == [200, 200]


# ---------------------------------------------------------------- the gate alone


async def test_places_are_given_in_the_order_of_arrival() -> None:
    gate = Gate(lambda: FixedLimits(concurrent_requests=1))
    came: list[int] = []
    assert gate.enter()

    async def one(number: int) -> None:
        await gate.wait()
        came.append(number)
        gate.leave()

    waiting = [asyncio.create_task(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert not gate.enter(), "nobody passes those who wait"
    gate.leave()
    await asyncio.gather(*waiting)
    assert came == [0, 1, 2, 3, 4]
    assert gate.inside == 0


async def test_a_place_given_to_somebody_who_left_goes_to_the_next() -> None:
    gate = Gate(lambda: FixedLimits(concurrent_requests=1))
    assert gate.enter()
    first, second = asyncio.create_task(gate.wait()), asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    gate.leave()  # the first one's place, who is cancelled before it can take it
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert gate.inside == 1


async def test_a_raised_limit_lets_those_in_who_wait() -> None:
    limits = FixedLimits(concurrent_requests=1)
    gate = Gate(lambda: limits)
    assert gate.enter()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    limits = FixedLimits(concurrent_requests=3)
    gate.leave()
    async with asyncio.timeout(1):
        await asyncio.gather(*waiting)
    assert gate.inside == 3


async def test_no_queue_at_all() -> None:
    gate = Gate(lambda: FixedLimits(concurrent_requests=1, queue=0))
    assert gate.enter()
    with pytest.raises(Full):
        await gate.wait()
