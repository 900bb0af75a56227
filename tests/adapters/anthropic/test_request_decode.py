"""What a client of this protocol says, in the canonical model; and what is refused, with its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.anthropic import CODEC
from adapters.canonical import (
    Base64Source,
    FileIdSource,
    Media,
    Opaque,
    PlainTextSource,
    ProviderTool,
    Reasoning,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    UrlSource,
)
from adapters.codec import Arrival, TargetModel
from adapters.errors import InvalidRequest
from adapters.instructions import stable
from adapters.losses import Losses
from adapters.registry import BUILT_IN, codec
from adapters.signatures import for_client
from tests.adapters.anthropic.support import PIXEL, body, decode


def parts_of(*blocks: dict[str, Any], role: str = "user") -> tuple[Any, ...]:
    return decode(body([{"role": role, "content": list(blocks)}])).messages[0].parts


def test_parameters() -> None:
    request = decode(
        body(
            system="S",
            temperature=0.5,
            top_p=0.9,
            top_k=4,
            stop_sequences=["x"],
            metadata={"user_id": "u"},
            service_tier="auto",
            stream=True,
        )
    )
    assert request.instructions == (Text("S"),)
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (100, 0.5, 0.9, 4)
    assert (request.stop, request.user, request.service_tier, request.stream) == (("x",), "u", "auto", True)


@pytest.mark.parametrize(
    ("source", "media"),
    [
        ({"type": "base64", "media_type": "image/png", "data": PIXEL}, (Base64Source(PIXEL), "image/png")),
        ({"type": "url", "url": "https://e.com/a.png"}, (UrlSource("https://e.com/a.png"), "")),
        ({"type": "url", "url": f"data:image/png;base64,{PIXEL}"}, (Base64Source(PIXEL), "image/png")),
        ({"type": "file", "file_id": "file_1"}, (FileIdSource("file_1", "anthropic"), "")),
    ],
)
def test_images(source: dict[str, Any], media: tuple[Any, str]) -> None:
    assert parts_of({"type": "image", "source": source}) == (Media("image", *media),)


def test_documents() -> None:
    text, content, link = parts_of(
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "w"},
            "title": "T",
        },
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "c"}]}},
        {"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}},
    )
    assert text == Media("document", PlainTextSource("w"), "text/plain", name="T")
    assert content.source == PlainTextSource("c")
    assert link == Media("document", UrlSource("https://e.com/a.pdf"), "application/pdf")


def test_thinking_and_its_signatures() -> None:
    foreign = for_client(Signature("gAAA", "openai-responses"), "anthropic")
    parts = parts_of(
        {"type": "thinking", "thinking": "a", "signature": "own"},
        {"type": "thinking", "thinking": "b", "signature": foreign},
        {"type": "thinking", "thinking": "c", "signature": ""},
        {"type": "redacted_thinking", "data": "own"},
        role="assistant",
    )
    assert parts == (
        Thinking("a", Signature("own", "anthropic")),
        Thinking("b", Signature("gAAA", "openai-responses")),
        Thinking("c"),
        Thinking("", Signature("own", "anthropic"), redacted=True),
    )


def test_calls_and_results() -> None:
    request = decode(
        body(
            [
                {"role": "user", "content": "x"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_use", "id": "a", "name": "f", "input": {"b": 1, "a": [None, "ü"]}},
                        {"type": "tool_use", "id": "b", "name": "f", "input": {"INVALID_JSON": '{"x": '}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "a"},
                        {
                            "type": "tool_result",
                            "tool_use_id": "b",
                            "is_error": True,
                            "content": [
                                {"type": "text", "text": "no"},
                                {"type": "tool_reference", "tool_name": "g"},
                            ],
                        },
                    ],
                },
            ]
        )
    )
    calls = request.messages[1].parts
    assert calls == (ToolCall("a", "f", '{"b":1,"a":[null,"ü"]}'), ToolCall("b", "f", '{"x": '))
    first, second = request.messages[2].parts
    assert isinstance(first, ToolResult)
    assert isinstance(second, ToolResult)
    assert (first.content, first.is_error) == ((), False)
    assert second.is_error
    assert second.content[0] == Text("no")
    reference = second.content[1]
    assert isinstance(reference, Opaque)
    assert reference.text == "The tool g is available now."


def test_blocks_of_this_protocol_alone_are_kept_whole() -> None:
    call = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
    found = {
        "type": "search_result",
        "title": "T",
        "source": "https://e.com",
        "content": [{"type": "text", "text": "w"}],
    }
    assert parts_of(call, role="assistant") == (Opaque("anthropic", "server_tool_use", call),)
    assert parts_of(found) == (Opaque("anthropic", "search_result", found, "T https://e.com\nw"),)


def test_tools() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    plain, provider = decode(
        body(tools=[{"name": "f", "description": "d", "input_schema": schema, "strict": True}, search])
    ).tools
    assert isinstance(plain, Tool)
    assert (plain.name, plain.description, plain.parameters, plain.strict) == ("f", "d", schema, True)
    assert provider == ProviderTool("anthropic", "web_search_20250305", search, "web_search")


@pytest.mark.parametrize(
    ("definition", "name", "properties"),
    [
        ({"type": "bash_20250124", "name": "bash"}, "bash", {"command", "restart"}),
        (
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            "str_replace_based_edit_tool",
            {
                "command",
                "path",
                "view_range",
                "file_text",
                "old_str",
                "new_str",
                "insert_line",
                "insert_text",
            },
        ),
        (
            {"type": "text_editor_20250124", "name": "str_replace_editor"},
            "str_replace_editor",
            {"command", "path", "view_range", "file_text", "old_str", "new_str", "insert_line"},
        ),
        (
            {"type": "memory_20250818", "name": "memory"},
            "memory",
            {
                "command",
                "path",
                "view_range",
                "file_text",
                "old_str",
                "new_str",
                "insert_line",
                "insert_text",
                "old_path",
                "new_path",
            },
        ),
    ],
)
def test_tools_that_the_client_runs_are_functions(
    definition: dict[str, Any], name: str, properties: set[str]
) -> None:
    (tool,) = decode(body(tools=[definition])).tools
    assert isinstance(tool, Tool)
    assert tool.name == name
    assert tool.description
    assert tool.parameters is not None
    assert set(tool.parameters["properties"]) == properties
    losses = Losses()
    losses.foreign(tool.extensions, "openai", "tools[0]")
    assert losses.codes == ()


def test_a_computer_tells_its_size() -> None:
    computer = {
        "type": "computer_20251124",
        "name": "computer",
        "display_width_px": 8,
        "display_height_px": 6,
    }
    (tool,) = decode(body(tools=[{**computer, "enable_zoom": True}])).tools
    assert isinstance(tool, Tool)
    assert "8x6" in (tool.description or "")
    assert "zoom" in (tool.parameters or {})["properties"]["action"]["enum"]
    toolset = {"type": "computer_toolset_20260801"}
    assert isinstance(decode(body(tools=[toolset])).tools[0], ProviderTool)


@pytest.mark.parametrize(
    ("said", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
            ToolChoice("named", ("f",)),
            True,
        ),
        ({"type": "none"}, ToolChoice("none"), None),
    ],
)
def test_tool_choice(said: dict[str, Any], choice: ToolChoice, parallel: bool | None) -> None:
    request = decode(body(tool_choice=said, tools=[{"name": "f", "input_schema": {}}]))
    assert (request.tool_choice, request.parallel_tool_calls) == (choice, parallel)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, (True, None, 2048, False, True)),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}},
            (True, "low", None, True, False),
        ),
        ({"thinking": {"type": "disabled"}}, (False, None, None, False, None)),
        ({"output_config": {"effort": "max"}}, (None, "max", None, False, None)),
    ],
)
def test_reasoning(said: dict[str, Any], expected: tuple[Any, ...]) -> None:
    reasoning = decode(body(**said)).reasoning
    assert isinstance(reasoning, Reasoning)
    found = (
        reasoning.enabled,
        reasoning.effort,
        reasoning.budget,
        reasoning.adaptive,
        reasoning.show,
    )
    assert found == expected


LINE = "x-anthropic-billing-header: cc_version=1.2.3.abc; cc_entrypoint=cli; cch=0a1b2;"


@pytest.mark.parametrize("protocol", [name for name in BUILT_IN if name != "anthropic"])
def test_claude_codes_rotating_line_spoils_no_prompt_cache(protocol: str) -> None:
    request = decode(body(system=[{"type": "text", "text": LINE}, {"type": "text", "text": "You are it."}]))
    encoded = codec(protocol).encode_request(request, TargetModel("m"))
    assert "cc_version" not in str(encoded.body)
    assert "You are it." in str(encoded.body)
    assert "system.volatile" in encoded.losses.codes


def test_anthropic_gets_the_rotating_line() -> None:
    request = decode(body(system=[{"type": "text", "text": LINE}, {"type": "text", "text": "You are it."}]))
    assert stable(request, "anthropic", Losses()) is request
    assert LINE in str(CODEC.encode_request(request, TargetModel("m")).body)


CALL = {"type": "tool_use", "id": "a", "name": "f", "input": {}}


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"messages": []}, "model"),
        ({"model": "m"}, "messages"),
        (body(messages={}), "messages"),
        (body([1]), "messages[0]"),
        (body([{"role": "tool", "content": "x"}]), "messages[0].role"),
        (body([{"role": "user"}]), "messages[0].content"),
        (body([{"role": "user", "content": [{"text": "x"}]}]), "messages[0].content[0].type"),
        (body([{"role": "user", "content": [{"type": "text", "text": 1}]}]), "messages[0].content[0].text"),
        (body([{"role": "user", "content": [CALL]}]), "messages[0].content[0]"),
        (
            body([{"role": "assistant", "content": [{**CALL, "input": "{}"}]}]),
            "messages[0].content[0].input",
        ),
        (
            body([{"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "a"}]}]),
            "messages[0].content[0]",
        ),
        (
            body(
                [
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "a", "content": [CALL]}],
                    }
                ]
            ),
            "messages[0].content[0].content[0]",
        ),
        (
            body([{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]),
            "messages[0].content[0].source.data",
        ),
        (body(system=[{"type": "image", "source": {"type": "url", "url": "x"}}]), "system[0]"),
        (body(tools=[{"description": "no name"}]), "tools[0].name"),
        (body(tool_choice={"type": "perhaps"}), "tool_choice.type"),
        (body(temperature="hot"), "temperature"),
        (body(max_tokens=1.5), "max_tokens"),
        (body(stop_sequences=["a", 2]), "stop_sequences[1]"),
        (body(thinking={"budget_tokens": 5}), "thinking.type"),
        (body(output_config={"effort": "heroic"}), "output_config.effort"),
        (body(output_config={"format": {"type": "xml"}}), "output_config.format.type"),
        (body(metadata={"user_id": 5}), "metadata.user_id"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(document: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(document)
    assert caught.value.where == where


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_block = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            [
                "text",
                "image",
                "document",
                "thinking",
                "redacted_thinking",
                "tool_use",
                "tool_result",
                "search_result",
                "server_tool_use",
                "tool_reference",
                "compaction",
                "?",
            ]
        ),
        "text": _json,
        "source": _json
        | st.fixed_dictionaries({"type": st.sampled_from(["content", "url"]), "content": _json}),
        "thinking": _json,
        "signature": _json,
        "data": _json,
        "id": _json,
        "name": _json,
        "input": _json,
        "tool_use_id": _json,
        "content": _json,
    },
)
_message = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.lists(_block, max_size=3) | _json,
    }
)
_PARAMETERS = "system tools tool_choice thinking output_config metadata stop_sequences temperature _own _beta"
_body = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(_message | _json, max_size=3)},
    optional=dict.fromkeys(_PARAMETERS.split(), _json),
)


@given(_body | st.dictionaries(st.text(max_size=5), _json, max_size=3))
def test_any_json_is_read_or_refused(document: dict[str, Any]) -> None:
    try:
        request = CODEC.decode_request(document, Arrival())
    except InvalidRequest:
        return
    assert len(request.messages) == len(document["messages"])
