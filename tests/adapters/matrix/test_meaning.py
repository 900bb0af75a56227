"""What is meant arrives, on both ways; whatever does not is reported, or listed as silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.matrix import allowed, facts
from tests.adapters.matrix.cases import PAIRS, PROTOCOLS, Case, as_stream, case, cases_with, features
from tests.adapters.matrix.convert import ask, assembled, decode_stream, outcome, plain
from tests.adapters.matrix.meaning import Change, all_changes, changes

Found = tuple[str, str, str, str]


def _losses(client: str, target: str) -> set[Found]:
    found = (outcome(client, target, feature) for feature in features())
    return {(loss.code, client, target, one.feature) for one in found for loss in one.losses}


def _explained(change: Change) -> bool:
    if change.fact in change.codes:
        return True
    return any(row.fact == change.fact and change.codes & {*row.by} for row in allowed.told())


def _silent(found: list[Change] | tuple[Change, ...]) -> dict[Found, str]:
    rest = [change for change in found if not _explained(change)]
    return {(one.fact, one.client, one.target, one.feature): f"{one.what}: {one.detail}" for one in rest}


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_only_what_is_listed_gets_lost(client: str, target: str) -> None:
    rows = allowed.rows("loss")
    assert not [one for one in _losses(client, target) if not any(row.allows(*one) for row in rows)]


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_only_what_is_reported_or_listed_changes_its_meaning(client: str, target: str) -> None:
    rows, found = allowed.rows("silent"), _silent(changes(client, target))
    assert not {one: how for one, how in found.items() if not any(row.allows(*one) for row in rows)}


def test_no_row_of_the_table_is_stale() -> None:
    lost = [one for pair in PAIRS for one in _losses(*pair)]
    assert not allowed.stale(lost, "loss")
    assert not allowed.stale(_silent(all_changes()), "silent")
    explained = [(change.fact, change.codes) for change in all_changes()]
    for row in allowed.told():
        for code in row.by:
            assert any(row.fact == fact and code in codes for fact, codes in explained), (row.fact, code)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_comes_back_to_its_own_protocol_letter_by_letter(protocol: str) -> None:
    excepted = allowed.identity()
    for feature in features():
        if case(protocol, feature).request is None:
            continue
        found = outcome(protocol, protocol, feature)
        assert found.sent is not None
        assert not found.sent.losses.codes or (protocol, feature) in excepted, feature
        body, want = plain(found.sent.body), dict(case(protocol, feature).request or {})
        body.pop("model", None), want.pop("model", None)
        assert (body != want) == ((protocol, feature) in excepted), feature


@pytest.mark.parametrize("one", cases_with("answer"), ids=lambda one: f"{one.protocol}-{one.feature}")
def test_an_answer_comes_back_to_its_own_protocol_with_all_its_members(one: Case) -> None:
    """More may be said than the upstream did: members that the official types require."""
    answer = outcome(one.protocol, one.protocol, one.feature).answer
    assert not list(_missing(one.answer, answer, "")) or (one.protocol, one.feature) in allowed.identity()


def _missing(want: Any, got: Any, where: str) -> Iterator[str]:
    match want, got:
        case dict(), dict():
            for key, value in want.items():
                if value is not None and key not in ("tools", "id", "text"):
                    yield from _missing(value, got.get(key), f"{where}.{key}")
        case list(), list() if len(want) == len(got):
            for index, (one, other) in enumerate(zip(want, got, strict=True)):
                yield from _missing(one, other, f"{where}[{index}]")
        case _ if want != got:
            yield f"{where}: {want!r} became {got!r}"


@pytest.mark.parametrize("one", cases_with("stream"), ids=lambda one: f"{one.protocol}-{one.feature}")
def test_a_stream_says_what_the_answer_says(one: Case) -> None:
    found = outcome(one.protocol, one.protocol, one.feature)
    whole = assembled(found.events).response
    if found.said is None:
        assert whole is None  # a failure
    else:
        assert whole is not None
        assert facts.of_response(whole) == facts.of_response(found.said)


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_a_stream_loses_what_the_answer_loses(client: str, target: str) -> None:
    for feature in features():
        found = outcome(client, target, feature)
        if found.answer is None or not found.stream:
            continue
        answer, stream = ({loss.code for loss in some} for some in (found.answer_losses, found.stream_losses))
        assert stream == answer, feature


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_a_request_for_a_stream_differs_in_that_only(client: str, target: str) -> None:
    for feature in features():
        found = outcome(client, target, feature)
        if found.sent is None:
            continue
        _, streamed = ask(client, target, feature, stream=True)
        want = as_stream(target, plain(found.sent.body))
        assert plain(streamed.body) == want, feature
        assert streamed.losses.codes == found.sent.losses.codes


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_a_failure_in_a_stream_is_told_as_one(client: str, target: str) -> None:
    for feature in ("error_in_stream", "cut_stream"):
        found = outcome(client, target, feature)
        told, wanted = assembled(decode_stream(client, found.stream)).error, assembled(found.events).error
        assert told is not None
        assert wanted is not None
        assert told.message == wanted.message
        assert told.status // 100 == wanted.status // 100


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_an_error_before_the_stream_keeps_its_message_and_class(client: str, target: str) -> None:
    found = outcome(client, target, "error_before_stream")
    given = case(target, "error_before_stream").error
    assert found.error is not None
    assert found.error_answer is not None
    assert given is not None
    status, body = found.error_answer
    exact = given["status"] in (400, 401, 403, 404, 429)
    assert status == given["status"] if exact else status // 100 == given["status"] // 100
    assert found.error.message in str(body)
    assert found.error.retry_after == (7 if given["status"] == 429 else None)
