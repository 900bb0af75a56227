"""What a client is told when an upstream fails, in its own protocol's shape."""

from __future__ import annotations

import json

import httpx
import pytest

from routing.table import Timeouts
from tests.routing.samples import SAMPLES, Sample, error_message, error_of
from tests.routing.scripted_upstream import Connection, Received, Script, answers, scripted, streams
from tests.routing.serving import PROVIDER_KEY, serving, simple_table

pytestmark = pytest.mark.usefixtures("upstream_client")

PAIRS = [(client, target) for client in SAMPLES for target in SAMPLES]


async def ask(
    ours: Sample, protocol: str, script: Script, *, stream: bool = False, timeouts: Timeouts | None = None
) -> httpx.Response:
    more = {"timeouts": timeouts} if timeouts else {}
    async with (
        scripted(script) as upstream,
        serving(simple_table(protocol, upstream.url, **more)) as hub,
        httpx.AsyncClient() as client,
    ):
        path, body = (ours.stream_path, ours.stream_body) if stream else (ours.path, ours.body)
        return await client.post(f"{hub.url}/g{path}", json=body)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 529])
@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_an_upstreams_error(
    client_protocol: str, target_protocol: str, status: int, stream: bool
) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    said = error_of(theirs, f"the upstream says no to {PROVIDER_KEY}")
    answer = await ask(
        ours,
        target_protocol,
        answers(said, status, {"retry-after": "7"} if status == 429 else {}),
        stream=stream,
    )
    # 529 is Anthropic's own; other protocols say 503.
    assert answer.status_code == status or (status, answer.status_code) == (529, 503)
    message = error_message(ours, answer.json())
    assert "the upstream says no" in message
    assert PROVIDER_KEY not in answer.text
    assert (answer.headers.get("retry-after") == "7") == (status == 429)
    assert answer.headers["x-hub-target"] == "up/real-model"
    assert answer.headers["content-type"] == "application/json"
    if status == 401:
        assert "api_key" in message


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_nobody_listens(client_protocol: str, target_protocol: str, stream: bool) -> None:
    async with scripted(answers({})) as closed:
        url = closed.url
    ours = SAMPLES[client_protocol]
    async with serving(simple_table(target_protocol, url)) as hub, httpx.AsyncClient() as client:
        path, body = (ours.stream_path, ours.stream_body) if stream else (ours.path, ours.body)
        answer = await client.post(f"{hub.url}/g{path}", json=body)
    assert answer.status_code == 502
    assert "`up`" in error_message(ours, answer.json())


BROKEN = {
    "not JSON": b'{"id": "x", "choices": [{"mess',
    "a page": b"<html>504 Gateway Timeout</html>",
    "a list": b"[1]",
    "empty": b"",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_an_answer_that_cannot_be_read(client_protocol: str, target_protocol: str, body: bytes) -> None:
    answer = await ask(SAMPLES[client_protocol], target_protocol, answers(body))
    assert answer.status_code == 502
    assert "cannot be read" in error_message(SAMPLES[client_protocol], answer.json())


@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_a_stream_that_begins_with_an_error_gets_its_status(
    client_protocol: str, target_protocol: str
) -> None:
    theirs = SAMPLES[target_protocol]
    script = streams(theirs.stream_error, content_type=theirs.stream_type)
    answer = await ask(SAMPLES[client_protocol], target_protocol, script, stream=True)
    assert answer.status_code >= 500
    assert "it is overloaded" in error_message(SAMPLES[client_protocol], answer.json())


@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_a_stream_of_garbage_is_an_error(client_protocol: str, target_protocol: str) -> None:
    theirs = SAMPLES[target_protocol]
    garbage = b'{"id": "x", "choices": [{"mess\n\n'
    script = streams(
        garbage if theirs.protocol == "ollama" else b"data: " + garbage, content_type=theirs.stream_type
    )
    answer = await ask(SAMPLES[client_protocol], target_protocol, script, stream=True)
    assert answer.status_code == 502
    error_message(SAMPLES[client_protocol], answer.json())


@pytest.mark.parametrize("half", [1, 2])
@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_a_cut_stream_never_looks_complete(
    client_protocol: str, target_protocol: str, half: int
) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    pieces = theirs.stream[: len(theirs.stream) // 2 + half - 1] or theirs.stream[:1]
    script = streams(*pieces, content_type=theirs.stream_type, cut=True)
    received = b""
    broken = False
    async with (
        scripted(script) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        try:
            async with client.stream(
                "POST", f"{hub.url}/g{ours.stream_path}", json=ours.stream_body
            ) as answer:
                status = answer.status_code
                async for piece in answer.aiter_bytes():
                    received += piece
        except httpx.RemoteProtocolError:
            broken = True
        (record,) = hub.records
    if client_protocol == target_protocol:
        assert broken
        assert received == b"".join(pieces)
    else:
        assert broken or status >= 500 or b"in the middle of its answer" in received
    assert record.error is not None


@pytest.mark.parametrize("target_protocol", SAMPLES)
async def test_an_upstream_that_is_silent_too_long(target_protocol: str) -> None:
    async def silent(_: Received, connection: Connection) -> None:
        await connection.gone.wait()

    ours = SAMPLES["openai"]
    answer = await ask(ours, target_protocol, silent, timeouts=Timeouts(first_byte=0.1))
    assert answer.status_code == 504
    assert "no answer within 0.1 s" in error_message(ours, answer.json())


async def test_an_upstream_that_stops_in_mid_stream() -> None:
    ours = SAMPLES["anthropic"]
    script = streams(*SAMPLES["openai"].stream[:2], stall=True)
    answer = await ask(ours, "openai", script, stream=True, timeouts=Timeouts(idle=0.1))
    assert answer.status_code == 200
    last = answer.content.rstrip().rsplit(b"\n\n", 1)[-1]
    assert last.startswith(b"event: error\n")
    assert b"nothing came for 0.1 s" in last


async def test_the_total_time_counts_while_pieces_come() -> None:
    async def drip(_: Received, connection: Connection) -> None:
        await connection.head(200, {"content-type": "text/event-stream"})
        while not connection.gone.is_set():
            await connection.chunk(SAMPLES["openai"].stream[1])

    answer = await ask(
        SAMPLES["anthropic"], "openai", drip, stream=True, timeouts=Timeouts(total=1.5, idle=None)
    )
    assert b"event: error\n" in answer.content


@pytest.mark.parametrize("protocol", SAMPLES)
async def test_an_error_with_status_200_is_an_error(protocol: str) -> None:
    ours = SAMPLES[protocol]
    answer = await ask(ours, protocol, answers(error_of(ours, "no credits left")))
    assert answer.status_code >= 400
    assert "no credits left" in error_message(ours, answer.json())


async def test_a_redirect_is_not_followed() -> None:
    answer = await ask(
        SAMPLES["openai"], "openai", answers({}, 302, {"location": "http://127.0.0.1:1/steal"})
    )
    assert answer.status_code == 502
    assert "base_url" in error_message(SAMPLES["openai"], answer.json())


async def test_an_html_error_page_gets_the_clients_shape() -> None:
    answer = await ask(
        SAMPLES["openai"], "openai", answers(b"<html>Bad gateway</html>", 502, content_type="text/html")
    )
    assert answer.status_code == 502
    error_message(SAMPLES["openai"], answer.json())


async def test_something_that_is_not_http() -> None:
    async def garbage(_: Received, connection: Connection) -> None:
        await connection.write(b"\x00\x01 hello, I am a mail server\r\n\r\n")
        connection.writer.close()

    answer = await ask(SAMPLES["openai"], "openai", garbage)
    assert answer.status_code == 502
    assert "mail server" not in answer.text


async def test_hop_by_hop_headers_stay_and_limits_pass() -> None:
    headers = {
        "x-ratelimit-remaining-tokens": "12",
        "connection": "close",
        "set-cookie": "a=b",
        "x-internal": "private",
        "openai-processing-ms": "5",
    }
    answer = await ask(SAMPLES["openai"], "openai", answers(SAMPLES["openai"].answer, headers=headers))
    assert answer.headers["x-ratelimit-remaining-tokens"] == "12"
    assert answer.headers["openai-processing-ms"] == "5"
    assert not {"set-cookie", "x-internal", "connection"} & set(answer.headers)


async def test_a_compressed_answer_is_passed_on_uncompressed() -> None:
    import gzip

    data = json.dumps(SAMPLES["openai"].answer).encode()
    script = answers(gzip.compress(data), headers={"content-encoding": "gzip"})
    answer = await ask(SAMPLES["openai"], "openai", script)
    assert answer.content == data
    assert "content-encoding" not in answer.headers
