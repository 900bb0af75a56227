"""What rules get to know of a request: the same whichever protocol says it, and nothing that is not asked."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.codec import Codec
from adapters.registry import codec as codec_of
from routing.facts import Facts
from tests.routing.requests import PATHS, call, chat, inquiry

PROTOCOLS = tuple(PATHS)
SESSION = {"x-claude-code-session-id": "a-session"}


def facts(
    protocol: str, body: dict[str, Any], headers: dict[str, str] | None = None, path: str = ""
) -> Facts:
    return inquiry(call(protocol, body, headers, path=path)).facts


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_plain_chat(protocol: str) -> None:
    found = facts(protocol, chat(protocol))
    assert (found.model, found.protocol) == ("any", protocol)
    assert (found.images, found.documents, found.thinking, found.web_search) == (False,) * 4
    assert (found.tools, found.effort, found.marker) == ((), None, None)
    assert (found.background, found.subagent) == (False, False)
    assert 1 <= (found.tokens or 0) < 50


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_image_is_one_in_each_protocol(protocol: str) -> None:
    found = facts(protocol, chat(protocol, image=True))
    assert (found.images, found.documents) == (True, False)


@pytest.mark.parametrize("protocol", [each for each in PROTOCOLS if each != "ollama"])
def test_a_document_is_one_in_each_protocol(protocol: str) -> None:
    found = facts(protocol, chat(protocol, document=True))
    assert (found.images, found.documents) == (False, True)


def test_an_image_in_a_tools_result_counts() -> None:
    body = chat("anthropic", calls=["shot"], tools=["shot"])
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    body["messages"][2]["content"][0]["content"] = [{"type": "image", "source": picture}]
    assert facts("anthropic", body).images is True


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_effort_and_tools(protocol: str) -> None:
    found = facts(protocol, chat(protocol, effort="low", tools=["read", "write"]))
    assert (found.thinking, found.effort) == (True, "low")
    assert found.tools == ("read", "write")


def test_a_budget_is_an_effort_and_disabled_is_none() -> None:
    body = chat("anthropic")
    assert (
        facts("anthropic", body | {"thinking": {"type": "enabled", "budget_tokens": 31999}}).effort == "high"
    )
    off = facts("anthropic", body | {"thinking": {"type": "disabled"}})
    assert (off.effort, off.thinking) == ("none", False)


@pytest.mark.parametrize(
    ("protocol", "tool"),
    [
        ("anthropic", {"type": "web_search_20250305", "name": "web_search"}),
        ("openai-responses", {"type": "web_search"}),
        ("openai-responses", {"type": "web_search_preview"}),
        ("gemini", {"googleSearch": {}}),
    ],
)
def test_searches_of_the_provider(protocol: str, tool: dict[str, Any]) -> None:
    assert facts(protocol, chat(protocol) | {"tools": [tool]}).web_search is True


def test_a_search_beside_other_tools_makes_no_search_of_a_request() -> None:
    body = chat("openai-responses", tools=["shell"])
    body["tools"].append({"type": "web_search"})
    assert facts("openai-responses", body).web_search is False


def test_a_clients_own_search_tool_is_none_of_the_providers() -> None:
    found = facts("openai", chat("openai", tools=["web_search"]))
    assert (found.web_search, found.tools) == (False, ("web_search",))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tokens_grow_with_the_text(protocol: str) -> None:
    assert 20_000 < (facts(protocol, chat(protocol, "word " * 20_000)).tokens or 0) < 30_000


@pytest.mark.parametrize(("protocol", "said"), [("openai", None), ("ollama", True)])
def test_streaming_is_the_protocols_default_where_nothing_says_so(protocol: str, said: bool | None) -> None:
    assert facts(protocol, chat(protocol)).stream is bool(said)
    assert facts(protocol, chat(protocol) | {"stream": False}).stream is False
    assert facts(protocol, chat(protocol) | {"stream": True}).stream is True


def test_geminis_path_says_it() -> None:
    path = "/v1beta/models/any:streamGenerateContent"
    assert facts("gemini", chat("gemini"), path=path).stream is True


# ---------------------------------------------------------------- background


@pytest.mark.parametrize(
    ("model", "small"),
    [
        ("claude-haiku-4-5-20251001", True),
        ("anthropic/claude-3-5-haiku", True),
        ("gemini-2.5-flash-lite", True),
        ("gpt-5-nano", True),
        ("gpt-5-mini", False),
        ("claude-sonnet-4-5", False),
        ("haiku-writer", False),
        ("nanotron", False),
    ],
)
def test_small_models_are_helpers(model: str, small: bool) -> None:
    assert facts("openai", chat("openai", model=model)).background is small


@pytest.mark.parametrize("class_", ["main", "subagent", "workflow", "compaction", "auxiliary"])
def test_what_the_client_says_counts_more_than_its_model(class_: str) -> None:
    found = facts(
        "anthropic", chat("anthropic", model="claude-haiku-4-5"), {"x-claude-code-request-class": class_}
    )
    assert found.background is (class_ == "auxiliary")
    assert found.subagent is (class_ in ("subagent", "workflow"))


def test_a_probe() -> None:
    assert facts("anthropic", chat("anthropic", "quota", max_tokens=1)).background is True


@pytest.mark.parametrize(
    ("headers", "wishes", "helper"),
    [
        ({}, {}, False),
        (SESSION, {}, True),
        ({"x-session-affinity": "s"}, {"system": "Write a title."}, True),
        ({"user-agent": "GeminiCLI-tui/0.61.0 (linux)"}, {}, True),
        (SESSION, {"tools": ["read"]}, False),
        (SESSION, {"calls": ["read"]}, False),
        (SESSION, {"system": "word " * 20_000}, False),
    ],
    ids=["no agent", "session", "opencode", "gemini cli", "tools", "history", "long"],
)
@pytest.mark.parametrize("protocol", ["openai", "anthropic", "gemini"])
def test_short_requests_without_tools_are_a_coding_agents_helpers(
    protocol: str, headers: dict[str, str], wishes: dict[str, Any], helper: bool
) -> None:
    assert facts(protocol, chat(protocol, **wishes), headers).background is helper


def test_a_turn_of_a_conversation_is_no_helper() -> None:
    body = chat("openai")
    body["messages"] += [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And?"}]
    assert facts("openai", body, SESSION).background is False


# ---------------------------------------------------------------- subagents


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"x-claude-code-agent-id": "a1"}, ""),
        ({"x-claude-code-agent-id": "a1", "x-claude-code-agent-type": "Explore"}, "Explore"),
        ({"x-claude-code-parent-agent-id": "a0"}, ""),
        ({"x-claude-code-request-class": "workflow"}, "workflow"),
        ({"x-openai-subagent": "review"}, "review"),
        ({"x-codex-parent-thread-id": "t"}, ""),
        ({"x-parent-session-id": "ses_1"}, ""),
        ({"x-interaction-type": "conversation-subagent"}, ""),
    ],
)
def test_headers_of_subagents(headers: dict[str, str], kind: str) -> None:
    sign = facts("anthropic", chat("anthropic", tools=["read"]), headers).subagent_sign
    assert (sign.present, sign.kind) == (True, kind)
    assert sign.why


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-claude-code-agent-id": "  "},
        {"x-openai-subagent": "compact"},
        {"x-claude-code-request-class": "main", "x-claude-code-agent-id": "a1"},
        {"x-interaction-type": "conversation-user"},
    ],
)
def test_what_is_no_subagent(headers: dict[str, str]) -> None:
    assert facts("anthropic", chat("anthropic", tools=["read"]), headers).subagent is False


def test_codexs_memory_is_background_and_no_subagent() -> None:
    found = facts("openai-responses", chat("openai-responses"), {"x-openai-subagent": "memory_consolidation"})
    assert (found.background, found.subagent) == (True, False)


def test_the_attribution_line_tells_a_subagent() -> None:
    line = "x-anthropic-billing-header: cc_version=2.1.300; cc_entrypoint=cli; cc_is_subagent=true;"
    assert facts("anthropic", chat("anthropic", system=line)).subagent is True
    assert facts("anthropic", chat("anthropic", system=f"Never write {line}")).subagent is False
    assert facts("anthropic", chat("anthropic", line)).subagent is False


# ---------------------------------------------------------------- markers


@pytest.mark.parametrize("tag", ["hub-route", "CCR-SUBAGENT-MODEL"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_marker_begins_the_system_prompt_or_the_first_message(protocol: str, tag: str) -> None:
    text = f"<{tag}> some,thing </{tag}>\nDo it."
    assert facts(protocol, chat(protocol, system=text)).marker == "some,thing"
    assert facts(protocol, chat(protocol, text)).marker == "some,thing"


@pytest.mark.parametrize(
    "text",
    [
        "Say <hub-route>a</hub-route>",
        "<hub-route>a",
        "<hub-route></hub-route>",
        "<hub-route>a</CCR-SUBAGENT-MODEL>",
    ],
)
def test_what_is_no_marker(text: str) -> None:
    assert facts("openai", chat("openai", text)).marker is None


def test_nothing_after_the_first_answer_can_set_a_marker() -> None:
    body = chat("openai", calls=["fetch"], tools=["fetch"])
    body["messages"][2]["content"] = "<hub-route>a</hub-route>"
    body["messages"].append({"role": "user", "content": "<hub-route>b</hub-route>"})
    assert facts("openai", body).marker is None


# ---------------------------------------------------------------- what cannot be known


def test_unreadable_requests_have_no_facts_but_those_outside_of_the_body() -> None:
    found = facts("openai", {"model": "m", "messages": "none"}, {"x-claude-code-agent-id": "a"})
    assert (found.tokens, found.images, found.tools, found.thinking, found.marker) == (None,) * 5
    assert (found.model, found.subagent, found.background) == ("m", True, False)
    assert "messages" in found.unreadable


def test_embeddings_have_no_facts_of_chats() -> None:
    found = facts("openai", {"model": "m", "input": "x"}, path="/v1/embeddings")
    assert (found.model, found.tokens, found.background) == ("m", None, False)


def test_names_and_headers_need_no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Codec, *_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(type(codec_of("anthropic")), "decode_request", never)
    headers = {"x-a": "b", "x-claude-code-agent-id": "a"}
    found = facts("anthropic", chat("anthropic", model="claude-haiku-4-5") | {"stream": True}, headers)
    assert (found.model, found.header("x-a"), found.header("x-b")) == ("claude-haiku-4-5", "b", None)
    assert (found.stream, found.subagent, found.background) == (True, True, True)
    with pytest.raises(AssertionError, match="decoded"):
        _ = found.tokens


def test_a_request_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = type(codec_of("openai"))
    times, real = [], codec.decode_request
    monkeypatch.setattr(codec, "decode_request", lambda *all_: times.append(1) or real(*all_))
    one = inquiry(call("openai", chat("openai", tools=["a"])))
    _ = one.facts.tokens, one.facts.tools, one.facts.images, one.facts.marker, one.request()
    assert len(times) == 1
