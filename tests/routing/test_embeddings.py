"""Embeddings between every two protocols that have them, read by the official SDKs."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types as genai_types
from ollama import AsyncClient as OllamaClient
from openai import APIStatusError, AsyncOpenAI

from adapters.registry import codec
from routing.table import LossPolicy, Target
from tests.routing.samples import SAMPLES, error_message
from tests.routing.scripted_upstream import (
    Connection,
    Received,
    Script,
    ScriptedUpstream,
    answers,
    scripted,
)
from tests.routing.serving import Served, group, provider, serving, simple_table, table

TARGETS = ("openai", "gemini", "ollama")
INPUTS = ["one", "two", "thrée"]


def vector(text: str) -> list[float]:
    """Different for each text, and exact in 32 bits."""
    return [len(text.encode()) / 4, -0.5, float(ord(text[0]))]


def texts_of(protocol: str, body: dict[str, Any]) -> list[str]:
    """What an upstream is asked to embed."""
    if protocol == "gemini":
        requests = body.get("requests") or [body]
        return ["".join(part["text"] for part in each["content"]["parts"]) for each in requests]
    found = body.get("input", body.get("prompt"))
    return [found] if isinstance(found, str) else found


def answer_of(protocol: str, target: str, vectors: list[list[float]]) -> dict[str, Any]:
    """What the provider's own server answers; OpenAI's items are in the wrong order, which is allowed."""
    match protocol:
        case "openai":
            data = [
                {"object": "embedding", "index": index, "embedding": each}
                for index, each in enumerate(vectors)
            ]
            usage = {"prompt_tokens": 9, "total_tokens": 9}
            return {"object": "list", "data": data[::-1], "model": "real-model", "usage": usage}
        case "gemini":
            found = [{"values": each} for each in vectors]
            usage = {"usageMetadata": {"promptTokenCount": 9}}
            return {"embeddings": found, **usage} if ":batch" in target else {"embedding": found[0], **usage}
        case _:
            if target == "/api/embeddings":
                return {"embedding": vectors[0]}
            return {
                "model": "real-model",
                "embeddings": vectors,
                "total_duration": 5,
                "load_duration": 1,
                "prompt_eval_count": 9,
            }


def embeds(protocol: str) -> Script:
    async def script(received: Received, connection: Connection) -> None:
        vectors = [vector(text) for text in texts_of(protocol, received.json)]
        await answers(answer_of(protocol, received.target, vectors))(received, connection)

    return script


@dataclass
class Hub:
    served: Served
    upstream: ScriptedUpstream

    @property
    def url(self) -> str:
        return f"{self.served.url}/g"

    @property
    def asked(self) -> Received:
        (received,) = self.upstream.requests
        return received


class hub_before:
    """A hub whose group has one target of `protocol`."""

    def __init__(self, protocol: str, script: Script | None = None, losses: LossPolicy = "allow") -> None:
        self._upstream = scripted(script or embeds(protocol))
        self._protocol, self._losses = protocol, losses

    async def __aenter__(self) -> Hub:
        upstream = await self._upstream.__aenter__()
        target = Target(provider(self._protocol, upstream.url), "real-model")
        self._serving = serving(table(group(target, losses=self._losses)))
        return Hub(await self._serving.__aenter__(), upstream)

    async def __aexit__(self, *error: Any) -> None:
        await self._serving.__aexit__(*error)
        await self._upstream.__aexit__(*error)


async def post(url: str, body: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(url, json=body)


# ---------------------------------------------------------------- every client and every target


async def by_openai(url: str) -> tuple[list[list[float]], int | None]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        # The SDK asks for base64 by itself and unpacks it.
        answer = await client.embeddings.create(model="any", input=INPUTS)
    assert answer.object == "list"
    assert answer.model in ("any", "real-model")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens
    data = sorted(answer.data, key=lambda each: each.index)
    return [list(each.embedding) for each in data], answer.usage.prompt_tokens


async def by_gemini(url: str) -> tuple[list[list[float]], int | None]:
    with genai.Client(api_key="x", http_options=genai_types.HttpOptions(base_url=url)) as client:
        embed = client.models.embed_content
        answer = await asyncio.to_thread(embed, model="any", contents=list(INPUTS))
    assert answer.embeddings is not None
    usage = answer.usage_metadata
    return [each.values or [] for each in answer.embeddings], usage.prompt_token_count if usage else None


async def by_ollama(url: str) -> tuple[list[list[float]], int | None]:
    async with OllamaClient(host=url) as client:
        answer = await client.embed(model="any", input=INPUTS)
    return [list(each) for each in answer.embeddings], answer.prompt_eval_count


CLIENTS = {"openai": by_openai, "gemini": by_gemini, "ollama": by_ollama}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_batch_by_the_official_sdk(client: str, target: str) -> None:
    async with hub_before(target) as hub:
        vectors, count = await CLIENTS[client](hub.url)
    assert vectors == [vector(text) for text in INPUTS]
    assert count == 9
    assert texts_of(target, hub.asked.json) == INPUTS
    (record,) = hub.served.records
    assert (record.operation, record.status, record.target_protocol) == ("embeddings", 200, target)
    assert record.passthrough is (client == target)
    assert record.usage is not None
    assert record.usage.input_tokens == 9


ONE: dict[str, tuple[str, dict[str, Any], tuple[str | int, ...]]] = {
    "openai": ("/v1/embeddings", {"model": "any", "input": "one"}, ("data", 0, "embedding")),
    "gemini": (
        "/v1beta/models/any:embedContent",
        {"model": "models/any", "content": {"parts": [{"text": "one"}]}},
        ("embedding", "values"),
    ),
    "ollama embed": ("/api/embed", {"model": "any", "input": "one"}, ("embeddings", 0)),
    "ollama embeddings": ("/api/embeddings", {"model": "any", "prompt": "one"}, ("embedding",)),
}
"""Path, body, and where the answer has the vector."""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("client", ONE)
async def test_one_text(client: str, target: str) -> None:
    path, body, place = ONE[client]
    async with hub_before(target) as hub:
        answer = await post(hub.url + path, body)
    found = answer.json()
    for step in place:
        found = found[step]
    assert found == vector("one")
    assert answer.headers["x-hub-target"] == "up/real-model"
    assert "x-hub-losses" not in answer.headers
    asked = hub.asked
    assert "any" not in asked.target + asked.body.decode()
    if target == "gemini":
        assert asked.target == "/v1beta/models/real-model:embedContent"
        assert asked.json["model"] == "models/real-model"
    else:
        assert asked.json["model"] == "real-model"


async def test_every_protocol_with_an_embeddings_route_is_covered() -> None:
    from adapters.codec import EmbeddingsCodec
    from adapters.registry import codecs

    embedding = {each.name for each in codecs() if isinstance(each, EmbeddingsCodec)}
    routed = {each.name for each in codecs() if any(route.operation == "embeddings" for route in each.routes)}
    assert embedding == routed == set(TARGETS) == set(CLIENTS)


# ---------------------------------------------------------------- what a request can say


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("client", ["openai", "gemini", "ollama embed"])
async def test_dimensions_reach_every_target(client: str, target: str) -> None:
    path, body, _ = ONE[client]
    key = {"gemini": "outputDimensionality"}
    async with hub_before(target) as hub:
        answer = await post(hub.url + path, {**body, key.get(client, "dimensions"): 256})
    assert answer.status_code == 200
    assert hub.asked.json[key.get(target, "dimensions")] == 256


async def test_gemini_is_asked_for_the_dimensions_of_each() -> None:
    async with hub_before("gemini") as hub:
        body = {"model": "any", "input": INPUTS, "dimensions": 256}
        await post(f"{hub.url}/v1/embeddings", body)
    assert hub.asked.target == "/v1beta/models/real-model:batchEmbedContents"
    assert [each["outputDimensionality"] for each in hub.asked.json["requests"]] == [256] * 3
    assert {each["model"] for each in hub.asked.json["requests"]} == {"models/real-model"}


@pytest.mark.parametrize("target", ["gemini", "ollama"])
async def test_base64_is_what_openai_means_by_it(target: str) -> None:
    async with hub_before(target) as hub:
        body = {"model": "any", "input": INPUTS, "encoding_format": "base64"}
        answer = await post(f"{hub.url}/v1/embeddings", body)
    found = [
        list(struct.unpack("<3f", base64.b64decode(each["embedding"]))) for each in answer.json()["data"]
    ]
    assert found == [vector(text) for text in INPUTS]


@pytest.mark.parametrize("client", ["gemini", "ollama"])
async def test_an_upstream_may_answer_in_base64(client: str) -> None:
    async def script(received: Received, connection: Connection) -> None:
        document = answer_of("openai", received.target, [vector(text) for text in INPUTS])
        for each in document["data"]:
            each["embedding"] = base64.b64encode(struct.pack("<3f", *each["embedding"])).decode()
        await answers(document)(received, connection)

    async with hub_before("openai", script) as hub:
        vectors, _ = await CLIENTS[client](hub.url)
    assert vectors == [vector(text) for text in INPUTS]


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
async def test_token_ids_go_to_openai_alone(tokens: list[Any]) -> None:
    async with hub_before("openai", answers(answer_of("openai", "", [[1.0]] * len(tokens)))) as hub:
        answer = await post(f"{hub.url}/v1/embeddings", {"model": "any", "input": tokens})
    assert answer.status_code == 200
    assert hub.asked.json["input"] == tokens
    for target in ("gemini", "ollama"):
        async with hub_before(target) as hub:
            answer = await post(f"{hub.url}/v1/embeddings", {"model": "any", "input": tokens})
        assert answer.status_code == 400
        message = error_message(SAMPLES["openai"], answer.json())
        assert message.startswith("input[0]: " if isinstance(tokens[0], list) else "input: ")
        assert "not token ids" in message
        assert hub.upstream.requests == []


LOSING = {
    "openai": ("/v1/embeddings", {"input": "one", "user": "me"}, "ollama", "user"),
    "gemini": (
        "/v1beta/models/any:embedContent",
        {"content": {"parts": [{"text": "one"}]}, "taskType": "RETRIEVAL_QUERY"},
        "openai",
        "taskType",
    ),
    "ollama": ("/api/embed", {"input": "one", "truncate": False}, "gemini", "truncate"),
}


@pytest.mark.parametrize("client", LOSING)
async def test_losses_are_told_or_refused(client: str) -> None:
    path, body, target, code = LOSING[client]
    async with hub_before(target) as hub:
        answer = await post(hub.url + path, body)
        assert (answer.status_code, answer.headers["x-hub-losses"]) == (200, code)
    async with hub_before(target, losses="refuse") as hub:
        answer = await post(hub.url + path, body)
        assert answer.status_code == 400
        assert f"`{code}` at " in error_message(SAMPLES[client], answer.json())
        assert hub.upstream.requests == []


async def test_contents_of_several_texts_are_one_text_elsewhere() -> None:
    body = {"content": {"parts": [{"text": "one"}, {"text": "two"}]}}
    async with hub_before("openai") as hub:
        answer = await post(f"{hub.url}/v1beta/models/any:embedContent", body)
    assert hub.asked.json["input"] == "one\ntwo"
    assert answer.headers["x-hub-losses"] == "parts"


async def test_media_are_refused_where_only_texts_are_embedded() -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    body = {"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [part]}}]}
    async with hub_before("openai") as hub:
        answer = await post(f"{hub.url}/v1beta/models/any:batchEmbedContents", body)
    assert answer.status_code == 400
    assert error_message(SAMPLES["gemini"], answer.json()).startswith("requests[1].content: ")
    assert hub.upstream.requests == []


# ---------------------------------------------------------------- passing through


async def test_what_passes_through_keeps_what_nobody_has_heard_of() -> None:
    body = {
        "newField": {"a": [1, 2.5]},
        "requests": [
            {"model": "models/any", "content": {"parts": [{"text": "one"}]}, "newer": 1},
            {"model": "models/any", "content": {"parts": [{"text": "two"}]}},
        ],
    }
    async with hub_before("gemini") as hub:
        answer = await post(f"{hub.url}/v1beta/models/any:batchEmbedContents", body)
    assert answer.status_code == 200
    expected = json.loads(json.dumps(body).replace("models/any", "models/real-model"))
    assert hub.asked.json == expected


async def test_the_bytes_of_a_passed_answer_stay() -> None:
    data = b'{"object": "list",  "data": [{"embedding": [0.10, 1e-3], "index": 0, "new": 1}]}'
    async with hub_before("openai", answers(data)) as hub:
        answer = await post(f"{hub.url}/v1/embeddings", {"input": "one"})
    assert answer.content == data


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("target", ["anthropic", "openai-responses"])
@pytest.mark.parametrize("client", ONE)
async def test_targets_without_embeddings_are_named(client: str, target: str) -> None:
    path, body, _ = ONE[client]
    async with hub_before(target, answers({})) as hub:
        answer = await post(hub.url + path, body)
    assert answer.status_code == 501
    message = error_message(SAMPLES[client.split()[0]], answer.json())
    assert f"there are no embeddings in {codec(target).title}" in message
    assert hub.upstream.requests == []


async def test_a_target_with_embeddings_is_found_behind_one_without() -> None:
    async with scripted(answers({})) as chat, scripted(embeds("ollama")) as embedding:
        targets = (
            Target(provider("anthropic", chat.url, "chat"), "m", weight=1e9),
            Target(provider("ollama", embedding.url, "embedding"), "m"),
        )
        async with serving(table(group(*targets))) as hub:
            answer = await post(f"{hub.url}/g/v1/embeddings", {"input": "one"})
    assert answer.headers["x-hub-target"] == "embedding/m"
    assert chat.requests == []


BAD: list[tuple[str, Any, str]] = [
    ("/v1/embeddings", {}, "input: "),
    ("/v1/embeddings", {"input": []}, "there is nothing to embed"),
    ("/v1/embeddings", {"input": ["a", 1]}, "input[1]: "),
    ("/v1/embeddings", {"input": [[1], [True]]}, "input[1]: "),
    ("/v1/embeddings", {"input": "a", "dimensions": 0}, "dimensions: "),
    ("/v1/embeddings", {"input": "a", "dimensions": "many"}, "dimensions: "),
    ("/v1/embeddings", {"input": "a", "encoding_format": "int8"}, "encoding_format: "),
    ("/v1beta/models/x:embedContent", {}, "content: "),
    ("/v1beta/models/x:embedContent", {"content": {"parts": [{"text": 1}]}}, "content.parts[0].text: "),
    ("/v1beta/models/x:batchEmbedContents", {"requests": []}, "there is nothing to embed"),
    ("/v1beta/models/x:batchEmbedContents", {"requests": [1]}, "requests[0]: "),
    ("/api/embed", {"input": [1]}, "input[0]: "),
    ("/api/embed", {}, "input: "),
    ("/api/embeddings", {"prompt": ["a", "b"]}, "prompt: "),
]


@pytest.mark.parametrize(("path", "body", "beginning"), BAD)
async def test_bad_requests_are_told_with_their_place(path: str, body: Any, beginning: str) -> None:
    protocol = {"/v1/": "openai", "/api": "ollama"}.get(path[:4], "gemini")
    target = "ollama" if protocol == "openai" else "openai"
    async with hub_before(target) as hub:
        answer = await post(hub.url + path, body)
    assert answer.status_code == 400
    assert error_message(SAMPLES[protocol], answer.json()).startswith(beginning)
    assert hub.upstream.requests == []


GARBAGE: list[tuple[str, Any]] = [
    ("openai", {"object": "list", "data": [{"index": 0, "embedding": [1.0]}]}),
    ("openai", {"data": [{"index": 0, "embedding": "no base64!"}] * 3}),
    ("openai", {"data": [{"index": 1, "embedding": [1.0]}] * 3}),
    ("openai", {"data": [{"index": n, "embedding": [1.0, None]} for n in range(3)]}),
    ("openai", {"data": "x"}),
    ("gemini", {"embeddings": [1, 2, 3]}),
    ("gemini", {"embeddings": [{"values": []}] * 3}),
    ("ollama", {"embeddings": {}}),
    ("ollama", [1]),
]


@pytest.mark.parametrize(("target", "document"), GARBAGE)
async def test_answers_that_cannot_be_right_are_not_passed_on(target: str, document: Any) -> None:
    path = "/v1/embeddings" if target != "openai" else "/api/embed"
    async with hub_before(target, answers(document)) as hub:
        answer = await post(hub.url + path, {"input": INPUTS})
    assert answer.status_code == 502
    assert "cannot be read" in answer.text


@pytest.mark.parametrize("target", TARGETS)
async def test_an_upstreams_error_comes_in_the_clients_shape(target: str) -> None:
    document = json.loads(json.dumps(SAMPLES[target].error).replace("MESSAGE", "too long"))
    async with hub_before(target, answers(document, 400)) as hub:
        client = AsyncOpenAI(base_url=f"{hub.url}/v1", api_key="x", max_retries=0)
        with pytest.raises(APIStatusError) as caught:
            await client.embeddings.create(model="any", input="one")
        await client.close()
    assert caught.value.status_code == 400
    assert "too long" in caught.value.message


async def test_a_count_that_nobody_told_is_estimated_and_said_to_be() -> None:
    async with hub_before("gemini", answers({"embedding": {"values": [1.0]}})) as hub:
        answer = await post(f"{hub.url}/v1/embeddings", {"input": "twelve chars"})
    assert answer.json()["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert answer.headers["x-hub-estimated"] == "true"


async def test_parameters_of_chats_do_not_reach_embeddings() -> None:
    from routing.table import Parameters

    async with scripted(embeds("ollama")) as upstream:
        target = Target(provider("ollama", upstream.url), "m")
        parameters = Parameters(temperature=0.5, extra_body={"x": 1})
        async with serving(table(group(target, defaults=parameters))) as hub:
            await post(f"{hub.url}/g/v1/embeddings", {"input": "one"})
    assert upstream.requests[0].json == {"model": "m", "input": ["one"]}


async def test_many_long_texts() -> None:
    many = [f"{number} " + "word " * 200 for number in range(500)]
    async with scripted(embeds("ollama")) as upstream, serving(simple_table("ollama", upstream.url)) as hub:
        answer = await post(f"{hub.url}/v1/embeddings", {"input": many})
    assert [each["embedding"] for each in answer.json()["data"]] == [vector(text) for text in many]
