"""A hub whose target is a hub: signatures are wrapped by both, and come back to their maker as they were."""

from __future__ import annotations

import pytest

from adapters.canonical import ChatResponse, Signature, Thinking, ToolCall
from adapters.codec import TargetModel
from adapters.registry import codec
from adapters.signatures import for_client, from_client
from tests.adapters.matrix.cases import MODELS, PROTOCOLS, arrival, case, reply
from tests.adapters.matrix.convert import plain
from tests.adapters.matrix.echo import next_request

MAKERS = [
    (maker, feature)
    for maker in ("anthropic", "gemini", "openai-responses")
    for feature in ("thinking", "redacted_thinking", "call_signature")
    if case(maker, feature).answer is not None
]
CARRIERS = ("anthropic", "gemini", "openai-responses", "openai")


def _signed(response: ChatResponse) -> list[str]:
    parts = [part for choice in response.choices for part in choice.parts]
    signatures = [part.signature for part in parts if isinstance(part, Thinking | ToolCall)]
    return [one.value for one in signatures if one is not None]


@pytest.mark.parametrize(("maker", "feature"), MAKERS)
@pytest.mark.parametrize("client", CARRIERS)
def test_a_signature_survives_two_hubs(client: str, maker: str, feature: str) -> None:
    """Client → hub → hub → maker, and the turn after; the hubs speak Anthropic to each other."""
    between = "anthropic"
    outer, middle, inner = codec(client), codec(between), codec(maker)
    said = inner.decode_response(case(maker, feature).answer or {})
    far, _ = middle.encode_response(said, reply(between, "tools"))
    near, _ = outer.encode_response(middle.decode_response(plain(far)), reply(client, "tools"))
    body = next_request(client, case(client, "tools").request or {}, plain(near))
    first = outer.decode_request(plain(body), arrival(client))
    # the hub between asks as a group does that adjusts requests: decoded and written anew
    sent = middle.encode_request(first, TargetModel(MODELS[between]))
    at = arrival(between, model=MODELS[between])
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
