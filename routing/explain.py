"""What a request would become: whom it would go to and why, as what, and what would be lost. Sends nothing.

It goes the same way as a request does: `choose_group`, `GroupPlan.attempts`, `Inquiry.asked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapters import registry
from adapters.codec import Codec
from adapters.errors import Unsupported
from adapters.losses import Loss
from adapters.peek import peek
from routing.call import Call
from routing.health import Health
from routing.inquiry import Inquiry
from routing.plan import Attempt, GroupPlan, prepare
from routing.redact import MASK, Redactor
from routing.resolve import RoutingError, choose_group
from routing.table import Table
from routing.upstream import UpstreamRequest


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A target that would be asked before, if it could be told the request."""

    target: str
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
    for attempt in _firsts(plan.attempts(model, lambda: 0.5, Health(lambda: 0.0))):
        target = attempt.way.label.decode()
        if not inquiry.reaches(attempt.way):
            reason = f"{attempt.way.codec.title} has no {call.route.operation.replace('_', ' ')}"
            passed.append(PassedOver(target, reason))
            continue
        try:
            request, losses = inquiry.asked(*attempt)
        except Unsupported as unsupported:
            passed.append(PassedOver(target, str(unsupported)))
            continue
        return Explanation(
            group=group.name,
            group_reason=group_reason,
            target=target,
            target_reason=_why(plan, attempt, model, passed),
            client_protocol=call.codec.name,
            target_protocol=attempt.way.codec.name,
            passes_through=inquiry.passes_through(attempt.way),
            request=_masked(request, attempt, prepared.redactor),
            losses=tuple(losses),
            passed_over=tuple(passed),
        )
    if any(inquiry.reaches(way) for way in plan.all_ways()):
        told = "; ".join(f"{each.target}: {each.reason}" for each in passed)
        raise RoutingError("unsupported", told)
    raise RoutingError("unsupported", inquiry.nobody().message)


def _firsts(attempts: list[Attempt]) -> list[Attempt]:
    """One for each target: further keys of it are asked the same."""
    seen: dict[int, Attempt] = {}
    for attempt in attempts:
        seen.setdefault(id(attempt.way), attempt)
    return list(seen.values())


def _why(plan: GroupPlan, attempt: Attempt, model: str, passed: list[PassedOver]) -> str:
    index = plan.mapping(model)
    if index is not None:
        return (
            f"the request's model `{model}` matches `{plan.group.models[index][0]}` in the group's `models`"
        )
    if len(plan.ways) == 1:
        return "it is the group's only target"
    if passed:
        return "the targets before it cannot be told the request"
    total = sum(way.target.weight for way in plan.ways)
    share = f"{attempt.way.target.weight:g} of {total:g}"
    return f"of the group's {len(plan.ways)} targets it gets the most requests first, {share} by weight"


def _masked(request: UpstreamRequest, attempt: Attempt, redactor: Redactor) -> UpstreamRequest:
    way, key = attempt
    secret = way.credentials[key]
    headers = {name: _mask(value) if name in secret else value for name, value in request.headers.items()}
    return replace(request, url=redactor.text(request.url), headers=headers, body=redactor.data(request.body))


def _mask(value: str) -> str:
    """What stands before a key (`Bearer`) is no secret."""
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.isalpha() else MASK
