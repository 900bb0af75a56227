"""The official SDKs read whatever the hub sends, upstream and to clients."""

from __future__ import annotations

import pytest

from adapters.registry import codec
from tests.adapters.matrix import facts, sdk
from tests.adapters.matrix.cases import PAIRS, PROTOCOLS, cases_with, features
from tests.adapters.matrix.convert import assembled, decode_stream, outcome, plain

NOT_IN_THE_TYPES = {
    ("openai", "thinking"): "OpenRouter's words",
    ("openai", "redacted_thinking"): "OpenRouter's words",
    ("openai", "tool_result_image"): "some servers take it; OpenAI gets it in another message",
}


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_upstream_requests_fit_the_official_types(client: str, target: str) -> None:
    found = {}
    for feature in features():
        sent = outcome(client, target, feature).sent
        words = (target, feature) in NOT_IN_THE_TYPES and "thinking" in feature
        if sent is not None and not words:
            found[feature] = sdk.request_errors(target, plain(sent.body))
    assert not {feature: errors for feature, errors in found.items() if errors}


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_answers_fit_the_official_models(client: str, target: str) -> None:
    answers = {feature: outcome(client, target, feature).answer for feature in features()}
    found = {name: sdk.answer_errors(client, answer) for name, answer in answers.items() if answer}
    assert found
    assert not {feature: errors for feature, errors in found.items() if errors}


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_the_official_accumulator_rebuilds_the_answer_from_the_stream(client: str, target: str) -> None:
    """What it rebuilds means what our own decoder reads in the same stream."""
    mine, count = codec(client), 0
    for feature in features():
        found = outcome(client, target, feature)
        if not found.stream or assembled(found.events).error is not None:
            continue
        count += 1
        rebuilt = sdk.rebuilt(client, found.stream)
        assert not sdk.answer_errors(client, rebuilt), feature
        own = assembled(decode_stream(client, found.stream)).response
        assert own is not None
        told, wanted = (
            facts.of_response(one, signatures=client == target)
            for one in (mine.decode_response(rebuilt), own)
        )
        assert not facts.differences(wanted, told), feature
    assert count


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_cases_themselves_fit_the_official_types(protocol: str) -> None:
    """Else they would prove nothing."""
    for one in cases_with("request"):
        if one.protocol == protocol and (protocol, one.feature) not in NOT_IN_THE_TYPES:
            assert not sdk.request_errors(protocol, one.request or {}), one.feature
    for one in cases_with("answer"):
        if one.protocol == protocol:
            found = sdk.answer_errors(protocol, one.answer or {})
            assert not [error for error in found if "cache_write_tokens" not in error], (
                one.feature
            )  # not sent
