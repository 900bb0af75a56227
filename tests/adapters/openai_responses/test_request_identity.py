"""Decoding and encoding towards the same protocol gives the same JSON back."""

import pytest
from openai.types.responses import response_create_params

from adapters.codec import Arrival, TargetModel
from adapters.openai_responses import CODEC

PNG = "iVBORw0KGgo="

ITEMS = {
    "easy message": {"role": "user", "content": "hi"},
    "typed message": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    "developer": {"type": "message", "id": "msg_1", "role": "developer", "content": "be brief"},
    "system": {
        "role": "system",
        "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
    },
    "assistant, easy": {"role": "assistant", "content": "hello", "phase": "commentary"},
    "assistant": {
        "type": "message",
        "id": "msg_2",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": "see",
                "annotations": [
                    {
                        "type": "url_citation",
                        "url": "http://a",
                        "title": "A",
                        "start_index": 0,
                        "end_index": 3,
                    }
                ],
                "logprobs": [],
            },
            {"type": "refusal", "refusal": "no"},
        ],
    },
    "empty content": {"type": "message", "role": "user", "content": []},
    "image by data": {
        "role": "user",
        "content": [{"type": "input_image", "detail": "high", "image_url": f"data:image/png;base64,{PNG}"}],
    },
    "image by URL": {
        "role": "user",
        "content": [{"type": "input_image", "detail": "auto", "image_url": "http://a/b"}],
    },
    "image by id": {
        "role": "user",
        "content": [{"type": "input_image", "detail": "auto", "file_id": "file-1"}],
    },
    "file": {
        "role": "user",
        "content": [
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": f"data:application/pdf;base64,{PNG}",
                "prompt_cache_breakpoint": {"mode": "explicit"},
            },
            {"type": "input_file", "file_url": "http://a/b.pdf"},
            {"type": "input_file", "file_id": "file-1"},
        ],
    },
    "audio": {
        "role": "user",
        "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}],
    },
    "unknown content": {"role": "user", "content": [{"type": "input_hologram", "rays": 3}]},
    "reasoning": {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
        "content": None,
        "encrypted_content": "gAAAA",
        "status": None,
    },
    "reasoning in words": {
        "type": "reasoning",
        "id": "rs_2",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
    },
    "web search": {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
    "file search": {
        "type": "file_search_call",
        "id": "fs_1",
        "status": "completed",
        "queries": ["q"],
        "results": None,
    },
    "code": {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "container_id": "c",
        "code": "1",
        "outputs": [{"type": "logs", "logs": "1"}],
    },
    "image generation": {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG},
    "mcp list": {"type": "mcp_list_tools", "id": "ml_1", "server_label": "s", "tools": []},
    "mcp call": {
        "type": "mcp_call",
        "id": "mc_1",
        "server_label": "s",
        "name": "n",
        "arguments": "{}",
        "output": "o",
    },
    "mcp request": {
        "type": "mcp_approval_request",
        "id": "a",
        "server_label": "s",
        "name": "n",
        "arguments": "{}",
    },
    "mcp response": {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
    "computer call": {
        "type": "computer_call",
        "id": "cc_1",
        "call_id": "c9",
        "status": "completed",
        "action": {"type": "screenshot"},
        "pending_safety_checks": [],
    },
    "computer output": {
        "type": "computer_call_output",
        "call_id": "c9",
        "output": {"type": "computer_screenshot", "image_url": "http://a"},
    },
    "reference": {"type": "item_reference", "id": "msg_9"},
    "untyped reference": {"id": "msg_9"},
    "compaction": {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"},
    "compaction trigger": {"type": "compaction_trigger"},
    "configuration": {"type": "configuration_update", "reasoning": {"effort": "low"}},
    "additional tools": {
        "type": "additional_tools",
        "role": "developer",
        "tools": [{"type": "function", "name": "late", "parameters": {"type": "object"}, "strict": False}],
    },
    "program": {"type": "program", "id": "p", "call_id": "c8", "code": "x", "fingerprint": "f"},
    "keys like notes": {
        "role": "user",
        "content": "hi",
        "_:raw": {"a": 1},
        ":form": None,
        "!state": 1,
        "_id": 2,
        "=x": 3,
        "": 4,
    },
    "from the future": {"type": "telepathy_call", "id": "t_1", "wave": [1, None]},
}

CALLS = {
    "function": [
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "call_id": "c1",
            "name": "f",
            "arguments": "{}",
        },
        {"type": "function_call_output", "id": "fco_1", "call_id": "c1", "output": "done"},
    ],
    "function, bare": [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "not json"},
        {"type": "function_call_output", "call_id": "c1", "output": ""},
    ],
    "structured output": [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "namespace": "n"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [
                {"type": "input_text", "text": "one"},
                {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"},
                {"type": "input_file", "filename": "a.txt", "file_data": "YQ=="},
            ],
        },
    ],
    "empty structured output": [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": []},
    ],
    "custom": [
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "patch", "input": "*** Begin\n"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
    ],
    "parallel": [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
    ],
    "local shell": [
        {
            "type": "local_shell_call",
            "id": "lsh_1",
            "call_id": "c1",
            "status": "completed",
            "action": {"type": "exec", "command": ["ls"], "env": {}},
        },
        {"type": "local_shell_call_output", "id": "c1", "output": "a\nb"},
    ],
    "shell": [
        {"type": "shell_call", "call_id": "c1", "action": {"commands": ["ls"], "timeout_ms": 5}},
        {
            "type": "shell_call_output",
            "call_id": "c1",
            "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        },
    ],
    "apply patch": [
        {
            "type": "apply_patch_call",
            "call_id": "c1",
            "status": "completed",
            "operation": {"type": "delete_file", "path": "a"},
        },
        {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": "no such file"},
    ],
    "tool search": [
        {
            "type": "tool_search_call",
            "id": "tsc_1",
            "call_id": "c1",
            "execution": "client",
            "arguments": {"query": "q"},
        },
        {
            "type": "tool_search_output",
            "call_id": "c1",
            "execution": "client",
            "tools": [{"type": "namespace", "name": "n", "description": "d", "tools": []}],
        },
    ],
}

FIELDS = {
    "access_programs": {"cyber": "standard"},
    "background": False,
    "background_options": {"completion_window": "soonest"},
    "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    "conversation": "conv_1",
    "image": {"context_compression": "auto"},
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs", "file_search_call.results"],
    "input": "hi",
    "instructions": "be brief",
    "max_output_tokens": 100,
    "max_tool_calls": 3,
    "metadata": {"a": "b"},
    "model": "gpt-5.2",
    "moderation": {"model": "omni"},
    "parallel_tool_calls": False,
    "previous_response_id": "resp_1",
    "prompt": {"id": "pmpt_1", "version": "2"},
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "explicit"},
    "prompt_cache_retention": "24h",
    "reasoning": {"effort": "xhigh", "summary": "auto", "mode": "pro", "context": "all_turns"},
    "safety_identifier": "s",
    "service_tier": "flex",
    "store": True,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "temperature": 0.5,
    "text": {
        "format": {
            "type": "json_schema",
            "name": "n",
            "schema": {"type": "object"},
            "strict": True,
            "description": "d",
        },
        "verbosity": "low",
    },
    "tool_choice": "required",
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}],
    "top_logprobs": 3,
    "top_p": 0.9,
    "truncation": "auto",
    "user": "u",
}

TOOLS = [
    {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
    {"type": "function", "name": "g", "parameters": None, "strict": None, "defer_loading": True},
    {"type": "custom", "name": "c", "description": "d", "format": {"type": "text"}},
    {
        "type": "custom",
        "name": "p",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"},
    },
    {
        "type": "namespace",
        "name": "n",
        "description": "d",
        "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "custom", "name": "c"}],
    },
    {"type": "local_shell"},
    {"type": "shell", "environment": {"type": "local"}},
    {"type": "shell", "environment": {"type": "container_auto"}},
    {"type": "apply_patch"},
    {"type": "tool_search", "execution": "client", "description": "d", "parameters": {"type": "object"}},
    {"type": "web_search", "search_context_size": "low"},
    {"type": "web_search_preview"},
    {"type": "file_search", "vector_store_ids": ["v"]},
    {"type": "mcp", "server_label": "s", "server_url": "http://a", "require_approval": "never"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation", "size": "auto"},
    {"type": "computer_use_preview", "display_width": 1, "display_height": 2, "environment": "linux"},
]

CHOICES = [
    "auto",
    "none",
    "required",
    {"type": "function", "name": "f"},
    {"type": "custom", "name": "c"},
    {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}, {"type": "apply_patch"}],
    },
    {"type": "web_search_preview"},
    {"type": "mcp", "server_label": "s", "name": "n"},
    {"type": "shell"},
    {"type": "apply_patch"},
]


def round_trip(body):
    request = CODEC.decode_request(body, Arrival())
    return CODEC.encode_request(request, TargetModel(body["model"]))


@pytest.mark.parametrize("item", ITEMS.values(), ids=ITEMS)
def test_every_item_comes_back(item):
    body = {"model": "gpt-5.2", "input": [item, {"role": "user", "content": "go on"}], "store": False}
    encoded = round_trip(body)
    assert encoded.body == body
    assert encoded.losses.codes == ()


@pytest.mark.parametrize("items", CALLS.values(), ids=CALLS)
def test_every_call_comes_back(items):
    tools = [{"type": "tool_search", "execution": "client"}]
    body = {"model": "gpt-5.2", "input": items, "tools": tools}
    encoded = round_trip(body)
    assert encoded.body == body
    assert encoded.losses.codes == ()


@pytest.mark.parametrize("key", FIELDS)
def test_every_field_comes_back(key):
    body = {"model": "gpt-5.2", "input": "hi", "tools": TOOLS[:1], key: FIELDS[key]}
    encoded = round_trip(body)
    assert encoded.body == body
    assert encoded.losses.codes == ()


def test_no_field_of_the_api_is_forgotten():
    assert set(response_create_params.ResponseCreateParamsStreaming.__annotations__) == set(FIELDS)


def test_fields_that_nobody_has_heard_of_come_back():
    body = {
        "model": "m",
        "input": None,
        "instructions": "",
        "tools": [],
        "text": {},
        "future": {"a": [None]},
        "x": None,
    }
    assert round_trip(body).body == body | {"input": []}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["type"])
def test_every_tool_comes_back(tool):
    body = {"model": "gpt-5.2", "input": "hi", "tools": [tool, TOOLS[0]] if tool is not TOOLS[0] else [tool]}
    assert round_trip(body).body == body


def test_all_tools_together_come_back():
    body = {"model": "gpt-5.2", "input": "hi", "tools": [*TOOLS[:8], *TOOLS[9:]]}
    assert round_trip(body).body == body


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_tool_choice_comes_back(choice):
    body = {"model": "gpt-5.2", "input": "hi", "tools": TOOLS, "tool_choice": choice}
    assert round_trip(body).body["tool_choice"] == choice
