"""Whatever a request loses is told at the JSON path at which it stands in the client's own body."""

from __future__ import annotations

import re
from typing import Any

import pytest

from adapters.places import located
from adapters.registry import codec
from tests.adapters.matrix.cases import PAIRS, TargetModel, arrival, case, features
from tests.adapters.matrix.convert import outcome, plain

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def _stands(body: Any, path: str) -> bool:
    """Whether there is something at the path; keys are spelled as JSON has them."""
    for name, index in _STEP.findall(path):
        if index and isinstance(body, list) and int(index) < len(body):
            body = body[int(index)]
        elif name and isinstance(body, dict) and name in body:
            body = body[name]
        else:
            return False
    return True


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_each_path_leads_to_what_is_lost(client: str, target: str) -> None:
    wrong = []
    for feature in features():
        sent, body = outcome(client, target, feature).sent, case(client, feature).request
        if sent is not None:
            found = located(sent.losses, client)
            wrong += [(feature, one.code, one.where) for one in found if not _stands(plain(body), one.where)]
    assert not wrong


HINT = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize("target", ["openai", "openai-responses", "gemini", "ollama"])
def test_hints_of_anthropics_clients(target: str) -> None:
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "stop_sequences": ["END"],
        "system": [{"type": "text", "text": "Be brief.", **HINT}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, **HINT}],
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "user",
                "content": [{"type": "text", "text": " "}, {"type": "text", "text": "x", **HINT}],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}, **HINT}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c", "is_error": True, "content": "no"}],
            },
        ],
    }
    request = codec("anthropic").decode_request(body, arrival("anthropic"))
    losses = located(codec(target).encode_request(request, TargetModel("m")).losses, "anthropic")
    hints = [loss.where for loss in losses if loss.code == "cache_control"]
    assert sorted(hints) == [
        "messages[1].content[1].cache_control",
        "messages[2].content[0].cache_control",
        "system[0].cache_control",
        "tools[0].cache_control",
    ]
    assert {loss.where for loss in losses if loss.code == "stop"} <= {"stop_sequences"}
    assert {loss.where for loss in losses if loss.code == "tool_result.is_error"} <= {
        "messages[3].content[0]"
    }
