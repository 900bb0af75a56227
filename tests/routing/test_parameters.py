"""A group's parameters: defaults below the client's own, overrides above, and what else is injected."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from routing.table import Parameters, Target
from tests.routing.samples import SAMPLES, UNKNOWN
from tests.routing.scripted_upstream import answers, scripted
from tests.routing.serving import group, provider, serving, table


async def upstream_body(
    client_protocol: str, target_protocol: str, said: dict[str, Any], **parameters: Any
) -> Any:
    """What the upstream got for a client that said `said`."""
    ours, theirs = SAMPLES[client_protocol], SAMPLES[target_protocol]
    async with scripted(answers(theirs.answer)) as upstream:
        target = Target(provider(target_protocol, upstream.url), "real-model")
        async with serving(table(group(target, **parameters))) as hub, httpx.AsyncClient() as client:
            answer = await client.post(f"{hub.url}/g{ours.path}", json={**ours.body, **said})
    assert answer.status_code == 200, answer.text
    return upstream.requests[0].json


@pytest.mark.parametrize("target_protocol", ["openai", "anthropic"])
async def test_a_default_stands_where_the_client_said_nothing(target_protocol: str) -> None:
    defaults = Parameters(temperature=0.25, top_p=0.5)
    body = await upstream_body("openai", target_protocol, {"top_p": 0.9}, defaults=defaults)
    assert (body["temperature"], body["top_p"]) == (0.25, 0.9)


@pytest.mark.parametrize("target_protocol", ["openai", "anthropic"])
async def test_an_override_stands_above_the_client(target_protocol: str) -> None:
    override = Parameters(temperature=0.25)
    body = await upstream_body("openai", target_protocol, {"temperature": 0.9}, override=override)
    assert body["temperature"] == 0.25


async def test_zero_and_false_are_said() -> None:
    defaults = Parameters(temperature=0.25, parallel_tool_calls=True, seed=5)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    said = {"temperature": 0, "parallel_tool_calls": False, "seed": 0, "tools": [tool]}
    body = await upstream_body("openai", "openai", said, defaults=defaults)
    assert (body["temperature"], body["parallel_tool_calls"], body["seed"]) == (0, False, 0)


async def test_all_parameters_reach_a_chat_upstream() -> None:
    defaults = Parameters(
        temperature=0.1,
        top_p=0.2,
        max_tokens=50,
        stop=("END",),
        seed=4,
        presence_penalty=0.5,
        frequency_penalty=0.6,
    )
    body = await upstream_body("openai", "openai", {}, defaults=defaults)
    expected = {
        "temperature": 0.1,
        "top_p": 0.2,
        "seed": 4,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.6,
    }
    assert expected.items() <= body.items()
    assert body.get("max_completion_tokens", body.get("max_tokens")) == 50
    assert body["stop"] in ("END", ["END"])


@pytest.mark.parametrize("protocol", ["openai", "anthropic", "openai-responses"])
async def test_parameters_do_not_cost_a_same_protocol_its_unknown_fields(protocol: str) -> None:
    body = await upstream_body(protocol, protocol, UNKNOWN, defaults=Parameters(temperature=0.3))
    sent = {**SAMPLES[protocol].body, **UNKNOWN, "model": "real-model", "temperature": 0.3}
    assert body == sent


async def test_effort_is_a_default_and_an_override() -> None:
    low, high = Parameters(reasoning_effort="low"), Parameters(reasoning_effort="high")
    body = await upstream_body("openai", "openai", {}, defaults=low)
    assert body["reasoning_effort"] == "low"
    body = await upstream_body("openai", "openai", {"reasoning_effort": "medium"}, defaults=low)
    assert body["reasoning_effort"] == "medium"
    body = await upstream_body("openai", "openai", {"reasoning_effort": "medium"}, override=high)
    assert body["reasoning_effort"] == "high"


async def test_extra_body() -> None:
    body = await upstream_body(
        "openai",
        "openai",
        {"provider": {"only": ["a"]}},
        defaults=Parameters(extra_body={"provider": {"only": ["b"]}, "below": 1}),
        override=Parameters(extra_body={"above": [2]}),
    )
    assert (body["provider"], body["below"], body["above"]) == ({"only": ["a"]}, 1, [2])


async def test_the_providers_headers_win_and_its_query_stays() -> None:
    sample = SAMPLES["openai"]
    async with scripted(answers(sample.answer)) as upstream:
        azure = provider("openai", upstream.url, headers={"API-Key": "azure-secret", "User-Agent": "mine"})
        azure = type(azure)(
            "azure", "openai", upstream.url + "/openai?api-version=2030-01-01", (), azure.headers
        )
        async with serving(table(group(Target(azure, "m")))) as hub, httpx.AsyncClient() as client:
            await client.post(f"{hub.url}/g{sample.path}?x=1&key=client-key", json=sample.body)
    received = upstream.requests[0]
    assert received.target == "/openai/chat/completions?x=1&api-version=2030-01-01"
    assert (received.headers["api-key"], received.headers["user-agent"]) == ("azure-secret", "mine")
    assert "authorization" not in received.headers


async def test_a_target_without_a_model_takes_the_clients() -> None:
    sample = SAMPLES["openai"]
    async with scripted(answers(sample.answer)) as upstream:
        target = Target(provider("openai", upstream.url), "")
        async with serving(table(group(target))) as hub, httpx.AsyncClient() as client:
            await client.post(f"{hub.url}/g{sample.path}", json={**sample.body, "model": "vendor/any"})
    assert upstream.requests[0].json["model"] == "vendor/any"


@pytest.mark.parametrize("target_protocol", ["openai", "anthropic"])
async def test_protocol_headers_go_to_the_same_protocol_only(target_protocol: str) -> None:
    ours, theirs = SAMPLES["anthropic"], SAMPLES[target_protocol]
    said = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a-beta-2030",
        "cookie": "c=1",
        "x-api-key": "k",
    }
    async with scripted(answers(theirs.answer)) as upstream:
        target = Target(provider(target_protocol, upstream.url), "m")
        async with serving(table(group(target))) as hub, httpx.AsyncClient() as client:
            await client.post(f"{hub.url}/g{ours.path}", json=ours.body, headers=said)
    received = upstream.requests[0].headers
    assert (received.get("anthropic-beta") == "a-beta-2030") == (target_protocol == "anthropic")
    assert "cookie" not in received
    assert received.get("x-api-key") != "k"
