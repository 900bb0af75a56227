"""What the client's JSON means, and what is said of JSON that means nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.canonical import (
    Base64Source,
    Media,
    OutputFormat,
    ProviderTool,
    Reasoning,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    UrlSource,
)
from adapters.codec import Arrival, TargetModel
from adapters.errors import InvalidRequest, Unsupported
from adapters.losses import Losses
from adapters.openai_responses import CODEC
from adapters.signatures import for_client
from adapters.tool_names import plain_request

from .support import decoded


def test_the_fields():
    request = decoded(
        {
            "input": "hi",
            "instructions": "be brief",
            "max_output_tokens": 5,
            "reasoning": {"effort": "none", "summary": "auto"},
            "text": {"format": {"type": "json_object"}, "verbosity": "low"},
            "tool_choice": {"type": "function", "name": "f"},
            "include": ["message.output_text.logprobs"],
            "top_logprobs": 2,
            "store": False,
            "stream": True,
        }
    )
    assert [message.parts for message in request.messages] == [(Text("hi"),)]
    assert request.instructions == (Text("be brief"),)
    assert (request.max_tokens, request.stream, request.logprobs, request.top_logprobs) == (5, True, True, 2)
    assert request.reasoning == Reasoning(False, "none", show=True, summary="auto")
    assert request.output_format == OutputFormat("json")
    assert request.verbosity == "low"
    assert (request.tool_choice.mode, request.tool_choice.names) == ("named", ("f",))
    losses = Losses()
    losses.foreign(request.extensions, "anthropic", "")
    assert losses.codes == ()


def test_an_effort_that_nobody_knows_is_carried():
    reasoning = decoded({"input": "hi", "reasoning": {"effort": "ultra"}}).reasoning
    assert reasoning.effort is None
    assert reasoning.extensions["openai-responses"]["effort"] == "ultra"


def test_a_conversation():
    request = decoded(
        {
            "input": [
                {"role": "developer", "content": "d"},
                {
                    "role": "user",
                    "content": [{"type": "input_image", "detail": "low", "image_url": "http://a"}],
                },
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
                {"type": "custom_tool_call", "call_id": "c1", "name": "p", "input": "x", "namespace": "n"},
                {"type": "custom_tool_call_output", "call_id": "c1", "output": "y"},
            ]
        }
    )
    roles = [message.role for message in request.messages]
    assert roles == ["developer", "user", "assistant", "assistant", "tool"]
    image, thinking, call = (request.messages[at].parts[0] for at in (1, 2, 3))
    assert isinstance(image, Media)
    assert (image.source, image.detail) == (UrlSource("http://a"), "low")
    assert (thinking.signature, thinking.redacted) == (Signature("gAAA", "openai-responses"), True)
    assert (call.kind, call.namespace, call.arguments) == ("custom", "n", "x")
    assert request.messages[4].parts[0].content == (Text("y"),)


def test_a_data_url_is_bytes():
    request = decoded(
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}],
                }
            ]
        }
    )
    media = request.messages[0].parts[0]
    assert (media.source, media.media_type) == (Base64Source("AA=="), "image/png")


def test_signatures_of_others_survive_their_way_through_this_protocol():
    wrapped = for_client(Signature("sig", "anthropic"), "openai-responses")
    items = [
        {"type": "reasoning", "id": "rs_hub1", "summary": [], "encrypted_content": wrapped},
        {"role": "assistant", "content": "hello"},
    ]
    request = decoded({"input": items})
    assert request.messages[0].parts[0].signature == Signature("sig", "anthropic")
    encoded = CODEC.encode_request(request, TargetModel("gpt-5.2"))
    assert encoded.body["input"] == items[1:]
    assert encoded.losses.codes == ("thinking.redacted",)


def test_thoughts_that_the_hub_numbered_itself_are_not_sent_to_openai():
    items = [{"type": "reasoning", "id": "rs_hub1", "summary": [{"type": "summary_text", "text": "hm"}]}]
    request = decoded({"input": items})
    assert isinstance(request.messages[0].parts[0], Thinking)
    encoded = CODEC.encode_request(request, TargetModel("gpt-5.2"))
    assert (encoded.body["input"], encoded.losses.codes) == ([], ("thinking",))


@pytest.mark.parametrize("mark", ["#call", "#called"])
def test_a_signature_beside_a_call_belongs_to_it(mark):
    wrapped = for_client(Signature("sig", f"gemini{mark}"), "openai-responses")
    carrier = {"type": "reasoning", "id": "rs_hub1", "summary": [], "encrypted_content": wrapped}
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    items = [carrier, call] if mark == "#call" else [call, carrier]
    (message,) = decoded({"input": items}).messages
    assert message.parts == (ToolCall("c1", "f", "{}", signature=Signature("sig", "gemini")),)


LATE = {"type": "function", "name": "late", "parameters": {"type": "object"}, "strict": False}


def test_tools_of_responses_lite_are_tools():
    request = decoded(
        {
            "input": [
                {"type": "additional_tools", "role": "developer", "tools": [LATE, {"type": "web_search"}]}
            ]
        }
    )
    assert [type(tool) for tool in request.tools] == [Tool, ProviderTool]
    plain, losses = plain_request(request)
    assert plain.messages == ()
    assert losses.codes == ()


def test_tools_that_a_search_found_can_be_called():
    request = decoded(
        {
            "tools": [{"type": "tool_search", "execution": "client"}, LATE],
            "input": [
                {
                    "type": "tool_search_call",
                    "call_id": "c1",
                    "execution": "client",
                    "arguments": {"query": "q"},
                },
                {
                    "type": "tool_search_output",
                    "call_id": "c1",
                    "execution": "client",
                    "tools": [LATE, {"type": "namespace", "name": "n", "description": "d", "tools": [LATE]}],
                },
            ],
        }
    )
    assert [(tool.name, tool.namespace) for tool in request.tools] == [
        ("tool_search", None),
        ("late", None),
        ("late", "n"),
    ]
    call = request.messages[0].parts[0]
    assert (call.name, call.arguments) == ("tool_search", '{"query":"q"}')
    assert "late" in request.messages[1].parts[0].content[0].text


def test_a_search_that_the_provider_ran_is_no_call_of_the_client():
    items = [
        {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {}},
        {"type": "tool_search_output", "call_id": "c1", "execution": "client", "tools": [LATE]},
    ]
    request = decoded({"tools": [{"type": "tool_search"}], "input": items})
    plain, _ = plain_request(request)
    assert not [part for message in plain.messages for part in message.parts if isinstance(part, ToolCall)]
    assert "late" in [tool.name for tool in plain.tools]


@pytest.mark.parametrize(
    "body",
    [
        {"input": "hi", "previous_response_id": "resp_1"},
        {"input": "hi", "conversation": "conv_1"},
        {"input": "hi", "prompt": {"id": "p"}},
        {"input": "hi", "background": True},
    ],
)
def test_state_of_the_provider_is_refused_elsewhere(body):
    request = decoded(body)
    with pytest.raises(Unsupported, match="needs a target that speaks openai-responses"):
        Losses().foreign(request.extensions, "anthropic", "")


def test_a_reference_to_stored_items_is_refused_elsewhere():
    (message,) = decoded({"input": [{"type": "item_reference", "id": "msg_1"}]}).messages
    with pytest.raises(Unsupported, match="item_reference"):
        Losses().foreign(message.extensions, "gemini", "messages[0]")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": 3}, "model: expected a string, not a number"),
        ({"input": 3}, "input: expected a string or an array of items, not a number"),
        ({"input": [3]}, r"input\[0\]: expected an object"),
        ({"input": [{"role": "robot", "content": ""}]}, r"input\[0\].role: unknown role 'robot'"),
        ({"input": [{"type": "function_call"}]}, r"input\[0\].arguments: expected a string, not null"),
        ({"input": [{"type": "message"}]}, r"input\[0\].role: expected a string"),
        ({"input": [{"what": 1}]}, r"input\[0\].type: an item needs a type"),
        ({"input": [{"type": 3}]}, r"input\[0\].type: expected a string"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, r"input\[0\].content\[0\].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            r"content\[0\].text: expected a string",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, r"content\[0\].image_url"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c"}]},
            r"input\[0\].output: a tool's output",
        ),
        ({"tools": [{"type": "function"}]}, r"tools\[0\].name: expected a string"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]},
            r"tools\[0\].tools\[0\].type",
        ),
        ({"tool_choice": "maybe"}, "tool_choice: unknown tool choice 'maybe'"),
        ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.mode"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type: unknown format 'yaml'"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema: expected an object"),
        ({"metadata": {"a": 1}}, "metadata.a: expected a string"),
        ({"max_output_tokens": "many"}, "max_output_tokens: expected an integer, not a string"),
        ({"temperature": True}, "temperature: expected a number, not a boolean"),
        ({"stream": "yes"}, "stream: expected true or false"),
    ],
)
def test_errors_say_where(body, message):
    with pytest.raises(InvalidRequest, match=message):
        decoded(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call_output",
    "apply_patch_call",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "item_reference",
    "compaction",
    "mcp_call",
    "code_interpreter_call",
    "file_search_call",
    "namespace",
    "function",
    "allowed_tools",
    "input_image",
    "input_file",
    "input_audio",
    "output_text",
]
KEYS = [
    "type",
    "role",
    "content",
    "call_id",
    "name",
    "arguments",
    "input",
    "output",
    "tools",
    "action",
    "summary",
    "encrypted_content",
    "execution",
    "image_url",
    "file_data",
    "text",
    "id",
    "mode",
    "outputs",
    "results",
]
ITEM = st.dictionaries(
    st.sampled_from(KEYS),
    st.sampled_from([*KINDS, "user", "assistant", "client"])
    | JSON
    | st.lists(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(KINDS) | JSON, max_size=4), max_size=2),
    max_size=6,
)
BODY = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional={
        "input": st.lists(ITEM, max_size=4) | JSON,
        "tools": st.lists(ITEM, max_size=3) | JSON,
        "tool_choice": ITEM | JSON,
        "text": JSON | st.fixed_dictionaries({"format": ITEM | JSON}),
        "reasoning": JSON,
        "include": JSON,
        "metadata": JSON,
        "max_output_tokens": JSON,
        "instructions": JSON,
        "store": JSON,
        "background": JSON,
    },
)


@settings(max_examples=300)
@given(BODY)
def test_any_json_is_read_or_refused(body):
    try:
        request = CODEC.decode_request(body, Arrival())
    except InvalidRequest:
        return
    CODEC.encode_request(request, TargetModel("gpt-5.2"))


def test_the_model_of_the_path_wins():
    assert CODEC.decode_request({"input": "x"}, Arrival(model="p")).model == "p"
