"""`emulate.web_search` in the real program: the search of a client, run by a tool of a real MCP server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import google.genai
import httpx
import openai
import pytest
from google.genai import types
from openai.types.responses.response_output_text import AnnotationURLCitation

from tests.clients.script import Plan, Step
from tests.clients.upstream import Upstream, upstream
from tests.e2e.program import ROOT, program

SERVER = {"command": sys.executable, "args": [str(ROOT / "tests" / "servers" / "tiny.py"), "say"]}
QUERY = "what [hubs](https://example.com/hubs) are"


PAGE = ("hubs", "https://example.com/hubs")


def a_plan() -> Plan:
    return Plan((Step("search", (("web_search", {"query": QUERY}),), ("hubs",)),), word=PAGE[1])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Upstream]]:
    """The hub's address with a group that has no search, and the model behind it."""
    with upstream() as model:
        settings: dict[str, Any] = {**model.settings(), "mcpServers": {"notes": SERVER}}
        settings["emulate"] = {"web_search": "notes_say_echo"}
        with program(tmp_path_factory.mktemp("hub"), settings) as hub:
            hub.wait_servers("notes")
            yield f"{hub.url}/ollama", model


def test_the_sdk_of_anthropic(served: tuple[str, Upstream]) -> None:
    base, model = served
    plan = a_plan()
    model.plans[plan.tag] = plan
    tools: Any = [{"type": "web_search_20250305", "name": "web_search"}]
    with (
        anthropic.Anthropic(base_url=base, api_key="none") as client,
        client.messages.stream(
            model="m", max_tokens=9, tools=tools, messages=[{"role": "user", "content": plan.prompt}]
        ) as stream,
    ):
        message = stream.get_final_message()
    blocks = [block for block in message.content if block.type != "thinking"]
    assert [block.type for block in blocks] == ["server_tool_use", "web_search_tool_result", "text"]
    (found,) = blocks[1].content  # type: ignore[union-attr]
    assert (found.title, found.url) == PAGE  # type: ignore[union-attr]
    assert message.usage.server_tool_use is not None
    assert message.usage.server_tool_use.web_search_requests == 1


def test_the_sdk_of_openai_responses(served: tuple[str, Upstream]) -> None:
    base, model = served
    plan = a_plan()
    model.plans[plan.tag] = plan
    with (
        openai.OpenAI(base_url=f"{base}/v1", api_key="none") as client,
        client.responses.stream(model="m", input=plan.prompt, tools=[{"type": "web_search"}]) as stream,
    ):
        response = stream.get_final_response()
    search, last = (item for item in response.output if item.type != "reasoning")
    assert search.type == "web_search_call"
    assert search.action.type == "search"
    assert search.action.query == QUERY
    assert last.type == "message"
    (annotation,) = last.content[0].annotations  # type: ignore[union-attr]
    assert isinstance(annotation, AnnotationURLCitation)
    assert (annotation.title, annotation.url) == PAGE


def test_the_sdk_of_openai_chat(served: tuple[str, Upstream]) -> None:
    base, model = served
    plan = a_plan()
    model.plans[plan.tag] = plan
    with openai.OpenAI(base_url=f"{base}/v1", api_key="none") as client:
        answer = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": plan.prompt}], web_search_options={}
        )
    annotations = answer.choices[0].message.annotations
    assert annotations is not None
    (annotation,) = annotations
    assert (annotation.url_citation.title, annotation.url_citation.url) == PAGE


def test_the_sdk_of_gemini(served: tuple[str, Upstream]) -> None:
    base, model = served
    plan = a_plan()
    model.plans[plan.tag] = plan
    client = google.genai.Client(api_key="none", http_options=types.HttpOptions(base_url=base))
    config = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    chunks = list(client.models.generate_content_stream(model="m", contents=plan.prompt, config=config))
    client.close()
    assert chunks[-1].candidates is not None
    grounding = chunks[-1].candidates[0].grounding_metadata
    assert grounding is not None
    assert grounding.grounding_chunks is not None
    assert grounding.web_search_queries == [QUERY]
    (chunk,) = grounding.grounding_chunks
    assert chunk.web is not None
    assert (chunk.web.title, chunk.web.uri) == PAGE


@pytest.mark.parametrize("target", ["chat", "anthropic", "gemini", "ollama"])
def test_a_search_by_a_tool_of_the_hub(tmp_path: Path, target: str) -> None:
    plan = Plan((Step("search", (("web_search", {"query": QUERY}),), ("hubs",)),))
    with upstream() as model:
        model.plans[plan.tag] = plan
        settings: dict[str, Any] = {**model.settings(), "mcpServers": {"notes": SERVER}}
        settings["emulate"] = {"web_search": "notes_say_echo"}
        with program(tmp_path, settings) as hub:
            hub.wait_servers("notes")
            body = {
                "model": "claude",
                "max_tokens": 100,
                "messages": [{"role": "user", "content": plan.prompt}],
                "tools": [{"type": "web_search_20260209", "name": "web_search"}],
            }
            answer = httpx.post(f"{hub.url}/{target}/v1/messages", json=body, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert plan.problem(plan.steps[0]) is None
    blocks = answer.json()["content"]
    (call,) = [one for one in blocks if one["type"] == "server_tool_use"]
    (result,) = [one for one in blocks if one["type"] == "web_search_tool_result"]
    assert call["input"] == {"query": QUERY}
    assert [(one["title"], one["url"]) for one in result["content"]] == [("hubs", "https://example.com/hubs")]
    assert plan.word in json.dumps(blocks[-1])
