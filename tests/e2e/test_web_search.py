"""`emulate.web_search` in the real program: the search of a client, run by a tool of a real MCP server."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.script import Plan, Step
from tests.clients.upstream import upstream
from tests.e2e.program import ROOT, program

SERVER = {"command": sys.executable, "args": [str(ROOT / "tests" / "servers" / "tiny.py"), "say"]}
QUERY = "what [hubs](https://example.com/hubs) are"


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
