"""Time in streams: first token at once, signs of life, clients that leave, settings that change meanwhile."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from routing.table import Target
from tests.routing.samples import SAMPLES, TEXT, text_of
from tests.routing.scripted_upstream import Connection, Received, Script, answers, scripted, streams
from tests.routing.serving import group, provider, serving, simple_table, table

pytestmark = pytest.mark.usefixtures("upstream_client")

PAIRS = [(client, target) for client in SAMPLES for target in SAMPLES]


class Stepwise:
    """A stream of which each piece waits for the test's word."""

    def __init__(self, *pieces: bytes, content_type: str) -> None:
        self.pieces, self.content_type = pieces, content_type
        self.go = asyncio.Semaphore(0)

    async def __call__(self, _: Received, connection: Connection) -> None:
        await connection.head(200, {"content-type": self.content_type})
        for piece in self.pieces:
            await self.go.acquire()
            await connection.chunk(piece)
        await self.go.acquire()
        await connection.end()


@pytest.mark.parametrize("target_protocol", SAMPLES)
@pytest.mark.parametrize("client_protocol", SAMPLES)
async def test_the_first_words_do_not_wait_for_the_next(client_protocol: str, target_protocol: str) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    script = Stepwise(*theirs.stream, content_type=theirs.stream_type)
    until_words = next(number for number, piece in enumerate(theirs.stream, 1) if b'"Hello "' in piece)
    async with (
        scripted(script) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        for _ in range(until_words):
            script.go.release()
        async with client.stream("POST", f"{hub.url}/g{ours.stream_path}", json=ours.stream_body) as answer:
            received = b""
            pieces = answer.aiter_bytes()
            while b'"Hello "' not in received.replace(b'": "', b'":"'):
                received += await asyncio.wait_for(anext(pieces), 5)
            assert b"there" not in received
            for _ in theirs.stream:
                script.go.release()
            async for piece in pieces:
                received += piece
    assert text_of(received) == TEXT


@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_a_client_that_leaves_a_stream_closes_the_upstream(
    client_protocol: str, target_protocol: str
) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    first = theirs.stream[:-1] if theirs.protocol in ("gemini", "ollama") else theirs.stream[:4]
    script = streams(*first, content_type=theirs.stream_type, stall=True)
    async with (
        scripted(script) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        async with client.stream("POST", f"{hub.url}/g{ours.stream_path}", json=ours.stream_body) as answer:
            await anext(answer.aiter_bytes())
        await asyncio.wait_for(upstream.connections[0].gone.wait(), 1)
        await asyncio.wait_for(hub.recorded.wait(), 1)
    assert hub.records[0].error == "the client went away"


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_a_client_that_leaves_before_the_answer_closes_the_upstream(stream: bool) -> None:
    arrived = asyncio.Event()

    async def silent(_: Received, connection: Connection) -> None:
        arrived.set()
        await connection.gone.wait()

    sample = SAMPLES["openai"]
    async with (
        scripted(silent) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        body = sample.stream_body if stream else sample.body
        asking = asyncio.create_task(client.post(f"{hub.url}/g{sample.path}", json=body))
        await asyncio.wait_for(arrived.wait(), 5)
        asking.cancel()
        await asyncio.wait_for(upstream.connections[0].gone.wait(), 1)
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(hub.recorded.wait(), 1)
    assert hub.records[0].status == 499


SIGNS = {"anthropic": b"event: ping\n", "openai": b": ", "openai-responses": b": "}
"""Clients of Gemini and Ollama know of nothing that means nothing."""


@pytest.mark.parametrize("silent_from", [0, 2], ids=["from the start", "in the middle"])
@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_silence_is_filled_with_signs_of_life(
    client_protocol: str, target_protocol: str, silent_from: int
) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    script = Stepwise(*theirs.stream, content_type=theirs.stream_type)
    for _ in range(min(silent_from, len(theirs.stream) - 1)):
        script.go.release()
    async with (
        scripted(script) as upstream,
        serving(simple_table(target_protocol, upstream.url), keep_alive=0.02) as hub,
        httpx.AsyncClient() as client,
        client.stream("POST", f"{hub.url}/g{ours.stream_path}", json=ours.stream_body) as answer,
    ):
        received = b""
        pieces = answer.aiter_bytes()
        if sign := SIGNS.get(client_protocol):
            async with asyncio.timeout(5):
                while received.count(sign) < 3:
                    received += await anext(pieces)
        for _ in range(len(theirs.stream) + 1):
            script.go.release()
        async for piece in pieces:
            received += piece
    assert text_of(received) == TEXT


async def test_a_request_ends_on_the_table_that_it_began_with() -> None:
    sample = SAMPLES["openai"]
    script = Stepwise(*sample.stream, content_type=sample.stream_type)
    async with (
        scripted(script) as old,
        scripted(answers(sample.answer)) as new,
        serving(simple_table("openai", old.url, model="old")) as hub,
        httpx.AsyncClient() as client,
    ):
        script.go.release()
        async with client.stream("POST", f"{hub.url}/g{sample.path}", json=sample.stream_body) as answer:
            hub.table = table(group(Target(provider("openai", new.url), "new"), name="other"))
            later = await client.post(f"{hub.url}{sample.path}", json=sample.body)
            assert later.headers["x-hub-target"] == "up/new"
            for _ in sample.stream:
                script.go.release()
            received = await answer.aread()
    assert received == b"".join(sample.stream)
    assert answer.headers["x-hub-target"] == "up/old"


@pytest.mark.parametrize("size", [1, 7, 777])
@pytest.mark.parametrize("protocol", SAMPLES)
async def test_any_cutting_of_a_stream_gives_the_same(protocol: str, size: int) -> None:
    sample = SAMPLES[protocol]
    whole = b"".join(sample.stream)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    ours = SAMPLES["anthropic"]
    async with (
        scripted(streams(*pieces, content_type=sample.stream_type)) as upstream,
        serving(simple_table(protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        same = await client.post(f"{hub.url}/g{sample.stream_path}", json=sample.stream_body)
        converted = await client.post(f"{hub.url}/g{ours.stream_path}", json=ours.stream_body)
    assert same.content == whole
    assert text_of(converted.content) == TEXT
    assert [record.usage.output_tokens for record in hub.records if record.usage] == [3, 3]


async def test_gemini_without_sse_is_one_array() -> None:
    sample = SAMPLES["openai"]
    path = "/v1beta/models/any:streamGenerateContent"
    async with (
        scripted(streams(*sample.stream)) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/g{path}", json=SAMPLES["gemini"].body)
    assert answer.headers["content-type"] == "application/json"
    documents = answer.json()
    assert isinstance(documents, list)
    assert "finishReason" in documents[-1]["candidates"][0]


async def test_gemini_without_sse_passes_through_as_one_array() -> None:
    wire = b'[{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}\n,\r\n{"odd": 1}]'
    script: Script = streams(wire[:30], wire[30:], content_type="application/json; charset=UTF-8")
    async with (
        scripted(script) as upstream,
        serving(simple_table("gemini", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        path = "/v1beta/models/any:streamGenerateContent?key=client-key-1234"
        answer = await client.post(f"{hub.url}/g{path}", json=SAMPLES["gemini"].body)
    assert answer.content == wire
    assert upstream.requests[0].target == "/v1beta/models/real-model:streamGenerateContent"
