"""What a target cannot be told: in the header, in the log, or refused, as the group says."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any, get_args

import httpx
import pytest

from adapters.canonical import Signature
from adapters.signatures import for_client
from routing.table import Group, LossPolicy, Parameters, Target
from tests.routing.requests import call, chat, inquiry, plan_of
from tests.routing.samples import SAMPLES, error_message
from tests.routing.scripted_upstream import Connection, Received, ScriptedUpstream, answers, scripted
from tests.routing.serving import group, provider, serving, table

LOSING: dict[str, tuple[dict[str, Any], str, list[tuple[str, str]]]] = {
    "openai": (
        {"seed": 3, "logit_bias": {"1": 2}},
        "anthropic",
        [("seed", "seed"), ("logit_bias", "logit_bias")],
    ),
    "openai-responses": (
        {"truncation": "auto", "top_logprobs": 3},
        "anthropic",
        [("truncation", "truncation"), ("top_logprobs", "top_logprobs")],
    ),
    "anthropic": ({"top_k": 4}, "openai", [("top_k", "top_k")]),
    "gemini": ({"generationConfig": {"topK": 4}}, "openai", [("top_k", "generationConfig.topK")]),
    "ollama": ({"options": {"top_k": 4}}, "openai", [("top_k", "options.top_k")]),
}
"""Client's protocol -> what it says more, a target that cannot be told, code and place of each loss."""


async def ask(
    client_protocol: str, losses: LossPolicy, more: dict[str, Any] | None = None
) -> tuple[httpx.Response, ScriptedUpstream]:
    said, target_protocol, _ = LOSING[client_protocol]
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    async with scripted(answers(theirs.answer)) as upstream:
        target = Target(provider(target_protocol, upstream.url), "real-model")
        async with serving(table(group(target, losses=losses))) as hub, httpx.AsyncClient() as client:
            body = {**ours.body, **(said if more is None else more)}
            answer = await client.post(f"{hub.url}/g{ours.path}", json=body)
    return answer, upstream


def logged(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    records = [each for each in caplog.records if each.name == "hub.routing" and each.levelno == level]
    return [each.getMessage() for each in records if " lost " in each.getMessage()]


@pytest.mark.parametrize("client_protocol", LOSING)
async def test_allowed_losses_are_in_the_header_and_the_debug_log(
    client_protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hub.routing")
    answer, upstream = await ask(client_protocol, "allow")
    assert answer.status_code == 200
    told = answer.headers["x-hub-losses"].split(", ")
    lines = logged(caplog, logging.DEBUG)
    for code, where in LOSING[client_protocol][2]:
        assert code in told
        assert any(f" lost {code} at {where}: " in line for line in lines), lines
    assert logged(caplog, logging.WARNING) == []
    assert len(upstream.requests) == 1


async def test_allowed_is_what_a_group_says_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert group().losses == "allow"


@pytest.mark.parametrize("client_protocol", LOSING)
async def test_a_group_that_warns_logs_each_loss_with_its_path(
    client_protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hub.routing")
    answer, upstream = await ask(client_protocol, "warn")
    assert answer.status_code == 200
    lines = logged(caplog, logging.WARNING)
    for code, where in LOSING[client_protocol][2]:
        assert code in answer.headers["x-hub-losses"].split(", ")
        assert any(f" lost {code} at {where}: " in line for line in lines), lines
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("client_protocol", LOSING)
async def test_a_group_that_refuses_sends_nothing_and_names_each_loss(client_protocol: str) -> None:
    answer, upstream = await ask(client_protocol, "refuse")
    assert answer.status_code == 400
    message = error_message(SAMPLES[client_protocol], answer.json())
    for code, where in LOSING[client_protocol][2]:
        assert f"`{code}` at {where}" in message
    assert "group `g` refuses" in message
    assert upstream.requests == []


@pytest.mark.parametrize("losses", get_args(LossPolicy))
@pytest.mark.parametrize("client_protocol", LOSING)
async def test_nothing_lost_is_nothing_told(
    client_protocol: str, losses: LossPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hub.routing")
    answer, upstream = await ask(client_protocol, losses, {})
    assert answer.status_code == 200
    assert "x-hub-losses" not in answer.headers
    assert logged(caplog, logging.DEBUG) + logged(caplog, logging.WARNING) == []
    assert len(upstream.requests) == 1


async def test_a_target_that_can_be_told_answers_where_another_would_lose() -> None:
    """With `refuse`, failover looks for a target that carries everything."""
    sample = SAMPLES["openai"]
    body = {**sample.body, "seed": 3}
    async with (
        scripted(answers(SAMPLES["anthropic"].answer)) as losing,
        scripted(answers(sample.answer)) as whole,
    ):
        targets = (
            Target(provider("anthropic", losing.url, "losing"), "m"),
            Target(provider("openai", whole.url, "whole"), "m", weight=0),
        )
        async with (
            serving(table(group(*targets, losses="refuse"))) as hub,
            httpx.AsyncClient() as client,
        ):
            answer = await client.post(f"{hub.url}/g{sample.path}", json=body)
    assert answer.headers["x-hub-target"] == "whole/m"
    assert (len(losing.requests), len(whole.requests)) == (0, 1)


async def test_what_passes_through_loses_nothing() -> None:
    sample = SAMPLES["openai"]
    async with scripted(answers(sample.answer)) as upstream:
        target = Target(provider("openai", upstream.url), "m")
        groups = table(
            group(target, losses="refuse"),
            group(target, name="adjusted", losses="refuse", defaults=Parameters(temperature=0.5)),
        )
        async with serving(groups) as hub, httpx.AsyncClient() as client:
            for name in ("g", "adjusted"):
                body = {**sample.body, "seed": 3, "logit_bias": {"1": 2}}
                answer = await client.post(f"{hub.url}/{name}{sample.path}", json=body)
                assert answer.status_code == 200, answer.text
                assert upstream.requests[-1].json["logit_bias"] == {"1": 2}


# ---------------------------------------------------------------- what of an answer is lost in a stream

THOUGHTFUL = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"m","content":[],'
    b'"usage":{"input_tokens":1,"output_tokens":1}%s}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"thinking","thinking":"","signature":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"thinking_delta","thinking":"Hm"}}\n\n'
)
PAUSED = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"signature_delta","signature":"c2ln"}}\n\n'
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"pause_turn"},'
    b'"usage":{"output_tokens":2}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


@pytest.mark.parametrize("policy", ["allow", "warn"])
async def test_a_stream_tells_its_losses_in_the_log_and_the_record(
    policy: LossPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    """The header has those that are known with the first event; the others come to light later."""
    level = logging.DEBUG if policy == "allow" else logging.WARNING
    caplog.set_level(level, "hub.routing")
    seen = asyncio.Event()

    async def script(_: Received, connection: Connection) -> None:
        await connection.head(200, {"content-type": "text/event-stream"})
        await connection.chunk(THOUGHTFUL % b',"container":{"id":"c"}')
        await seen.wait()
        await connection.chunk(PAUSED)
        await connection.end()

    async with scripted(script) as upstream:
        target = Target(provider("anthropic", upstream.url), "real-model")
        async with serving(table(group(target, losses=policy))) as hub, httpx.AsyncClient() as client:
            ours = SAMPLES["ollama"]
            url = f"{hub.url}/g{ours.stream_path}"
            async with client.stream("POST", url, json=ours.stream_body) as answer:
                seen.set()
                assert "done_reason" in (await answer.aread()).decode()
    assert answer.headers["x-hub-losses"] == "container"
    assert [record.losses for record in hub.records] == [("container", "thinking.signature", "stop_reason")]
    lines = logged(caplog, level)
    assert len(lines) == 3
    assert any(" lost thinking.signature at choices[0].parts[0]: " in line for line in lines)
    assert any(" lost stop_reason at choices[0]: pause " in line for line in lines)


async def test_a_replayed_stream_has_all_its_losses_in_the_header() -> None:
    """The target gave JSON to a client that wants a stream: all is known before the head."""
    whole = {**SAMPLES["anthropic"].answer, "stop_reason": "pause_turn"}
    async with scripted(answers(whole)) as upstream:
        target = Target(provider("anthropic", upstream.url), "real-model")
        async with serving(table(group(target))) as hub, httpx.AsyncClient() as client:
            ours = SAMPLES["openai"]
            answer = await client.post(f"{hub.url}/g{ours.stream_path}", json=ours.stream_body)
    assert answer.status_code == 200
    assert answer.headers["x-hub-losses"].split(", ")[-1] == "stop_reason"


@pytest.mark.parametrize(
    ("base_url", "bare"), [("https://api.anthropic.com", True), ("http://127.0.0.1:4000", False)]
)
def test_a_wrapped_signature_never_passes_through_to_a_provider(base_url: str, bare: bool) -> None:
    """Else a session that comes from another target is refused there: the wrapper is no signature."""
    wrapped = for_client(Signature("c2lnbmVk", "gemini"), "anthropic")
    body = chat("anthropic")
    thought = {"type": "thinking", "thinking": "Hm.", "signature": wrapped}
    said = {"role": "assistant", "content": [thought, {"type": "text", "text": "So."}]}
    body["messages"] = [*body["messages"], said, {"role": "user", "content": "On"}]
    target = Target(replace(provider("anthropic", "http://unused"), base_url=base_url), "claude-sonnet-4-5")
    plan = plan_of(Group("g", (target,)))
    asked = inquiry(call("anthropic", body), plan).asked(plan.ways[0], 0)
    assert (wrapped.encode() not in asked.request.body) is bare
    assert (b"So." in asked.request.body, bool(asked.losses.codes)) == (True, bare)
