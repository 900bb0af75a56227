"""Every protocol to every protocol over real sockets: passed through byte by byte, or converted."""

from __future__ import annotations

import json

import httpx
import pytest

from adapters.registry import names
from tests.routing.samples import SAMPLES, TEXT, UNKNOWN, Sample, text_of
from tests.routing.scripted_upstream import answers, scripted, streams
from tests.routing.serving import PROVIDER_KEY, serving, simple_table

CLIENT_KEYS = {"authorization": "Bearer client-key-1234", "x-api-key": "client-key-1234"}
PAIRS = [(client, target) for client in SAMPLES for target in SAMPLES]


def test_there_is_a_sample_of_every_built_in_protocol() -> None:
    assert set(SAMPLES) == set(names())


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_passthrough_changes_nothing_but_the_model(sample: Sample) -> None:
    wire = json.dumps({**sample.answer, **UNKNOWN}, indent=2).encode()
    sent = json.dumps({**sample.body, **UNKNOWN}, indent=1).encode()
    async with (
        scripted(answers(wire)) as upstream,
        serving(simple_table(sample.protocol, upstream.url)) as hub,
        httpx.AsyncClient(headers=CLIENT_KEYS) as client,
    ):
        answer = await client.post(f"{hub.url}/g{sample.path}", content=sent)
    assert (answer.status_code, answer.content) == (200, wire)
    received = upstream.requests[0]
    if sample.protocol == "gemini":
        assert received.target == "/v1beta/models/real-model:generateContent"
        assert received.body == sent
    else:
        assert received.target == sample.path
        assert received.body == sent.replace(b'"any"', b'"real-model"')
    assert answer.headers["x-hub-group"] == "g"
    assert answer.headers["x-hub-target"] == "up/real-model"
    assert "x-hub-losses" not in answer.headers
    (record,) = hub.records
    assert record.passthrough
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (7, 3)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_passthrough_of_a_stream_changes_no_byte(sample: Sample) -> None:
    async with (
        scripted(streams(*sample.stream, content_type=sample.stream_type)) as upstream,
        serving(simple_table(sample.protocol, upstream.url)) as hub,
        httpx.AsyncClient(headers=CLIENT_KEYS) as client,
    ):
        answer = await client.post(f"{hub.url}/g{sample.stream_path}", json=sample.stream_body)
    assert (answer.status_code, answer.content) == (200, b"".join(sample.stream))
    assert answer.headers["content-type"] == sample.stream_type
    (record,) = hub.records
    assert record.stream
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (7, 3)


@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_an_answer_arrives(client_protocol: str, target_protocol: str) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    async with (
        scripted(answers(theirs.answer)) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient(headers=CLIENT_KEYS) as client,
    ):
        answer = await client.post(f"{hub.url}/g{ours.path}", json=ours.body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert TEXT in answer.text
    assert answer.headers["x-hub-target"] == "up/real-model"
    (received,) = upstream.requests
    assert received.target.partition("?")[0] == theirs.path.replace("/any", "/real-model")
    assert PROVIDER_KEY in " ".join(received.headers.values())
    assert "client-key" not in str(received)
    (record,) = hub.records
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (7, 3)


@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_a_stream_arrives(client_protocol: str, target_protocol: str) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    async with (
        scripted(streams(*theirs.stream, content_type=theirs.stream_type)) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient(headers=CLIENT_KEYS) as client,
    ):
        answer = await client.post(f"{hub.url}/g{ours.stream_path}", json=ours.stream_body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(ours.stream_type)
    assert text_of(answer.content) == TEXT
    assert PROVIDER_KEY in " ".join(upstream.requests[0].headers.values())
    (record,) = hub.records
    assert record.error is None
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (7, 3)


@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_a_client_that_wants_json_gets_it_from_an_upstream_that_streams(
    client_protocol: str, target_protocol: str
) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    async with (
        scripted(streams(*theirs.stream, content_type=theirs.stream_type)) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/g{ours.path}", json=ours.body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert TEXT in json.dumps(answer.json())


@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_a_client_that_wants_a_stream_gets_it_from_an_upstream_that_answers_whole(
    client_protocol: str, target_protocol: str
) -> None:
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    async with (
        scripted(answers(theirs.answer)) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/g{ours.stream_path}", json=ours.stream_body)
    if (
        client_protocol == target_protocol == "ollama"
    ):  # no `stream` in the body: what comes is what was meant
        assert answer.json() == theirs.answer
        return
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(ours.stream_type)
    assert text_of(answer.content) == TEXT


@pytest.mark.parametrize("target_protocol", [name for name in SAMPLES if name != "openai-responses"])
async def test_compacting_by_a_target_that_cannot(target_protocol: str) -> None:
    """The model is asked for a summary, which comes back as the item that the client expects."""
    theirs = SAMPLES[target_protocol]
    body = {"model": "any", "input": [{"role": "user", "content": "A long story."}]}
    async with (
        scripted(answers(theirs.answer)) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{hub.url}/g/v1/responses/compact", json=body)
        assert answer.status_code == 200, answer.text
        output = answer.json()["output"]
        assert output[-1]["type"] == "compaction"
        again = await client.post(f"{hub.url}/g/v1/responses", json={"model": "any", "input": output})
    assert again.status_code == 200, again.text
    assert TEXT in upstream.requests[1].body.decode()
