"""The upstream client at the edges of HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import contextmanager

import httpx
import pytest

from routing.app import chat_app
from routing.gateway import Gateway
from routing.table import Table
from routing.upstream import AiohttpUpstream
from tests.routing.samples import SAMPLES, error_message, error_of
from tests.routing.scripted_upstream import Connection, Received, answers, scripted, streams
from tests.routing.serving import running, serving, simple_table

pytestmark = pytest.mark.usefixtures("upstream_client")

CHAT = SAMPLES["openai"]


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_connections_are_kept(status: int) -> None:
    body = CHAT.answer if status == 200 else error_of(CHAT, "no")
    async with (
        scripted(answers(body, status)) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        for _ in range(5):
            await client.post(f"{hub.url}{CHAT.path}", json=CHAT.body)
    assert (len(upstream.requests), upstream.sockets) == (5, 1)


async def test_connections_are_kept_after_streams() -> None:
    async with (
        scripted(streams(*CHAT.stream)) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        for path, body in (
            (CHAT.path, CHAT.stream_body),
            ("/v1/messages", SAMPLES["anthropic"].stream_body),
        ) * 2:
            assert (await client.post(hub.url + path, json=body)).status_code == 200
    assert (len(upstream.requests), upstream.sockets) == (4, 1)


async def test_many_requests_at_once_wait_for_no_connection() -> None:
    waiting = asyncio.Barrier(150)

    async def together(received: Received, connection: Connection) -> None:
        await waiting.wait()
        await answers(CHAT.answer)(received, connection)

    async with (
        scripted(together) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=20) as client,
    ):
        asking = (client.post(f"{hub.url}{CHAT.path}", json=CHAT.body) for _ in range(150))
        assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}


async def test_an_upstream_that_answers_before_it_has_read_the_body() -> None:
    said = json.dumps(error_of(CHAT, "way too large")).encode()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = (
            f"HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: {len(said)}\r\n\r\n"
        )
        writer.write(head.encode() + said)
        await writer.drain()
        await reader.read(100_000)
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with serving(simple_table("openai", url)) as hub, httpx.AsyncClient() as client:
            body = {**CHAT.body, "padding": "x" * 8_000_000}
            answer = await client.post(f"{hub.url}{CHAT.path}", json=body)
    finally:
        server.close()
    assert answer.status_code == 413
    assert "way too large" in error_message(CHAT, answer.json())


async def test_a_body_that_ends_with_the_connection() -> None:
    async def unsized(_: Received, connection: Connection) -> None:
        await connection.head(200, {"content-type": "application/json"}, chunked=False)
        await connection.write(json.dumps(CHAT.answer).encode())
        connection.writer.close()

    async with (
        scripted(unsized) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}{CHAT.path}", json=CHAT.body)
    assert answer.json() == CHAT.answer


def small_socket() -> socket.socket:
    """Its buffers and those of the connections that it accepts stay small, whatever this machine's are."""
    made = socket.socket()
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        made.setsockopt(socket.SOL_SOCKET, buffer, 64 * 1024)
    return made


def small_listener() -> socket.socket:
    made = small_socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
async def test_a_client_that_does_not_read_stops_the_upstream(protocol: str) -> None:
    """Passed through or converted: what the hub holds for it is bounded."""
    ours, piece = SAMPLES[protocol], CHAT.stream[1] * 100
    sent = 0
    moved = asyncio.Event()

    async def flood(_: Received, connection: Connection) -> None:
        nonlocal sent
        await connection.head(200, {"content-type": "text/event-stream"})
        await connection.chunk(CHAT.stream[0])
        while not connection.gone.is_set() and sent < _FLOOD:
            await connection.chunk(piece)
            sent += len(piece)
            moved.set()

    client = small_socket()
    client.setblocking(False)
    async with (
        scripted(flood, listener=small_listener()) as upstream,
        serving(simple_table("openai", upstream.url), listener=small_listener()) as hub,
    ):
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", httpx.URL(hub.url).port))
        body = json.dumps(ours.stream_body).encode()
        head = f"POST {ours.path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        await loop.sock_sendall(client, head.encode() + body)
        await loop.sock_recv(client, 100)  # and no more than the answer's beginning
        try:
            while sent < _FLOOD:  # until nothing moves
                moved.clear()
                await asyncio.wait_for(moved.wait(), 1)
        except TimeoutError:
            pass
        finally:
            client.close()
    assert 0 < sent < _FLOOD


_FLOOD = 8_000_000
"""Bytes. The buffers of the kernel and of the hub hold a small part of it."""


async def test_the_table_is_leased_until_the_stream_has_ended() -> None:
    leases: list[str] = []
    async with scripted(streams(*CHAT.stream)) as upstream:
        table = simple_table("openai", upstream.url)

        @contextmanager
        def lease():
            leases.append("begun")
            yield table
            leases.append("ended")

        client_upstream = AiohttpUpstream()
        gateway = Gateway(
            lease=lease, upstream=client_upstream, sink=lambda record: leases.append("recorded")
        )
        async with running(chat_app(gateway)) as url, httpx.AsyncClient() as client:
            await client.post(f"{url}{CHAT.path}", json=CHAT.stream_body)
        await gateway.close()
    assert leases == ["begun", "recorded", "ended"]


async def test_losses_are_told() -> None:
    ours, theirs = SAMPLES["gemini"], SAMPLES["openai"]
    body = {**ours.body, "generationConfig": {"topK": 5}, "safetySettings": [{"category": "x"}]}
    async with (
        scripted(answers(theirs.answer)) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/g{ours.path}", json=body)
        upstream.script = streams(*theirs.stream)
        stream = await client.post(f"{hub.url}/g{ours.stream_path}", json=body)
    for told in (answer, stream):
        codes = told.headers["x-hub-losses"].split(", ")
        assert {"top_k", "safetySettings"} <= set(codes)
    assert set(hub.records[0].losses) >= {"top_k", "safetySettings"}


@pytest.mark.parametrize("client_protocol", SAMPLES)
@pytest.mark.parametrize("target_protocol", ["openai", "anthropic", "gemini"])
async def test_a_deeply_nested_body(client_protocol: str, target_protocol: str) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    bodies = []
    for depth in (300, 900):
        schema = (
            json.loads('{"type":"object","properties":{"a":' * depth + "{}" + "}}" * depth)
            if depth < 400
            else {}
        )
        nest = json.loads("[" * depth + "]" * depth)
        function = {"name": "f", "description": "d", "parameters": schema or {"x": nest}}
        tools = {
            "openai": [{"type": "function", "function": function}],
            "openai-responses": [{"type": "function", **function}],
            "anthropic": [{"name": "f", "input_schema": function["parameters"]}],
            "gemini": [{"functionDeclarations": [function]}],
            "ollama": [{"type": "function", "function": function}],
        }[client_protocol]
        bodies += [{**ours.body, "tools": tools}, {**ours.body, "odd": nest}]
        bodies += [{**ours.body, key: nest} for key in ours.body]
    async with (
        scripted(answers(theirs.answer)) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        for body in bodies:
            answer = await client.post(f"{hub.url}/g{ours.path}", json=body)
            assert answer.status_code in (200, 400)


async def test_without_groups_nothing_breaks() -> None:
    async with serving(Table()) as hub, httpx.AsyncClient() as client:
        assert (await client.get(f"{hub.url}/v1/models")).json()["data"] == []
