"""Random conversations: whatever a target can say arrives, the rest is reported; twice gives the same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from adapters.canonical import ChatRequest, ChatResponse
from adapters.registry import codec
from adapters.replay import replay
from tests.adapters.matrix import allowed, facts, sdk
from tests.adapters.matrix.cases import MODELS, PROTOCOLS, TargetModel, arrival, reply
from tests.adapters.matrix.conversations import answers, requests
from tests.adapters.matrix.convert import assembled, decode_stream, plain

quickly = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def _may_change(protocol: str, codes: tuple[str, ...]) -> set[str]:
    """The facts that reported losses account for, and those that this target changes in silence."""
    told = {row.fact for row in allowed.told() if {*row.by} & {*codes}}
    silent = {name for row in allowed.rows("silent") if protocol in row.targets for name in row.names}
    beside = {"order"} if protocol == "ollama" else set()  # its images stand beside the text
    return told | silent | {*codes} | {f"+{code}" for code in codes} | beside


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(request=requests())
@quickly
def test_requests(protocol: str, request: ChatRequest) -> None:
    target = TargetModel(MODELS[protocol])
    sent = codec(protocol).encode_request(request, target)
    body = plain(sent.body)
    assert not sdk.request_errors(protocol, body)
    read = codec(protocol).decode_request(body, arrival(protocol, model=target.model))
    changed = {one.kind: one for one in facts.differences(facts.of_request(request), facts.of_request(read))}
    assert not {k: v for k, v in changed.items() if k not in _may_change(protocol, sent.losses.codes)}
    assert plain(codec(protocol).encode_request(read, target).body) == body


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(response=answers())
@quickly
def test_answers_and_streams(protocol: str, response: ChatResponse) -> None:
    mine = codec(protocol)
    document, losses = mine.encode_response(response, reply(protocol, "text"))
    assert not sdk.answer_errors(protocol, plain(document))
    stream = mine.stream_encoder(reply(protocol, "text", stream=True)).encode(replay(response))
    whole = assembled(decode_stream(protocol, stream)).response
    assert whole is not None
    want = facts.of_response(response)
    lost = {row for rows in allowed.rows("silent") if protocol in rows.clients for row in rows.names}
    for got in (
        mine.decode_response(plain(document)),
        whole,
        mine.decode_response(sdk.rebuilt(protocol, stream)),
    ):
        changed = {one.kind: one for one in facts.differences(want, facts.of_response(got))}
        assert not {k: v for k, v in changed.items() if k not in lost | {*losses.codes}}
