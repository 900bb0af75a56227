"""Every difference in meaning between what one side said and what the other side reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from adapters.codec import Codec
from adapters.registry import codec
from tests.adapters.matrix import facts
from tests.adapters.matrix.cases import PAIRS, arrival, case, features
from tests.adapters.matrix.convert import Outcome, assembled, decode_stream, outcome, plain


@dataclass(frozen=True, slots=True)
class Change:
    """`what` is request, answer or stream; `codes` are the losses that were reported with it."""

    what: str
    client: str
    target: str
    feature: str
    fact: str
    detail: str
    codes: frozenset[str]


@cache
def changes(client: str, target: str) -> tuple[Change, ...]:
    return tuple(change for feature in features() for change in _of(outcome(client, target, feature)))


def _of(found: Outcome) -> list[Change]:
    mine, theirs = codec(found.client), codec(found.target)
    out: list[Change] = []
    if found.sent is not None and found.asked is not None:
        at = arrival(found.target, model=case(found.target, found.feature).target.model)
        arrived = theirs.decode_request(plain(found.sent.body), at)
        out += _changes("request", found, facts.of_request(found.asked), facts.of_request(arrived))
    own = found.client == found.target
    if found.answer is not None and found.said is not None:
        want = facts.of_response(found.said, signatures=own)
        out += _changes("answer", found, want, _read(mine, found, own))
    if found.events and (whole := assembled(found.events).response) is not None:
        got = assembled(decode_stream(found.client, found.stream)).response
        assert got is not None, f"{found.client} {found.target} {found.feature}: the stream is broken"
        want = facts.of_response(whole, signatures=own)
        out += _changes("stream", found, want, facts.of_response(got, signatures=own))
    return out


def _read(mine: Codec, found: Outcome, own: bool) -> list[facts.Fact]:
    assert found.answer is not None
    return facts.of_response(mine.decode_response(found.answer), signatures=own)


def _changes(what: str, found: Outcome, want: list[facts.Fact], got: list[facts.Fact]) -> list[Change]:
    by_what = {"answer": found.answer_losses, "stream": found.stream_losses}
    losses = found.sent.losses if what == "request" and found.sent else by_what[what]
    codes = frozenset(loss.code for loss in losses)
    return [
        Change(what, found.client, found.target, found.feature, one.kind, one.detail, codes)
        for one in facts.differences(want, got)
    ]


def all_changes() -> list[Change]:
    return [change for pair in PAIRS for change in changes(*pair)]
