"""What a request would become: whom it would go to and why, as what, and what would be lost. Sends nothing.

It goes the same way as a request does: `choose_group`, `Inquiry.stages`, `GroupPlan.attempts`,
`Inquiry.asked`. What only a running hub knows (who is busy, quick or resting) it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from adapters import registry
from adapters.codec import Codec
from adapters.errors import Unsupported
from adapters.losses import Loss
from adapters.peek import peek
from routing.call import Call
from routing.explain_changes import changes_told, headers_told
from routing.inquiry import Inquiry
from routing.plan import Attempt, GroupPlan, prepare
from routing.redact import MASK, Redactor
from routing.resolve import RoutingError, choose_group
from routing.rules import judge
from routing.table import Strategy, Table
from routing.upstream import UpstreamRequest


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A target that would be asked before, if it could be told the request."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleTold:
    """`rule` is its name or its number from 1."""

    rule: str
    holds: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`request` has its secrets masked. `target` is `provider/model`."""

    group: str
    group_reason: str
    target: str
    target_reason: str
    client_protocol: str
    target_protocol: str
    passes_through: bool
    """The client's own bytes, but for the model's name."""
    request: UpstreamRequest
    losses: tuple[Loss, ...]
    passed_over: tuple[PassedOver, ...] = ()
    rules: tuple[RuleTold, ...] = ()
    """The group's, up to the one that holds."""
    changes: tuple[str, ...] = ()
    """What the group and its target change in the request."""
    then: tuple[str, ...] = ()
    """Who is asked in turn where nobody answered so far."""


def explain(
    table: Table,
    call: Call,
    *,
    active_group: str | None = None,
    codecs: Mapping[str, Codec] | None = None,
) -> Explanation:
    """Of targets with weights, the one that most requests go to.

    Raises RoutingError where nobody can answer, InvalidRequest where the body cannot be read.
    """
    known = {each.name: each for each in registry.codecs()} if codecs is None else codecs
    prepared = prepare(table, known)
    peeked = peek(call.body)
    model = call.arrival.model or peeked.model or ""
    group, group_reason = choose_group(table, call.prefix, model, active_group)
    plan = prepared.groups[group.name]
    inquiry = Inquiry(plan, call, peeked, model)
    passed: list[PassedOver] = []
    todo = list(_each(inquiry, plan))
    while todo:
        one = todo.pop(0)
        inquiry.plan, way = one.plan, one.attempt.way
        target = way.label.decode()
        if not inquiry.reaches(way):
            reason = f"{way.codec.title} has no {call.route.operation.replace('_', ' ')}"
            passed.append(PassedOver(target, reason))
            continue
        try:
            request, losses = inquiry.asked(*one.attempt)
        except Unsupported as unsupported:
            passed.append(PassedOver(target, str(unsupported)))
            continue
        return Explanation(
            group=group.name,
            group_reason=group_reason,
            target=target,
            target_reason=_why(one, model, passed),
            client_protocol=call.codec.name,
            target_protocol=way.codec.name,
            passes_through=inquiry.passes_through(way),
            request=_masked(request, one.attempt, prepared.redactor),
            losses=tuple(losses),
            passed_over=tuple(passed),
            rules=tuple(_rules(plan, inquiry)),
            changes=tuple(prepared.redactor.text(each) for each in _changes(inquiry, one)),
            then=tuple(each.told() for each in todo if inquiry.reaches(each.attempt.way)),
        )
    if any(inquiry.reaches(way) for way in plan.all_ways()):
        told = "; ".join(f"{each.target}: {each.reason}" for each in passed)
        raise RoutingError("unsupported", told)
    raise RoutingError("unsupported", inquiry.nobody().message)


class _One(NamedTuple):
    """A target in the order of asking, and how it comes to be asked."""

    plan: GroupPlan
    attempt: Attempt
    of: int
    """How many targets the strategy orders."""
    because: str
    """The rule or the fallback by which it is asked; "": the group's own."""

    def told(self) -> str:
        return f"{self.attempt.way.label.decode()}{f' ({self.because})' if self.because else ''}"


def _each(inquiry: Inquiry, plan: GroupPlan) -> Iterator[_One]:
    """All that are asked, first to be asked first: by rules, of the group, of its fallbacks."""
    base: GroupPlan | None = plan
    seen: set[int] = set()
    while base is not None:
        inquiry.plan, inquiry.rule = base, ""
        only = False
        for stage in inquiry.stages():
            only = stage.only
            ordinary = stage == base.stage(inquiry.model)
            because = "" if base is plan else f"the fallback group `{base.group.name}`"
            if not ordinary:
                uses = f" uses the group `{stage.plan.group.name}`" if stage.plan is not base else ""
                because = f"rule {inquiry.rule} of `{base.group.name}`{uses or ' names it'}"
            for attempt in _firsts(stage.plan.attempts(stage.ways, lambda: 0.5)):
                if id(attempt.way) not in seen:
                    seen.add(id(attempt.way))
                    yield _One(stage.plan, attempt, len(stage.ways), because)
        base = None if only else base.fallback
    inquiry.plan = plan


def _firsts(attempts: list[Attempt]) -> list[Attempt]:
    """One for each target: further keys of it are asked the same."""
    seen: dict[int, Attempt] = {}
    for attempt in attempts:
        seen.setdefault(id(attempt.way), attempt)
    return list(seen.values())


def _why(one: _One, model: str, passed: list[PassedOver]) -> str:
    if one.because:
        return one.because if one.of == 1 else f"{one.because}: {_by_strategy(one)}"
    index = one.plan.mapping(model)
    if index is not None:
        glob = one.plan.group.models[index][0]
        return f"the request's model `{model}` matches `{glob}` in the group's `models`"
    if one.of == 1:
        return "it is the group's only target"
    if passed:
        return "the targets before it cannot be told the request"
    return _by_strategy(one)


def _by_strategy(one: _One) -> str:
    strategy, target = one.plan.group.strategy, one.attempt.way.target
    if strategy == "weighted":
        peers = [way.target for way in one.plan.ways if way.target.priority == target.priority]
        share = f"{target.weight:g} of {sum(each.weight for each in peers):g}"
        return f"of the group's {one.of} targets it gets the most requests first, {share} by weight"
    return f"of {one.of} targets, {_STRATEGIES[strategy]}"


_STRATEGIES: Mapping[Strategy, str] = {
    "priority": "it is the first in the order they are written (strategy priority)",
    "round_robin": "all take turns, and it is the first one's (strategy round_robin)",
    "least_busy": "the one with the fewest requests in flight is asked; in a hub at rest this one "
    "(strategy least_busy)",
    "latency": "the quickest as measured is asked; before anything is measured this one (strategy latency)",
    "cheapest": "it is the cheapest one (strategy cheapest)",
}


def _rules(plan: GroupPlan, inquiry: Inquiry) -> Iterator[RuleTold]:
    rules = [each.rule for each in plan.rules]
    for index, verdict in enumerate(judge(rules, inquiry.facts)):
        reason = "; ".join(verdict.reasons) or "it has no conditions"
        yield RuleTold(rules[index].title(index), verdict.holds, reason)


def _changes(inquiry: Inquiry, one: _One) -> Iterator[str]:
    way = one.attempt.way
    if inquiry.is_chat:
        if inquiry.has_marker:
            yield f"the marker `{inquiry.facts.marker}` is taken out of the prompt"
        if way.adjustment is not None:
            yield from changes_told(inquiry.request(), way.adjustment)
    yield from headers_told(one.plan.group, way.target)


def _masked(request: UpstreamRequest, attempt: Attempt, redactor: Redactor) -> UpstreamRequest:
    way, key = attempt
    secret = way.credentials[key]
    headers = {name: _mask(value) if name in secret else value for name, value in request.headers.items()}
    return replace(request, url=redactor.text(request.url), headers=headers, body=redactor.data(request.body))


def _mask(value: str) -> str:
    """What stands before a key (`Bearer`) is no secret."""
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.isalpha() else MASK
