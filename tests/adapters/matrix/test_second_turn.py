"""The turn after: the client sends the answer back, to the model that gave it or to another one.

A signature goes back to its maker letter by letter, and to nobody else; no request becomes invalid.
"""

from __future__ import annotations

from typing import Any

import pytest

from adapters.canonical import ChatResponse, Choice, FinishReason, Signature, Thinking, ToolCall
from adapters.codec import Encoded
from adapters.registry import codec
from adapters.replay import replay
from tests.adapters.matrix import sdk
from tests.adapters.matrix.cases import PAIRS, PROTOCOLS, arrival, case, cases_with, reply
from tests.adapters.matrix.convert import assembled, outcome, plain
from tests.adapters.matrix.echo import next_request

SIGNED = ("thinking", "redacted_thinking", "call_signature")
CARRIES = frozenset(PROTOCOLS) - {"ollama"}
"""Protocols with a place for signatures."""

ROUNDS = [
    (client, target, feature, source)
    for client, target in PAIRS
    for feature in SIGNED
    for source in ("answer", "stream")
    if case(target, feature).answer is not None
]


def _second(client: str, made_by: str, feature: str, source: str, target: str) -> Encoded:
    found = outcome(client, made_by, feature)
    answer = found.answer if source == "answer" else sdk.rebuilt(client, found.stream)
    body = next_request(client, case(client, "tools").request or {}, answer or {})
    request = codec(client).decode_request(plain(body), arrival(client))
    asked = case(target, feature if target == made_by else "tools")
    return codec(target).encode_request(request, asked.target)


def _signatures(client: str, made_by: str, feature: str) -> list[str]:
    """What the maker signed with."""
    found = outcome(client, made_by, feature)
    said = found.said or assembled(found.events).response
    assert said is not None
    parts = [part for choice in said.choices for part in choice.parts]
    signed = [part.signature for part in parts if isinstance(part, Thinking | ToolCall)]
    return [one.value for one in signed if one is not None]


@pytest.mark.parametrize(("client", "target", "feature", "source"), ROUNDS)
def test_a_signature_goes_back_to_its_maker(client: str, target: str, feature: str, source: str) -> None:
    sent = _second(client, target, feature, source, target)
    text, signed = str(plain(sent.body)), _signatures(client, target, feature)
    assert bool(signed) == (target in CARRIES)
    for value in signed:
        assert text.count(value) == (client in CARRIES)
    own = target == "openai"  # OpenRouter's words
    assert own or not sdk.request_errors(target, plain(sent.body))


OTHERS = [(*one, target) for one in ROUNDS for target in PROTOCOLS if target != one[1]]


@pytest.mark.parametrize(("client", "made_by", "feature", "source", "target"), OTHERS)
def test_nobody_else_gets_it(client: str, made_by: str, feature: str, source: str, target: str) -> None:
    sent = _second(client, made_by, feature, source, target)
    body = plain(sent.body)
    assert not sdk.request_errors(target, body)
    for value in _signatures(client, made_by, feature):
        assert value not in str(body)
    assert "aHViLXNpZy8x" not in str(body), "the hub's own wrapper went upstream"


ANSWERS = [(client, one.protocol, one.feature) for client in PROTOCOLS for one in cases_with("answer")]


@pytest.mark.parametrize(("client", "made_by", "feature"), ANSWERS)
def test_every_answer_can_be_sent_back(client: str, made_by: str, feature: str) -> None:
    """To all targets: the model may be switched between any two turns."""
    answer: Any = outcome(client, made_by, feature).answer
    if client == "gemini" and "content" not in answer.get("candidates", [{}])[0]:
        return  # a blocked prompt: there is nothing to send back
    body = next_request(client, case(client, "tools").request or {}, answer)
    request = codec(client).decode_request(plain(body), arrival(client))
    for target in PROTOCOLS:
        sent = codec(target).encode_request(request, case(target, "tools").target)
        assert not sdk.request_errors(target, plain(sent.body)), target


@pytest.mark.parametrize("source", ["answer", "stream"])
def test_an_unsigned_thought_carries_the_signature_of_its_call_for_anthropic_clients(source: str) -> None:
    """Some of them send `thinking` blocks back as they were, and drop `redacted_thinking`."""
    said = ChatResponse(
        "x",
        "m",
        (
            Choice(
                (
                    Thinking("Hm."),
                    ToolCall(
                        "call_1", "weather", '{"city":"Oslo"}', signature=Signature("Z2VtaW5p", "gemini")
                    ),
                ),
                FinishReason("tool_calls"),
            ),
        ),
    )
    mine = codec("anthropic")
    if source == "answer":
        answer: Any = plain(mine.encode_response(said, reply("anthropic", "tools"))[0])
    else:
        encoder = mine.stream_encoder(reply("anthropic", "tools", stream=True))
        answer = sdk.rebuilt("anthropic", b"".join(encoder.encode([event]) for event in replay(said)))
    assert [block["type"] for block in answer["content"]] == ["thinking", "tool_use"]
    body = next_request("anthropic", case("anthropic", "tools").request or {}, answer)
    request = mine.decode_request(plain(body), arrival("anthropic"))
    parts = [part for message in request.messages for part in message.parts]
    assert [part for part in parts if isinstance(part, Thinking)][-1].signature is None
    sent = codec("gemini").encode_request(request, case("gemini", "call_signature").target)
    assert str(plain(sent.body)).count("Z2VtaW5p") == 1
