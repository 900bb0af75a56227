"""A hub whose target is a hub: signatures are wrapped by both, and come back to their maker as they were."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.assemble import Assembler
from adapters.canonical import ChatRequest, ChatResponse, Message, Signature, Text, Thinking, ToolCall
from adapters.codec import TargetModel
from adapters.registry import codec
from adapters.replay import replay
from adapters.signatures import SIGN, bare, for_client, from_client, knows_no_wrapper
from tests.adapters.matrix import sdk
from tests.adapters.matrix.cases import PROTOCOLS, arrival, case, reply
from tests.adapters.matrix.convert import decode_stream, plain
from tests.adapters.matrix.echo import next_request

MAKERS = [
    (maker, feature)
    for maker in ("anthropic", "gemini", "openai-responses", "openai")
    for feature in ("thinking", "redacted_thinking", "call_signature")
    if case(maker, feature).answer is not None
]
CARRIERS = ("anthropic", "gemini", "openai-responses", "openai")
"""Ollama has no place for signatures, neither for clients nor between hubs."""


def _signed(response: ChatResponse) -> list[str]:
    parts = [part for choice in response.choices for part in choice.parts]
    signatures = [part.signature for part in parts if isinstance(part, Thinking | ToolCall)]
    return [from_client(one.value, one.origin).value for one in signatures if one is not None]


def _through(protocol: str, said: ChatResponse, *, stream: bool) -> dict[str, Any]:
    """What a hub tells its client of that answer."""
    if not stream:
        return dict(plain(codec(protocol).encode_response(said, reply(protocol, "tools"))[0]))
    encoder = codec(protocol).stream_encoder(reply(protocol, "tools", stream=True))
    return dict(sdk.rebuilt(protocol, encoder.encode(replay(said))))


def _heard(protocol: str, said: ChatResponse, *, stream: bool) -> ChatResponse:
    """The same as a hub reads it whose upstream the other one is."""
    if not stream:
        return codec(protocol).decode_response(_through(protocol, said, stream=False))
    encoder = codec(protocol).stream_encoder(reply(protocol, "tools", stream=True))
    assembler = Assembler()
    assembler.feed(decode_stream(protocol, encoder.encode(replay(said))))
    assert assembler.response is not None
    return assembler.response


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("between", CARRIERS)
@pytest.mark.parametrize(("maker", "feature"), MAKERS)
@pytest.mark.parametrize("client", CARRIERS)
def test_a_signature_survives_two_hubs(
    client: str, maker: str, feature: str, between: str, stream: bool
) -> None:
    """Client → hub → hub → maker, and the turn after. `between` is what the hubs speak to each other."""
    outer, middle, inner = codec(client), codec(between), codec(maker)
    said = inner.decode_response(case(maker, feature).answer or {})
    near = _through(client, _heard(between, said, stream=stream), stream=stream)
    body = next_request(client, case(client, "tools").request or {}, near)
    first = outer.decode_request(plain(body), arrival(client))
    # the hub between asks as a group does that adjusts requests: decoded and written anew
    sent = middle.encode_request(first, TargetModel("assistant", "other-hub", "http://127.0.0.1:4000/v1"))
    at = arrival(between, model="assistant")
    second = middle.decode_request(plain(sent.body), at)
    final = inner.encode_request(second, case(maker, feature).target)
    signed = _signed(said)
    assert signed
    for value in signed:
        assert str(plain(final.body)).count(value) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_wrappers_come_off_one_by_one(protocol: str) -> None:
    made = Signature("c2lnbmVk", "gemini")
    once = for_client(made, "anthropic")
    twice = for_client(Signature(once, "anthropic"), protocol)
    assert from_client(twice, protocol) == Signature(once, "anthropic")
    assert from_client(once, "anthropic") == made


@pytest.mark.parametrize("maker", ["anthropic", "gemini"])
@pytest.mark.parametrize("slot", ["anthropic", "gemini", "openai-responses"])
def test_a_provider_gets_its_own_back_bare_and_no_wrapper(slot: str, maker: str) -> None:
    """The session has moved from a hub's target to the provider itself."""
    made = Signature("c2lnbmVk", maker)
    through_two = Signature(for_client(Signature(for_client(made, slot), slot), slot), slot)
    call = ToolCall("call_1", "look", "{}", signature=through_two)
    thought = Thinking("Hm.", through_two)
    asked = ChatRequest("m", (Message("assistant", (thought, call)), Message("user", (Text("On"),))))
    assert bare(asked).messages[0].parts == (
        Thinking("Hm.", made),
        ToolCall("call_1", "look", "{}", signature=made),
    )


@pytest.mark.parametrize(("maker", "loses"), [("anthropic", False), ("gemini", True)])
def test_what_a_hub_wrapped_never_reaches_a_provider(maker: str, loses: bool) -> None:
    wrapped = Signature(for_client(Signature("c2lnbmVk", maker), "openai"), "anthropic")
    parts = (Thinking("Hm.", wrapped), Text("So."))
    turns = (Message("user", (Text("Hi"),)), Message("assistant", parts), Message("user", (Text("On"),)))
    target = TargetModel("claude-sonnet-4-5", "anthropic", "https://api.anthropic.com")
    sent = codec("anthropic").encode_request(bare(ChatRequest("m", turns, max_tokens=9)), target)
    assert SIGN.decode() not in str(sent.body)
    assert ("c2lnbmVk" in str(sent.body)) is not loses
    assert any(code.startswith("thinking") for code in sent.losses.codes) is loses


def test_what_only_begins_like_a_wrapper_stays() -> None:
    value = SIGN.decode() + "!"
    asked = ChatRequest("m", (Message("assistant", (Thinking("", Signature(value, "anthropic")),)),))
    assert bare(asked) == asked


@pytest.mark.parametrize(
    ("base_url", "known"),
    [
        ("https://api.anthropic.com", True),
        ("https://generativelanguage.googleapis.com/v1beta", True),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", True),
        ("http://127.0.0.1:4000", False),
        ("https://hub.example.com/api.anthropic.com", False),
        ("", False),
    ],
)
def test_who_knows_no_wrapper(base_url: str, known: bool) -> None:
    assert knows_no_wrapper(base_url) is known
