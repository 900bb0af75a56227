"""A provider's own web search on targets that have none: run by the hub, told in the client's own shapes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from adapters.assemble import Assembler
from adapters.canonical import (
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Part,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from adapters.codec import Arrival, Codec, Reply
from adapters.grammar import check
from adapters.jsontext import dump_bytes
from adapters.registry import codec as codec_named
from adapters.replay import replay
from adapters.search_results import Found
from routing.search_tools import Lookup, searches_itself
from routing.table import Target
from tests.routing.requests import plan_of
from tests.routing.samples import SAMPLES
from tests.routing.scripted_upstream import Connection, Received, scripted
from tests.routing.serving import Served, group, provider, serving, table

URL = "https://example.com/hubs"
PAGE = Found(URL, "All about hubs", "A hub joins what stands apart.")
ANSWER = f"Hubs join things, says {URL} today."
TOOLS: dict[str, dict[str, Any]] = {
    "openai": {"web_search_options": {}},
    "openai-responses": {"tools": [{"type": "web_search"}]},
    "anthropic": {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]},
    "gemini": {"tools": [{"googleSearch": {}}]},
}
PAIRS = [(client, target) for client in TOOLS for target in SAMPLES]


@dataclass
class Model:
    """An upstream of any protocol that searches, `rounds` times, and then answers."""

    codec: Codec
    rounds: int = 1
    calls_per_round: int = 1
    with_own_tool: bool = False
    whole: bool = False
    fail_at: int = 0
    """The request, counted from 1, that is refused."""
    requests: list[ChatRequest] = field(default_factory=list)

    async def __call__(self, received: Received, connection: Connection) -> None:
        action = "generateContent" if "generateContent" in received.target else ""
        stream = "stream" in received.target if self.codec.name == "gemini" else None
        asked = self.codec.decode_request(received.json, Arrival(action, "real-model", stream))
        self.requests.append(asked)
        if len(self.requests) == self.fail_at:
            status, document = 400, {"error": {"message": "no more of this", "type": "x"}}
            await self._send(connection, json.dumps(document).encode(), "application/json", status)
            return
        response = ChatResponse(
            f"id{len(self.requests)}", "real-model", (self._choice(asked),), Usage(10, 5), created=1
        )
        reply = Reply(asked, "abc", 1, action)
        if asked.stream and not self.whole:
            data = self.codec.stream_encoder(reply).encode(replay(response))
            await self._send(connection, data, self.codec.stream_content_type)
        else:
            document, _ = self.codec.encode_response(response, reply)
            await self._send(connection, dump_bytes(document), "application/json")

    def _choice(self, asked: ChatRequest) -> Choice:
        results = [part for one in asked.messages for part in one.parts if isinstance(part, ToolResult)]
        may = asked.tool_choice is None or asked.tool_choice.mode != "none"
        name = next((one.name for one in asked.tools if isinstance(one, Tool) and "search" in one.name), None)
        if name is None or not may or len(results) >= self.rounds * self.calls_per_round:
            return Choice((Text(ANSWER),), FinishReason("stop"))
        at = len(self.requests)
        calls: list[Part] = [
            ToolCall(f"call{at}{one}", name, json.dumps({"query": f"hubs {at}{one}"}))
            for one in range(self.calls_per_round)
        ]
        if self.with_own_tool:
            calls.append(ToolCall(f"own{at}", "read", '{"path": "a"}'))
        return Choice((Text("I look it up."), *calls), FinishReason("tool_calls"))

    @staticmethod
    async def _send(connection: Connection, data: bytes, content_type: str, status: int = 200) -> None:
        headers = {"content-type": content_type, "content-length": str(len(data))}
        await connection.head(status, headers, chunked=False)
        await connection.write(data)


@dataclass
class Looks:
    """The hub's tool: gives one page, or what it is told to."""

    lookup: Lookup = Lookup("page text", (PAGE,))  # noqa: RUF009 - a named tuple
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, tool: str, query: str) -> Lookup:
        self.asked.append((tool, query))
        await asyncio.sleep(0)
        return self.lookup


def emulating(target: str, url: str, **more: Any) -> Any:
    one = Target(provider(target, url), "real-model")
    return table(group(one, emulate={"web_search": "web_look"}, **more))


async def ask(
    served: Served, client: str, *, stream: bool = False, more: Mapping[str, Any] | None = None
) -> httpx.Response:
    sample = SAMPLES[client]
    body = {**(sample.stream_body if stream else sample.body), **TOOLS[client], **(more or {})}
    path = sample.stream_path if stream else sample.path
    async with httpx.AsyncClient() as http:
        return await http.post(f"{served.url}/g{path}", json=body, timeout=30)


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data:").strip() for line in answer.text.splitlines() if line[:5] == "data:"]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def check_native(client: str, answer: dict[str, Any]) -> None:
    """A whole answer has the search and its page in the shapes of the client's protocol."""
    match client:
        case "anthropic":
            kinds = [block["type"] for block in answer["content"]]
            assert kinds == ["text", "server_tool_use", "web_search_tool_result", "text"]
            _, call, result, last = answer["content"]
            assert call["name"] == "web_search"
            assert call["input"] == {"query": "hubs 10"}
            assert result["tool_use_id"] == call["id"]
            (page,) = result["content"]
            assert (page["type"], page["url"], page["title"]) == ("web_search_result", URL, PAGE.title)
            assert isinstance(page["encrypted_content"], str)
            assert last["text"] == ANSWER
            assert answer["stop_reason"] == "end_turn"
            assert answer["usage"]["server_tool_use"] == {"web_search_requests": 1}
            assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (20, 10)
        case "openai-responses":
            kinds = [item["type"] for item in answer["output"]]
            assert kinds == ["message", "web_search_call", "message"]
            search, last = answer["output"][1:]
            assert search["status"] == "completed"
            assert search["action"]["query"] == "hubs 10"
            assert search["action"]["sources"] == [{"type": "url", "url": URL}]
            (content,) = last["content"]
            (cited,) = content["annotations"]
            assert (cited["type"], cited["url"], cited["title"]) == ("url_citation", URL, PAGE.title)
            assert content["text"][cited["start_index"] : cited["end_index"]] == URL
            assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (20, 10)
        case "openai":
            message = answer["choices"][0]["message"]
            assert answer["choices"][0]["finish_reason"] == "stop"
            assert "tool_calls" not in message
            (annotation,) = message["annotations"]
            cited = annotation["url_citation"]
            assert message["content"][cited["start_index"] : cited["end_index"]] == URL
            assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (20, 10)
        case "gemini":
            (candidate,) = answer["candidates"]
            grounding = candidate["groundingMetadata"]
            assert grounding["webSearchQueries"] == ["hubs 10"]
            assert grounding["groundingChunks"] == [{"web": {"uri": URL, "title": PAGE.title}}]
            (support,) = grounding["groundingSupports"]
            assert support["segment"]["text"] == URL
            assert candidate["finishReason"] == "STOP"
            assert all("functionCall" not in part for part in candidate["content"]["parts"])
            assert answer["usageMetadata"]["promptTokenCount"] == 20


@pytest.mark.parametrize(("client", "target"), PAIRS)
async def test_a_search_is_run_and_told(client: str, target: str) -> None:
    model, tool = Model(codec_named(target)), Looks()
    async with scripted(model) as upstream, serving(emulating(target, upstream.url), search=tool) as served:
        answer = await ask(served, client)
    assert answer.status_code == 200, answer.text
    assert tool.asked == [("web_look", "hubs 10")]
    check_native(client, answer.json())
    first, second = model.requests
    assert [one.name for one in first.tools if isinstance(one, Tool)] == ["web_search"]
    told = [part for one in second.messages for part in one.parts if isinstance(part, ToolResult)]
    assert [part.content for part in told] == [(Text("page text"),)]
    assert "tool.web_search" not in answer.headers.get("x-hub-losses", "")
    (record,) = served.records
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (20, 10)
    assert not record.passthrough


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("client", "target"), PAIRS)
async def test_a_search_in_a_stream(client: str, target: str, whole: bool) -> None:
    model, tool = Model(codec_named(target), whole=whole), Looks()
    async with scripted(model) as upstream, serving(emulating(target, upstream.url), search=tool) as served:
        answer = await ask(served, client, stream=True)
        await asyncio.wait_for(served.recorded.wait(), 10)
    assert answer.status_code == 200, answer.text
    seen = codec_named(client).stream_decoder()
    found = [*seen.feed(answer.content), *seen.close()]
    check(found)
    assembler = Assembler()
    assembler.feed(found)
    assert assembler.response is not None, assembler.error
    reply = Reply(ChatRequest("m", ()), "abc", 1)
    check_native(client, codec_named(client).encode_response(assembler.response, reply)[0])
    assert served.records[0].error is None


@pytest.mark.parametrize("stream", [False, True])
async def test_several_searches_at_once_and_one_after_another(stream: bool) -> None:
    model, tool = Model(codec_named("openai"), rounds=2, calls_per_round=2), Looks()
    async with scripted(model) as upstream, serving(emulating("openai", upstream.url), search=tool) as served:
        answer = await ask(served, "anthropic", stream=stream, more=_uses(9))
    assert [query for _, query in tool.asked] == ["hubs 10", "hubs 11", "hubs 20", "hubs 21"]
    assert len(model.requests) == 3
    assert answer.text.count('"web_search_tool_result"') == 4


def _uses(count: int) -> dict[str, Any]:
    return {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": count}]}


async def test_no_more_searches_than_the_client_allows() -> None:
    model, tool = Model(codec_named("openai"), rounds=50), Looks()
    async with scripted(model) as upstream, serving(emulating("openai", upstream.url), search=tool) as served:
        answer = await ask(served, "anthropic", more=_uses(2))
    assert len(tool.asked) == 2
    assert answer.json()["stop_reason"] == "end_turn"
    assert answer.json()["usage"]["server_tool_use"] == {"web_search_requests": 2}
    choice = model.requests[-1].tool_choice
    assert choice is not None
    assert choice.mode == "none"


async def test_a_model_that_goes_on_searching_is_stopped() -> None:
    class Stubborn(Model):
        def _choice(self, asked: ChatRequest) -> Choice:
            call = ToolCall(f"c{len(self.requests)}", "web_search", '{"query": "more"}')
            return Choice((call,), FinishReason("tool_calls"))

    model, tool = Stubborn(codec_named("openai")), Looks()
    async with scripted(model) as upstream, serving(emulating("openai", upstream.url), search=tool) as served:
        answer = await ask(served, "anthropic", more=_uses(2))
    assert (len(tool.asked), len(model.requests)) == (2, 3)
    assert answer.json()["stop_reason"] == "end_turn"


@pytest.mark.parametrize("target", list(SAMPLES))
async def test_beside_a_tool_of_the_client(target: str) -> None:
    """The answer ends with the client's call; the next turn has the search, for the model to read."""
    model, tool = Model(codec_named(target), with_own_tool=True), Looks()
    own = {"name": "read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
    tools = {"tools": [*_uses(5)["tools"], own]}
    async with scripted(model) as upstream, serving(emulating(target, upstream.url), search=tool) as served:
        first = (await ask(served, "anthropic", more=tools)).json()
        assert first["stop_reason"] == "tool_use"
        kinds = [block["type"] for block in first["content"]]
        assert kinds.count("tool_use") == 1
        call = next(block for block in first["content"] if block["type"] == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "file"}
        messages = [
            {"role": "user", "content": "Say hello"},
            {"role": "assistant", "content": first["content"]},
            {"role": "user", "content": [result]},
        ]
        second = await ask(served, "anthropic", more={**tools, "messages": messages})
    assert second.status_code == 200, second.text
    assert second.json()["content"][-1]["text"] == ANSWER
    asked = model.requests[-1]
    results = [
        inner.text
        for one in asked.messages
        for part in one.parts
        if isinstance(part, ToolResult)
        for inner in part.content
        if isinstance(inner, Text)
    ]
    assert "file" in results
    assert any(PAGE.text in text and URL in text for text in results)


@pytest.mark.parametrize("client", ["anthropic", "openai-responses"])
@pytest.mark.parametrize("target", list(SAMPLES))
async def test_a_later_turn_replays_the_search(client: str, target: str) -> None:
    """Also to a target of the client's own protocol, which could not read what the hub has written."""
    model, tool = Model(codec_named(target)), Looks()
    async with scripted(model) as upstream, serving(emulating(target, upstream.url), search=tool) as served:
        first = (await ask(served, client)).json()
        if client == "anthropic":
            said = {"role": "assistant", "content": first["content"]}
            user = {"role": "user", "content": "Say hello"}
            more: dict[str, Any] = {"messages": [user, said, user], "tools": []}
        else:
            user = {"role": "user", "content": "Say hello"}
            more = {"input": [user, *first["output"], user], "tools": []}
        second = await ask(served, client, more=more)
    assert second.status_code == 200, second.text
    asked = model.requests[-1]
    parts = [part for one in asked.messages for part in one.parts]
    assert not any("srvtoolu_hub" in repr(part) and part.tag == "opaque" for part in parts)
    assert not any("ws_hub" in repr(part) for part in parts)
    if client == "anthropic":
        (result,) = [part for part in parts if isinstance(part, ToolResult)]
        assert PAGE.text in repr(result.content)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_search_that_fails_is_told_to_both(stream: bool) -> None:
    model, tool = Model(codec_named("openai")), Looks(Lookup("the search failed: no network", error=True))
    async with scripted(model) as upstream, serving(emulating("openai", upstream.url), search=tool) as served:
        answer = await ask(served, "anthropic", stream=stream)
    assert answer.status_code == 200
    assert '"web_search_tool_result_error"' in answer.text
    results = [part for one in model.requests[-1].messages for part in one.parts if part.tag == "tool_result"]
    assert "no network" in repr(results)


@pytest.mark.parametrize("client", list(TOOLS))
@pytest.mark.parametrize("stream", [False, True])
async def test_the_target_fails_between(client: str, stream: bool) -> None:
    """Before anything has gone out the client gets a status; in a stream, the failure at its end."""
    model, tool = Model(codec_named("ollama"), fail_at=2), Looks()
    async with scripted(model) as upstream, serving(emulating("ollama", upstream.url), search=tool) as served:
        answer = await ask(served, client, stream=stream)
        await asyncio.wait_for(served.recorded.wait(), 10)
    assert "no more of this" in answer.text
    assert answer.status_code == (200 if stream else 400)
    assert "no more of this" in (served.records[0].error or "")


async def test_without_the_setting_the_tool_is_removed_and_reported() -> None:
    model = Model(codec_named("openai"))
    async with scripted(model) as upstream:
        plain = table(group(Target(provider("openai", upstream.url), "real-model")))
        async with serving(plain, search=Looks()) as served:
            answer = await ask(served, "anthropic")
    assert "web_search" in answer.headers["x-hub-losses"]
    assert model.requests[0].tools == ()


async def test_without_a_search_nothing_changes() -> None:
    model = Model(codec_named("anthropic"))
    tool, target = Looks(), "anthropic"
    async with scripted(model) as upstream, serving(emulating(target, upstream.url), search=tool) as served:
        await ask(served, target, more={"tools": []})
    assert served.records[0].passthrough


async def test_options_that_the_hub_cannot_follow_are_reported() -> None:
    model = Model(codec_named("openai"))
    tools = {"tools": [{**_uses(1)["tools"][0], "allowed_domains": ["example.com"]}]}
    tool, target = Looks(), "openai"
    async with scripted(model) as upstream, serving(emulating(target, upstream.url), search=tool) as served:
        answer = await ask(served, "anthropic", more=tools)
    assert "tool.web_search.allowed_domains" in answer.headers["x-hub-losses"]


async def test_a_forced_search_is_forced_once() -> None:
    model, tool = Model(codec_named("openai")), Looks()
    forced = {"tool_choice": {"type": "tool", "name": "web_search"}}
    async with scripted(model) as upstream, serving(emulating("openai", upstream.url), search=tool) as served:
        await ask(served, "anthropic", more=forced)
    first, second = (one.tool_choice for one in model.requests)
    assert first is not None
    assert (first.mode, first.names) == ("named", ("web_search",))
    assert second is None or second.mode == "auto"


async def test_a_function_of_the_same_name_stays_the_clients() -> None:
    model, tool = Model(codec_named("openai")), Looks()
    own = {"type": "function", "name": "web_search", "parameters": {"type": "object", "properties": {}}}
    async with scripted(model) as upstream, serving(emulating("openai", upstream.url), search=tool) as served:
        await ask(served, "openai-responses", more={"tools": [own, {"type": "web_search"}]})
    names = [one.name for one in model.requests[0].tools if isinstance(one, Tool)]
    assert names == ["web_search", "hub_web_search"]


async def test_a_client_that_goes_away_ends_the_search() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(tool: str, query: str) -> Lookup:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("it cannot end")

    model = Model(codec_named("openai"))
    async with scripted(model) as upstream, serving(emulating("openai", upstream.url), search=slow) as served:
        asking = asyncio.create_task(ask(served, "anthropic"))
        await asyncio.wait_for(began.wait(), 10)
        asking.cancel()
        await asyncio.wait_for(ended.wait(), 10)
        await asyncio.gather(asking, return_exceptions=True)


async def test_who_searches_itself_is_left_alone() -> None:
    def way(protocol: str, url: str, model: str = "m") -> Any:
        return plan_of(group(Target(provider(protocol, url), model))).ways[0]

    assert searches_itself(way("anthropic", "https://api.anthropic.com"), "anthropic")
    assert searches_itself(way("openai-responses", "https://api.openai.com"), "openai")
    assert searches_itself(
        way("openai", "https://api.openai.com", "gpt-4o-search-preview"), "openai-responses"
    )
    assert searches_itself(way("gemini", "https://generativelanguage.googleapis.com"), "gemini")
    assert not searches_itself(way("openai", "https://api.openai.com", "gpt-5"), "openai")
    assert not searches_itself(way("anthropic", "https://api.moonshot.ai"), "anthropic")
    assert not searches_itself(way("anthropic", "https://api.anthropic.com"), "gemini")
    assert not searches_itself(way("anthropic", "https://notanthropic.com"), "anthropic")
