"""Who is asked next, and when nobody is."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

from routing.table import Table, Target, Timeouts
from tests.routing.samples import SAMPLES, error_of
from tests.routing.scripted_upstream import Connection, Received, Script, answers, scripted, streams
from tests.routing.serving import group, provider, serving, table

CHAT = SAMPLES["openai"]
GOOD = answers(CHAT.answer)
FIRST_KEY, SECOND_KEY = "sk-first-key-000", "sk-second-key-000"


async def reset(_: Received, connection: Connection) -> None:
    connection.abort()


async def silent(_: Received, connection: Connection) -> None:
    await connection.gone.wait()


async def slam(_: Received, connection: Connection) -> None:
    await connection.head(200, {"content-type": "application/json", "content-length": "500"}, chunked=False)
    await connection.write(b'{"id"')
    connection.abort()


def two(first: str, second: str, **more: object) -> Table:
    """The first target takes all, the second is a spare."""
    quick = Timeouts(first_byte=0.1)
    return table(
        group(
            Target(provider("openai", first, "first", timeouts=quick, **more), "model-1"),
            Target(provider("openai", second, "second"), "model-2", weight=0),
        )
    )


MOVES_ON: dict[str, Script] = {
    "reset": reset,
    "silent": silent,
    "reset in the body": slam,
    "not JSON": answers(b"<html>"),
    "an error in a 200": answers({"error": {"message": "no", "code": 503}}),
    **{
        str(status): answers(error_of(CHAT, "no"), status)
        for status in (401, 403, 408, 409, 429, 500, 502, 529)
    },
}


@pytest.mark.parametrize("script", MOVES_ON.values(), ids=MOVES_ON)
async def test_a_failure_before_the_first_byte_moves_on(script: Script) -> None:
    async with (
        scripted(script) as first,
        scripted(GOOD) as second,
        serving(two(first.url, second.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
    assert answer.status_code == 200
    assert answer.headers["x-hub-target"] == "second/model-2"
    assert second.requests[0].json["model"] == "model-2"
    assert hub.records[0].attempts == 2


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_fault_of_the_client_does_not_move_on(status: int) -> None:
    async with (
        scripted(answers(error_of(CHAT, "your fault"), status)) as first,
        scripted(GOOD) as second,
        serving(two(first.url, second.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
    assert answer.status_code == status
    assert second.requests == []


async def test_nothing_moves_on_after_the_first_byte() -> None:
    async with (
        scripted(streams(*CHAT.stream[:2], cut=True)) as first,
        scripted(streams(*CHAT.stream)) as second,
        serving(two(first.url, second.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.stream_body)
    assert second.requests == []


async def test_a_stream_that_begins_with_an_error_moves_on() -> None:
    async with (
        scripted(streams(CHAT.stream_error)) as first,
        scripted(streams(*CHAT.stream)) as second,
        serving(two(first.url, second.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.stream_body)
    assert answer.content == b"".join(CHAT.stream)


async def test_the_next_key_is_asked_before_the_next_target() -> None:
    async def choosy(received: Received, connection: Connection) -> None:
        refused = FIRST_KEY in received.headers["authorization"]
        await (answers(error_of(CHAT, "slow down"), 429) if refused else GOOD)(received, connection)

    async with (
        scripted(choosy) as first,
        scripted(GOOD) as second,
        serving(two(first.url, second.url, api_keys=(FIRST_KEY, SECOND_KEY))) as hub,
        httpx.AsyncClient() as client,
    ):
        for _ in range(4):
            answer = await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
            assert answer.headers["x-hub-target"] == "first/model-1"
    asked = [FIRST_KEY in each.headers["authorization"] for each in first.requests]
    assert asked.count(True) == 1, "a key that is told to wait is asked last"
    assert second.requests == []


async def test_when_all_fail_the_last_error_is_told() -> None:
    busy = answers(error_of(CHAT, "slow down"), 429, {"retry-after": "9"})
    async with (
        scripted(answers(error_of(CHAT, "broken"), 500)) as first,
        scripted(busy) as second,
        serving(two(first.url, second.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
    assert "slow down" in answer.json()["error"]["message"]


async def test_a_failed_target_is_asked_last_for_a_while_and_first_again_later() -> None:
    now = 100.0
    async with (
        scripted(answers(error_of(CHAT, "slow down"), 429, {"retry-after": "30"})) as first,
        scripted(GOOD) as second,
        serving(two(first.url, second.url), clock=lambda: now) as hub,
        httpx.AsyncClient() as client,
    ):
        for _ in range(3):
            await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
        assert len(first.requests) == 1
        first.script = GOOD
        now += 31
        await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
        assert len(first.requests) == 2


async def test_a_target_alone_is_asked_even_while_it_should_rest() -> None:
    async with (
        scripted(answers(error_of(CHAT, "slow down"), 429, {"retry-after": "600"})) as upstream,
        serving(table(group(Target(provider("openai", upstream.url), "m")))) as hub,
        httpx.AsyncClient() as client,
    ):
        await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
        upstream.script = GOOD
        answer = await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
    assert answer.status_code == 200


async def test_shares_follow_the_weights() -> None:
    chance = random.Random(7)
    async with scripted(GOOD) as upstream:
        targets = [
            Target(provider("openai", upstream.url), "one", weight=1),
            Target(provider("openai", upstream.url), "three", weight=3),
        ]
        async with (
            serving(table(group(*targets)), random=chance.random) as hub,
            httpx.AsyncClient() as client,
        ):
            for _ in range(200):
                await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)
    share = sum(each.json["model"] == "three" for each in upstream.requests) / 200
    assert 0.68 < share < 0.82


async def test_a_kept_connection_that_the_upstream_closed_is_replaced() -> None:
    async def once(received: Received, connection: Connection) -> None:
        await GOOD(received, connection)
        connection.writer.close()

    async with (
        scripted(once) as upstream,
        serving(table(group(Target(provider("openai", upstream.url), "m")))) as hub,
        httpx.AsyncClient() as client,
    ):
        results = [
            (await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)).status_code
            for _ in range(20)
        ]
    assert results == [200] * 20


async def test_three_targets_of_which_one_fails_half_the_time_lose_no_request() -> None:
    chance = random.Random(3)

    async def flaky(received: Received, connection: Connection) -> None:
        script = chance.choice([GOOD, reset, answers(error_of(CHAT, "no"), 503)])
        await script(received, connection)

    async with scripted(flaky) as bad, scripted(GOOD) as good:
        targets = [Target(provider("openai", url, url[-5:]), "m") for url in (bad.url, good.url, good.url)]
        async with serving(table(group(*targets))) as hub, httpx.AsyncClient() as client:

            async def one() -> int:
                return (await client.post(f"{hub.url}/v1/chat/completions", json=CHAT.body)).status_code

            for _ in range(10):
                assert set(await asyncio.gather(*(one() for _ in range(16)))) == {200}
