"""Groups of several targets, keys and fallbacks over real sockets: shares, rests, waits, what is told."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from adapters.registry import codecs
from routing.call import Call, call_at
from routing.plan import prepare
from routing.routes import RouteTable
from routing.table import Affinity, Group, Limits, Retry, Table, Target, Timeouts
from tests.routing.samples import SAMPLES, error_of
from tests.routing.scripted_upstream import (
    Connection,
    Received,
    Script,
    ScriptedUpstream,
    answers,
    scripted,
    streams,
)
from tests.routing.serving import Served, group, provider, serving, table

CHAT = SAMPLES["openai"]
RESPONSES = SAMPLES["openai-responses"]
GOOD = answers(CHAT.answer)
BUSY = answers(error_of(CHAT, "slow down"), 429, {"retry-after": "30"})
BROKEN = answers(error_of(CHAT, "broken"), 500)
NO_WAIT = Retry(budget=0.0)


class Time:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.woken: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.woken()
        await asyncio.sleep(0)


@asynccontextmanager
async def upstreams(*scripts: Script) -> AsyncIterator[list[ScriptedUpstream]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(scripted(script)) for script in scripts]


def target(upstream: ScriptedUpstream, name: str, **more: Any) -> Target:
    keys = more.pop("api_keys", ("sk-the-only-key",))
    limits = more.pop("key_limits", None)
    return Target(
        provider("openai", upstream.url, name, api_keys=keys, limits=limits), f"{name}-model", **more
    )


async def ask(hub: Served, client: httpx.AsyncClient, path: str = "", **more: Any) -> httpx.Response:
    more.setdefault("json", CHAT.body)
    return await client.post(f"{hub.url}{path}/v1/chat/completions", **more)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.001)


def call_of(sample: Any, hub: Served) -> Call:
    """A request for a stream, without a server before the gateway."""
    found = RouteTable(hub.gateway.codecs).find(sample.path)
    assert found is not None
    return call_at(
        found,
        found.endpoints["POST"][0],
        query="",
        headers={},
        body=json.dumps(sample.stream_body).encode(),
        id="r",
        started=hub.gateway.services.clock(),
    )


def asked(*all_upstreams: ScriptedUpstream) -> list[int]:
    return [len(each.requests) for each in all_upstreams]


# ---------------------------------------------------------------- shares


async def test_2000_requests_with_one_of_three_targets_failing_half_the_time() -> None:
    chance = random.Random(11)

    async def flaky(received: Received, connection: Connection) -> None:
        if chance.random() < 0.5:
            await GOOD(received, connection)
        elif chance.random() < 0.5:
            connection.abort()
        else:
            await answers(error_of(CHAT, "no"), chance.choice([429, 500, 503, 529]))(received, connection)

    async with upstreams(flaky, GOOD, GOOD) as (bad, one, three):
        members = [target(bad, "bad"), target(one, "one"), target(three, "three", weight=3.0)]
        start = table(group(*members))
        async with serving(start, random=random.Random(5).random) as hub, httpx.AsyncClient() as client:
            todo = iter(range(2000))
            statuses: Counter[int] = Counter()

            async def worker() -> None:
                for _ in todo:
                    statuses[(await ask(hub, client)).status_code] += 1

            await asyncio.gather(*(worker() for _ in range(32)))
        assert statuses == {200: 2000}
        served = Counter(record.provider for record in hub.records)
        assert served["three"] / (served["one"] + served["three"]) == pytest.approx(0.75, abs=0.05)
        assert 0 < asked(bad)[0] < 600, "who fails is asked less"


@pytest.mark.parametrize("strategy", ["priority", "cheapest"])
async def test_a_strategy_keeps_its_order_until_the_first_fails(strategy: Any) -> None:
    async with upstreams(GOOD, GOOD) as (first, second):
        start = table(group(target(first, "first"), target(second, "second", weight=0), strategy=strategy))
        async with serving(start) as hub, httpx.AsyncClient() as client:
            for _ in range(5):
                await ask(hub, client)
            assert asked(first, second) == [5, 0]
            first.script = BUSY
            for _ in range(5):
                assert (await ask(hub, client)).headers["x-hub-target"] == "second/second-model"
            assert asked(first, second) == [6, 5]


async def test_the_least_busy_is_asked() -> None:
    release = asyncio.Event()

    async def slow(received: Received, connection: Connection) -> None:
        await release.wait()
        await GOOD(received, connection)

    async with upstreams(slow, GOOD) as (first, second):
        start = table(group(target(first, "first"), target(second, "second"), strategy="least_busy"))
        async with serving(start, random=lambda: 0.5) as hub, httpx.AsyncClient() as client:
            held = asyncio.create_task(ask(hub, client))
            await until(lambda: len(first.requests) == 1)
            for _ in range(5):
                assert (await ask(hub, client)).headers["x-hub-target"] == "second/second-model"
            release.set()
            assert (await held).headers["x-hub-target"] == "first/first-model"


# ---------------------------------------------------------------- keys


async def test_keys_take_turns() -> None:
    keys = ("sk-key-one", "sk-key-two", "sk-key-three")
    async with upstreams(GOOD) as (up,):
        async with (
            serving(table(group(target(up, "up", api_keys=keys)))) as hub,
            httpx.AsyncClient() as client,
        ):
            for _ in range(9):
                await ask(hub, client)
        assert Counter(each.headers["authorization"] for each in up.requests) == {
            f"Bearer {key}": 3 for key in keys
        }


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, error_of(CHAT, "wrong key")),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}),
        (400, {"error": {"message": "no", "code": "insufficient_quota"}}),
        (403, {"error": {"message": "no", "code": "billing_not_active"}}),
    ],
)
async def test_a_key_that_is_refused_rests_and_the_others_go_on(status: int, body: Any) -> None:
    async def choosy(received: Received, connection: Connection) -> None:
        refused = "sk-key-one" in received.headers["authorization"]
        await (answers(body, status) if refused else GOOD)(received, connection)

    async with upstreams(choosy) as (up,):
        start = table(group(target(up, "up", api_keys=("sk-key-one", "sk-key-two"))))
        async with serving(start) as hub, httpx.AsyncClient() as client:
            for _ in range(6):
                assert (await ask(hub, client)).status_code == 200
    assert sum("sk-key-one" in each.headers["authorization"] for each in up.requests) == 1


async def test_a_broken_target_is_not_asked_with_its_other_keys() -> None:
    async with upstreams(BROKEN, GOOD) as (first, second):
        members = (
            target(first, "first", api_keys=("sk-key-one", "sk-key-two")),
            target(second, "second", weight=0),
        )
        async with serving(table(group(*members))) as hub, httpx.AsyncClient() as client:
            assert (await ask(hub, client)).status_code == 200
    assert asked(first, second) == [1, 1]


# ---------------------------------------------------------------- rest, probe, recover


async def test_who_rests_is_probed_by_one_request_and_comes_back() -> None:
    time = Time()
    async with upstreams(BROKEN, GOOD) as (first, second):
        members = target(first, "first"), target(second, "second", weight=0)
        async with serving(table(group(*members)), clock=time) as hub, httpx.AsyncClient() as client:
            await ask(hub, client)
            await ask(hub, client)
            assert asked(first, second) == [1, 2], "it rests"
            time.now += 1.5
            await ask(hub, client)
            assert asked(first, second) == [2, 3], "the probe failed, and somebody else answered"
            time.now += 1.5
            await ask(hub, client)
            assert asked(first, second) == [2, 4], "it rests for longer"
            time.now += 1.0
            first.script = GOOD
            for _ in range(3):
                await ask(hub, client)
            assert asked(first, second) == [5, 4]


async def test_while_one_probes_the_others_go_elsewhere() -> None:
    time, release = Time(), asyncio.Event()

    async def slow(received: Received, connection: Connection) -> None:
        await release.wait()
        await GOOD(received, connection)

    async with upstreams(BROKEN, GOOD) as (first, second):
        members = target(first, "first"), target(second, "second", weight=0)
        async with serving(table(group(*members)), clock=time) as hub, httpx.AsyncClient() as client:
            await ask(hub, client)
            time.now += 2.0
            first.script = slow
            probe = asyncio.create_task(ask(hub, client))
            await until(lambda: len(first.requests) == 2)
            for _ in range(4):
                assert (await ask(hub, client)).headers["x-hub-target"] == "second/second-model"
            release.set()
            assert (await probe).headers["x-hub-target"] == "first/first-model"
            assert (await ask(hub, client)).headers["x-hub-target"] == "first/first-model"


async def test_rests_outlive_a_change_of_the_settings() -> None:
    async with upstreams(BUSY, GOOD) as (first, second):

        def members(model: str) -> Table:
            return table(group(target(first, "first"), target(second, "second", weight=0), name=model))

        async with serving(members("a")) as hub, httpx.AsyncClient() as client:
            await ask(hub, client)
            hub.table = members("b")
            assert (await ask(hub, client)).headers["x-hub-group"] == "b"
    assert asked(first, second) == [1, 2]


async def test_a_stream_cut_in_its_middle_counts_as_a_failure() -> None:
    async with upstreams(streams(*CHAT.stream[:2], cut=True), streams(*CHAT.stream)) as (first, second):
        members = target(first, "first"), target(second, "second", weight=0)
        async with serving(table(group(*members))) as hub, httpx.AsyncClient() as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await ask(hub, client, json=CHAT.stream_body)
            answer = await ask(hub, client, json=CHAT.stream_body)
    assert answer.headers["x-hub-target"] == "second/second-model"


# ---------------------------------------------------------------- waiting


async def test_a_short_rest_of_everybody_is_waited_for() -> None:
    time = Time()
    soon = answers(error_of(CHAT, "slow down"), 429, {"retry-after-ms": "1500"})
    later = answers(error_of(CHAT, "slow down"), 429, {"retry-after": "60"})
    async with upstreams(soon, later) as (first, second):
        time.woken = lambda: setattr(first, "script", GOOD)
        members = target(first, "first"), target(second, "second")
        start = table(group(*members, retry=Retry(budget=5.0)))
        async with serving(start, clock=time, sleep=time.sleep) as hub, httpx.AsyncClient() as client:
            answer = await ask(hub, client)
    assert answer.status_code == 200
    assert answer.headers["x-hub-target"] == "first/first-model"
    assert time.slept == [1.5]
    assert hub.records[0].attempts == len(first.requests) + len(second.requests)


async def test_a_date_is_waited_for_too() -> None:
    time = Time()
    date = answers(error_of(CHAT, "slow down"), 429, {"retry-after": "Wed, 21 Oct 2026 12:00:03 GMT"})
    async with upstreams(date) as (up,):
        time.woken = lambda: setattr(up, "script", GOOD)
        start = table(group(target(up, "up"), retry=Retry(budget=5.0)))
        async with (
            serving(start, clock=time, now=lambda: 1_792_584_000.0, sleep=time.sleep) as hub,
            httpx.AsyncClient() as client,
        ):
            assert (await ask(hub, client)).status_code == 200
    assert time.slept == [3.0]


async def test_a_long_rest_is_told_at_once() -> None:
    time = Time()
    async with upstreams(BUSY, BUSY) as (first, second):
        start = table(group(target(first, "first"), target(second, "second"), retry=Retry(budget=5.0)))
        async with serving(start, clock=time, sleep=time.sleep) as hub, httpx.AsyncClient() as client:
            told = await ask(hub, client)
            time.now += 10.0
            again = await ask(hub, client)
    assert asked(first, second) == [1, 1]
    assert (told.status_code, told.headers["retry-after"]) == (429, "30")
    assert (again.status_code, again.headers["retry-after"]) == (429, "20")
    assert "first/first-model failed lately (rate limit)" in again.json()["error"]["message"]
    assert time.slept == []


async def test_rests_after_faults_are_told_as_503() -> None:
    time = Time()
    overloaded = answers(error_of(CHAT, "overloaded"), 503, {"retry-after": "45"})
    async with upstreams(overloaded, overloaded) as (first, second):
        start = table(group(target(first, "first"), target(second, "second"), retry=NO_WAIT))
        async with serving(start, clock=time, sleep=time.sleep) as hub, httpx.AsyncClient() as client:
            await ask(hub, client)
            again = await ask(hub, client)
    assert (again.status_code, again.headers["retry-after"]) == (503, "45")
    assert asked(first, second) == [1, 1]


async def test_the_budget_bounds_all_waits_together() -> None:
    time = Time()
    async with upstreams(BROKEN, BROKEN) as (first, second):
        start = table(group(target(first, "first"), target(second, "second"), retry=Retry(budget=4.0)))
        async with serving(start, clock=time, sleep=time.sleep) as hub, httpx.AsyncClient() as client:
            answer = await ask(hub, client)
    assert answer.status_code == 500
    assert time.slept == [1.0, 2.0], "a third wait of 4 s is more than the second that is left"
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_the_attempts_bound_what_is_sent(attempts: int) -> None:
    time = Time()
    async with upstreams(BROKEN, BROKEN) as (first, second):
        members = target(first, "first"), target(second, "second")
        start = table(group(*members, retry=Retry(attempts=attempts, budget=60.0)))
        async with serving(start, clock=time, sleep=time.sleep) as hub, httpx.AsyncClient() as client:
            await ask(hub, client)
    assert sum(asked(first, second)) == attempts


async def test_a_client_that_leaves_while_it_waits_is_recorded() -> None:
    sleeping = asyncio.Event()

    async def forever(seconds: float) -> None:
        sleeping.set()
        await asyncio.Event().wait()

    async with upstreams(BROKEN, BROKEN) as (first, second):
        start = table(group(target(first, "first"), target(second, "second")))
        async with serving(start, sleep=forever) as hub, httpx.AsyncClient() as client:
            request = asyncio.create_task(ask(hub, client))
            await sleeping.wait()
            request.cancel()
            await asyncio.wait_for(hub.recorded.wait(), 5)
    assert hub.records[0].status == 499


# ---------------------------------------------------------------- fallback


async def test_a_fallback_of_a_fallback_answers() -> None:
    async with upstreams(BROKEN, BUSY, GOOD) as (first, second, third):
        start = table(
            group(target(first, "first"), name="main", fallback="spare"),
            group(target(second, "second"), name="spare", fallback="last"),
            group(target(third, "third"), name="last"),
            default="main",
        )
        async with serving(start) as hub, httpx.AsyncClient() as client:
            answer = await ask(hub, client, "/main")
            again = await ask(hub, client, "/main")
    assert answer.status_code == 200
    assert answer.headers["x-hub-group"] == "last"
    assert answer.headers["x-hub-target"] == "third/third-model"
    assert again.status_code == 200
    assert asked(first, second, third) == [1, 1, 2]


async def test_a_fallback_may_be_a_group_that_the_caller_cannot_ask_for() -> None:
    async with upstreams(BROKEN, GOOD) as (first, second):
        main = group(target(first, "first"), name="main", fallback="spare")
        spare = group(target(second, "second"), name="spare")
        start = Table({"main": main}, "main", {"spare": spare})
        async with serving(start) as hub, httpx.AsyncClient() as client:
            assert (await ask(hub, client, "/main")).headers["x-hub-group"] == "spare"
            assert (await ask(hub, client, "/spare")).status_code == 404


@pytest.mark.parametrize(
    ("on", "message", "answered"),
    [
        ({"unavailable"}, "This model's maximum context length is 8 tokens.", 400),
        ({"unavailable", "context_window"}, "This model's maximum context length is 8 tokens.", 200),
        ({"context_window"}, "This model's maximum context length is 8 tokens.", 200),
        ({"unavailable", "context_window"}, "Unknown parameter: 'x'", 400),
    ],
)
async def test_a_conversation_too_long_falls_back_where_the_group_says_so(
    on: set[Any], message: str, answered: int
) -> None:
    async with upstreams(answers(error_of(CHAT, message), 400), GOOD) as (first, second):
        start = table(
            group(target(first, "first"), name="small", fallback="large", fallback_on=frozenset(on)),
            group(target(second, "second"), name="large"),
        )
        async with serving(start) as hub, httpx.AsyncClient() as client:
            assert (await ask(hub, client, "/small")).status_code == answered
            assert (await ask(hub, client, "/small")).status_code == answered
    assert len(first.requests) == 2, "a request of its client's own making tells nothing against a target"


async def test_a_fallback_only_for_long_conversations_is_not_asked_in_trouble() -> None:
    async with upstreams(BROKEN, GOOD) as (first, second):
        start = table(
            group(
                target(first, "first"),
                name="small",
                fallback="large",
                fallback_on=frozenset({"context_window"}),
                retry=NO_WAIT,
            ),
            group(target(second, "second"), name="large"),
        )
        async with serving(start) as hub, httpx.AsyncClient() as client:
            assert (await ask(hub, client, "/small")).status_code == 500
    assert asked(second) == [0]


def test_fallbacks_in_a_circle_are_refused() -> None:
    member = Target(provider("openai", "http://127.0.0.1:1"), "m")
    circle = table(group(member, name="a", fallback="b"), group(member, name="b", fallback="a"))
    with pytest.raises(LookupError, match="a -> b -> a"):
        prepare(circle, {codec.name: codec for codec in codecs()})
    with pytest.raises(LookupError, match="no group `gone`"):
        prepare(table(group(member, name="a", fallback="gone")), {codec.name: codec for codec in codecs()})


# ---------------------------------------------------------------- limits


async def test_a_target_at_its_limit_is_passed_over_and_then_all_are_told() -> None:
    time = Time()
    async with upstreams(GOOD, GOOD) as (first, second):
        members = (
            target(first, "first", limits=Limits(requests=2)),
            target(second, "second", weight=0, key_limits=Limits(requests=1)),
        )
        async with (
            serving(table(group(*members)), clock=time, sleep=time.sleep) as hub,
            httpx.AsyncClient() as client,
        ):
            statuses = [(await ask(hub, client)).status_code for _ in range(3)]
            told = await ask(hub, client)
            time.now += 61.0
            later = await ask(hub, client)
    assert statuses == [200] * 3
    assert told.status_code == 429
    assert 55 <= int(told.headers["retry-after"]) <= 61
    assert "first/first-model is at its limit of 2 requests a minute" in told.json()["error"]["message"]
    assert later.status_code == 200
    assert asked(first, second) == [3, 1]


async def test_tokens_count_when_the_answer_is_there() -> None:
    async with upstreams(GOOD) as (up,):
        start = table(group(target(up, "up", limits=Limits(tokens=1)), retry=NO_WAIT))
        async with serving(start) as hub, httpx.AsyncClient() as client:
            assert (await ask(hub, client)).status_code == 200
            assert (await ask(hub, client)).status_code == 429


async def test_places_are_free_again_when_a_stream_ends_or_its_client_leaves() -> None:
    async with upstreams(streams(*CHAT.stream[:2], stall=True)) as (up,):
        start = table(group(target(up, "up", limits=Limits(concurrency=1)), retry=NO_WAIT))
        async with serving(start) as hub, httpx.AsyncClient() as client:
            async with client.stream(
                "POST", f"{hub.url}/v1/chat/completions", json=CHAT.stream_body
            ) as stream:
                assert stream.status_code == 200
                full = await ask(hub, client)
                assert (full.status_code, full.headers["retry-after"]) == (429, "1")
                condition = hub.gateway.services.health.of(("up", "up-model", ""))
                assert condition.in_flight == 1
            await asyncio.wait_for(hub.recorded.wait(), 5)
            up.script = GOOD
            await until(lambda: condition.in_flight == 0)
            assert (await ask(hub, client)).status_code == 200


async def test_a_stream_that_is_closed_before_its_first_piece_lets_go_of_everything() -> None:
    async with upstreams(streams(*CHAT.stream[:2], stall=True)) as (up,):
        start = table(group(target(up, "up"), name="g"))
        async with serving(start) as hub:
            services = hub.gateway.services
            condition = services.health.of(("up", "up-model", ""))
            call = call_of(CHAT, hub)
            answer = await hub.gateway.answer(start, call)
            assert (answer.status, condition.in_flight) == (200, 1)
            assert answer.stream is not None
            await answer.stream.aclose()
            assert condition.in_flight == 0
            assert [record.status for record in hub.records] == [499]
            await asyncio.wait_for(up.connections[0].gone.wait(), 5)


# ---------------------------------------------------------------- affinity


def talk(name: str, turns: int) -> dict[str, Any]:
    """A conversation's request in its n-th turn."""
    messages = [{"role": "user", "content": f"conversation {name}"}]
    for turn in range(turns):
        messages += [{"role": "assistant", "content": f"answer {turn}"}, {"role": "user", "content": "more"}]
    return {"model": "g", "messages": messages}


async def where(hub: Served, client: httpx.AsyncClient, **more: Any) -> str:
    return (await ask(hub, client, **more)).headers["x-hub-target"]


@pytest.mark.parametrize("named", ["header", "body", "beginning"])
async def test_a_conversation_stays_and_others_are_shared_out(named: str) -> None:
    async with upstreams(GOOD, GOOD) as (first, second):
        members = [
            target(each, name, api_keys=("sk-key-one", "sk-key-two"))
            for each, name in ((first, "first"), (second, "second"))
        ]
        start = table(group(*members, affinity=Affinity()))
        async with serving(start, random=random.Random(3).random) as hub, httpx.AsyncClient() as client:
            places: dict[str, set[tuple[str, str]]] = {}
            for turn in range(4):
                for each in range(12):
                    body = talk(str(each) if named == "beginning" else f"{each} in turn {turn}", turn)
                    headers = {"x-session-id": f"s{each}"} if named == "header" else {}
                    if named == "body":
                        body["prompt_cache_key"] = f"s{each}"
                    target_label = await where(hub, client, json=body, headers=headers)
                    up = first if target_label.startswith("first") else second
                    key = up.requests[-1].headers["authorization"]
                    places.setdefault(str(each), set()).add((target_label, key))
    assert all(len(each) == 1 for each in places.values())
    assert len(set().union(*places.values())) == 4, "all targets and keys have some"


async def test_without_affinity_every_request_is_shared_out() -> None:
    async with upstreams(GOOD, GOOD) as (first, second):
        start = table(group(target(first, "first"), target(second, "second")))
        async with serving(start, random=random.Random(3).random) as hub, httpx.AsyncClient() as client:
            headers = {"x-session-id": "s"}
            found = {await where(hub, client, json=talk("a", 3), headers=headers) for _ in range(20)}
    assert len(found) == 2


async def test_equal_first_questions_are_shared_out() -> None:
    async with upstreams(GOOD, GOOD) as (first, second):
        start = table(group(target(first, "first"), target(second, "second"), affinity=Affinity()))
        async with serving(start, random=random.Random(3).random) as hub, httpx.AsyncClient() as client:
            found = Counter([await where(hub, client, json=talk("a", 0)) for _ in range(60)])
    assert min(found.values()) > 15


async def test_a_conversation_moves_on_when_its_target_rests_and_stays_there() -> None:
    time = Time()
    async with upstreams(GOOD, GOOD) as (first, second):
        start = table(group(target(first, "first"), target(second, "second", weight=0), affinity=Affinity()))
        async with serving(start, clock=time) as hub, httpx.AsyncClient() as client:
            headers = {"x-session-id": "s"}
            assert await where(hub, client, headers=headers) == "first/first-model"
            first.script = BUSY
            assert await where(hub, client, headers=headers) == "second/second-model"
            first.script = GOOD
            time.now += 31.0
            assert await where(hub, client, headers=headers) == "second/second-model"
            assert await where(hub, client, headers={"x-session-id": "new"}) == "first/first-model"


async def test_priority_stands_above_affinity() -> None:
    time = Time()
    async with upstreams(BUSY, GOOD) as (first, second):
        members = target(first, "first"), target(second, "second", priority=1)
        async with (
            serving(table(group(*members, affinity=Affinity())), clock=time) as hub,
            httpx.AsyncClient() as client,
        ):
            headers = {"x-session-id": "s"}
            assert await where(hub, client, headers=headers) == "second/second-model"
            first.script = GOOD
            time.now += 31.0
            assert await where(hub, client, headers=headers) == "first/first-model"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_continued_where_it_was_made(stream: bool) -> None:
    made: dict[str, tuple[str, str]] = {}

    def maker(name: str) -> Script:
        async def script(received: Received, connection: Connection) -> None:
            answer = f"resp_{name}_{len(made)}"
            made[answer] = name, received.headers["authorization"]
            if stream:
                opening = f'{{"type":"response.created","response":{{"id":"{answer}","object":"response"}}}}'
                pieces = (f"event: response.created\ndata: {opening}\n\n".encode(), *RESPONSES.stream[1:])
                await streams(*pieces)(received, connection)
            else:
                await answers({**RESPONSES.answer, "id": answer})(received, connection)

        return script

    async with upstreams(maker("first"), maker("second")) as (first, second):
        members = [
            Target(provider("openai-responses", each.url, name, api_keys=("sk-key-one", "sk-key-two")), "m")
            for each, name in ((first, "first"), (second, "second"))
        ]
        async with (
            serving(table(Group("g", tuple(members))), random=random.Random(1).random) as hub,
            httpx.AsyncClient() as client,
        ):
            body = RESPONSES.stream_body if stream else RESPONSES.body
            for _ in range(6):
                await client.post(f"{hub.url}/v1/responses", json=body)
            for answer, maker_and_key in list(made.items()):
                more = {**body, "previous_response_id": answer}
                assert (await client.post(f"{hub.url}/v1/responses", json=more)).status_code == 200
                assert list(made.values())[-1] == maker_and_key
    assert len(set(made.values())) == 4


# ---------------------------------------------------------------- timeouts


async def test_a_targets_timeouts_stand_for_its_providers() -> None:
    async def silent(_: Received, connection: Connection) -> None:
        await connection.gone.wait()

    async with upstreams(silent, GOOD) as (first, second):
        quick = Timeouts(first_byte=0.05)
        members = target(first, "first", timeouts=quick), target(second, "second", weight=0)
        async with serving(table(group(*members))) as hub, httpx.AsyncClient() as client:
            answer = await ask(hub, client)
    assert answer.headers["x-hub-target"] == "second/second-model"


async def test_an_empty_account_is_called_so_whatever_the_provider_calls_it() -> None:
    empty = answers(error_of(CHAT, "Your credit balance is too low"), 400)
    async with upstreams(empty) as (only,):
        start = table(group(target(only, "only"), retry=NO_WAIT))
        async with serving(start) as hub, httpx.AsyncClient() as client:
            assert (await ask(hub, client)).status_code == 400
            resting = await ask(hub, client)
        assert asked(only) == [1]
        assert resting.status_code == 503
        assert "failed lately (billing) and rests for 60 s" in resting.json()["error"]["message"]
