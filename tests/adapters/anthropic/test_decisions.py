"""Every field, block and tool of the official SDK's request types has a decision, and it is kept."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import pytest
from anthropic.types import beta, message_create_params, tool_union_param
from anthropic.types.beta import message_create_params as beta_params

from adapters.anthropic import CODEC
from adapters.anthropic.decisions import BLOCKS, FIELDS, TOOLS
from adapters.canonical import Opaque, ProviderTool, Tool
from adapters.codec import TargetModel
from adapters.registry import codec
from tests.adapters.anthropic.support import SONNET, body, decode

KEPT = sorted(field for field, decision in FIELDS.items() if decision == "kept")
DATE = re.compile(r"_\d{8}$")


def types_of(union: Any) -> set[str]:
    """The values of `type` that the members of a union of TypedDicts have."""
    found: set[str] = set()
    for member in get_args(union):
        if "type" in getattr(member, "__required_keys__", ()) or "type" in getattr(
            member, "__annotations__", {}
        ):
            found |= literals(get_type_hints(member)["type"])
    return found


def literals(hint: Any) -> set[str]:
    if isinstance(hint, str):
        return {hint}
    return {value for inner in get_args(hint) for value in literals(inner)}


def test_every_field_has_a_decision() -> None:
    hints = [
        get_type_hints(module.MessageCreateParamsStreaming) for module in (message_create_params, beta_params)
    ]
    assert {field for fields in hints for field in fields} == FIELDS.keys()


def test_every_block_has_a_decision() -> None:
    assert types_of(beta.BetaContentBlockParam) == BLOCKS.keys()


def test_every_tool_has_a_decision() -> None:
    known = types_of(beta.BetaToolUnionParam) | types_of(tool_union_param.ToolUnionParam)
    assert {DATE.sub("", kind) for kind in known} == TOOLS.keys()


@pytest.mark.parametrize("field", KEPT)
def test_a_kept_field_goes_back_and_is_reported_elsewhere(field: str) -> None:
    request = decode(body(**{field: {"x": 1}}))
    assert CODEC.encode_request(request, TargetModel(SONNET)).body[field] == {"x": 1}
    encoded = codec("openai").encode_request(request, TargetModel("gpt-4.1"))
    assert field not in encoded.body
    assert field in encoded.losses.codes


@pytest.mark.parametrize("kind", [kind for kind, decision in BLOCKS.items() if decision.startswith("kept")])
def test_a_kept_block_is_kept_whole(kind: str) -> None:
    block = {"type": kind, "x": 1}
    (part,) = decode(body([{"role": "user", "content": [block]}])).messages[0].parts
    assert isinstance(part, Opaque)
    assert part.value == block


@pytest.mark.parametrize("kind", [kind for kind in TOOLS if kind != "custom"])
def test_who_runs_a_tool(kind: str) -> None:
    definition = {"type": f"{kind}_20260101", "name": "n"}
    (tool,) = decode(body(tools=[definition])).tools
    assert isinstance(tool, Tool if TOOLS[kind].startswith("function") else ProviderTool)
