"""A request of this protocol for a target of this protocol: nothing changes, known or unknown."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.anthropic import CODEC
from adapters.codec import TargetModel
from tests.adapters.anthropic.support import OPUS, PIXEL, SONNET, body, decode, encode, through

EPHEMERAL = {"type": "ephemeral"}

CALLS = [
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "b3BhcXVl"},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Zürich", "n": 1e3}},
            {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}, "cache_control": EPHEMERAL},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "toolu_2",
                "content": [
                    {"type": "text", "text": "Rain"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
                    },
                ],
                "is_error": False,
            },
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Boom", "is_error": True},
            {"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
    },
]

SERVER_TOOLS = [
    {"role": "user", "content": "Search."},
    {
        "role": "assistant",
        "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {
                        "type": "web_search_result",
                        "title": "T",
                        "url": "https://example.com",
                        "encrypted_content": "e",
                        "page_age": None,
                    }
                ],
            },
            {
                "type": "text",
                "text": "Found.",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "cited_text": "c",
                        "encrypted_index": "i",
                        "title": "T",
                        "url": "https://example.com",
                    }
                ],
            },
            {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "f", "server_name": "s", "input": {}},
            {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "content": [], "is_error": False},
        ],
    },
    {"role": "user", "content": "More."},
]

DOCUMENTS = [
    {
        "role": "user",
        "content": [
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}, "title": "A"},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                "context": "c",
                "citations": {"enabled": True},
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            {"type": "document", "source": {"type": "content", "content": "one"}},
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "text", "text": "two"}]},
            },
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_2"}},
            {
                "type": "search_result",
                "source": "https://example.com",
                "title": "S",
                "content": [{"type": "text", "text": "found"}],
                "citations": {"enabled": True},
            },
            {"type": "container_upload", "file_id": "file_3"},
        ],
    }
]

TOOLS: list[dict[str, Any]] = [
    {
        "name": "look",
        "description": "d",
        "input_schema": {"type": "object", "properties": {}},
        "strict": True,
    },
    {"type": "custom", "name": "put", "input_schema": {"type": "object"}, "cache_control": EPHEMERAL},
    {"name": "late", "input_schema": {"type": "object"}, "defer_loading": True, "input_examples": [{}]},
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 100},
    {"type": "computer_20250124", "name": "computer", "display_width_px": 800, "display_height_px": 600},
    {"type": "memory_20250818", "name": "memory", "cache_control": EPHEMERAL},
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    {"type": "mcp_toolset", "mcp_server_name": "s"},
]

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

REQUESTS: dict[str, dict[str, Any]] = {
    "plain": body(),
    "system text": body(system="Be brief."),
    "system blocks": body(
        system=[{"type": "text", "text": "A"}, {"type": "text", "text": "B", "cache_control": EPHEMERAL}]
    ),
    "one system block": body(system=[{"type": "text", "text": "A"}]),
    "one text block": body([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]),
    "calls": body(CALLS, tools=TOOLS[:1]),
    "server tools": body(SERVER_TOOLS, tools=TOOLS[7:8]),
    "documents": body(DOCUMENTS),
    "tools": body(tools=TOOLS, tool_choice={"type": "any", "disable_parallel_tool_use": True}),
    "no tools": body(tools=[]),
    "parallel said": body(tools=TOOLS[:1], tool_choice={"type": "auto", "disable_parallel_tool_use": False}),
    "named choice": body(tools=TOOLS[:2], tool_choice={"type": "tool", "name": "put"}),
    "no choice": body(tools=TOOLS[:2], tool_choice={"type": "none"}),
    "sampling": body(temperature=0.3, top_p=0.9, top_k=5, stop_sequences=["END", "\n\nHuman:"]),
    "thinking": body(
        thinking={"type": "enabled", "budget_tokens": 2048, "display": "updates"}, max_tokens=4096
    ),
    "thinking off": body(thinking={"type": "disabled"}),
    "adaptive": body(model=OPUS, thinking={"type": "adaptive"}, output_config={"effort": "xhigh"}),
    "effort only": body(model="claude-opus-4-6", output_config={"effort": "max"}),
    "off but effort": body(
        model="claude-opus-5", thinking={"type": "disabled"}, output_config={"effort": "high"}
    ),
    "format": body(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
    "task budget": body(
        output_config={"effort": "low", "task_budget": {"type": "tokens", "total": 9000}}, model=OPUS
    ),
    "old format": body(output_format={"type": "json_schema", "schema": SCHEMA}),
    "metadata": body(metadata={"user_id": "u"}, service_tier="standard_only", stream=True),
    "system turns": body(
        [
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Now in French.", "output_config": {"effort": "low"}},
            {"role": "assistant", "content": "Salut"},
            {"role": "user", "content": "Encore"},
            {"role": "system", "content": [{"type": "text", "text": "Enough.", "cache_control": EPHEMERAL}]},
        ],
        model=OPUS,
    ),
    "own fields": body(
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        mcp_servers=[{"type": "url", "name": "s", "url": "https://example.com", "authorization_token": "t"}],
        container={"id": "c", "skills": []},
        speed="fast",
        inference_geo="us",
        cache_control=EPHEMERAL,
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_same_protocol_is_the_identity(name: str) -> None:
    document = REQUESTS[name]
    encoded = encode(decode(document), document["model"])
    assert encoded.body == document
    assert encoded.losses.codes == ()


def test_fields_that_nobody_knows_stay() -> None:
    """New fields of the API must not wait for a release of this program."""
    block = {"type": "text", "text": "Hi", "new_in_block": 1}
    tool = {**TOOLS[0], "new_in_tool": 2}
    turn = {"role": "user", "content": [block, {"type": "hologram", "beams": [1]}], "new_in_turn": 3}
    document = body([turn], tools=[tool], new_on_top={"x": [None]})
    assert CODEC.encode_request(decode(document), TargetModel(SONNET)).body == document


def test_anthropics_own_headers_go_back_to_anthropic() -> None:
    own = {"anthropic-beta": "a-1,b-2", "anthropic-version": "2023-01-01", "anthropic-workspace-id": "w"}
    request = decode(body(), {**own, "openai-beta": "x"})
    assert encode(request).headers == own
    assert encode(decode(body())).headers == {"anthropic-version": "2023-06-01"}


def test_decoding_does_not_change_the_clients_document() -> None:
    blocks = [{"type": "text", "text": str(at), "cache_control": dict(EPHEMERAL)} for at in range(6)]
    document = body([{"role": "user", "content": blocks}])
    assert sum("cache_control" in block for block in through(document)["messages"][0]["content"]) == 4
    assert all("cache_control" in block for block in blocks)
