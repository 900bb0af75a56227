"""What is computed once per table, so that a request only has to look it up."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import NamedTuple
from urllib.parse import urlsplit

from adapters.codec import Codec, TargetModel
from routing.adjust import Adjustment, adjustment_of
from routing.balance import Choice, Wheel, order
from routing.facts import Facts
from routing.health import Condition, Health, Subject, key_subject, target_subject
from routing.limits import Limiter
from routing.redact import Redactor, redactor_of
from routing.rules import Names, Rule, choose
from routing.table import Affinity, Group, Retry, Table, Target, Timeouts
from routing.upstream import UpstreamRequest

_OWN_HEADERS = {
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": "ccproxy-hub",
}


UNITS = {"requests": "requests a minute", "tokens": "tokens a minute", "concurrency": "requests at once"}


class Waiting(NamedTuple):
    """Why a target is not asked. `limited`: it has had enough, rather than failed."""

    limited: bool
    text: str


class Way(NamedTuple):
    """A target made ready: how it is spoken to."""

    target: Target
    codec: Codec
    base_url: str
    query: str
    """Of the base URL (`?api-version=…`), put behind every path."""
    keys: tuple[str, ...]
    """`("",)` where no credential is sent."""
    credentials: tuple[Mapping[str, str], ...]
    """For each key: its header, and those of the settings, which win."""
    label: bytes
    """For `x-hub-target`."""
    timeouts: Timeouts
    condition: Condition
    """The target's, whatever its key."""
    key_conditions: tuple[Condition, ...]
    limiters: tuple[tuple[Limiter, ...], ...]
    """For each key: what limits requests with it, the key's own limiter and the target's."""
    adjustment: Adjustment | None = None
    """What its group and it change in chats; None: nothing."""

    def url(self, path: str, query: str = "") -> str:
        own = self.query
        if own and query:
            query = f"{query}&{own}"
        joint = "&" if "?" in path else "?"
        return f"{self.base_url}{path}{joint}{query or own}" if query or own else self.base_url + path

    def headers(self, key: int, protocol_headers: Mapping[str, str]) -> dict[str, str]:
        return {**_OWN_HEADERS, **protocol_headers, **self.credentials[key]}

    def request(self, url: str, headers: Mapping[str, str], body: bytes) -> UpstreamRequest:
        provider = self.target.provider
        return UpstreamRequest(
            url,
            headers,
            body,
            self.timeouts,
            proxy=provider.proxy,
            tls=provider.tls,
            target=self.label,
            protocol=self.codec.name,
        )

    def model(self, client_model: str) -> str:
        return self.target.model or client_model

    def target_model(self, client_model: str) -> TargetModel:
        provider = self.target.provider
        return TargetModel(self.model(client_model), provider.name, provider.base_url)

    def in_turn(self) -> list[int]:
        """The keys, each time another one first."""
        keys = len(self.keys)
        if keys == 1:
            return [0]
        turn = self.condition.turn
        self.condition.turn = turn + 1
        return [(turn + step) % keys for step in range(keys)]

    def wait(self, key: int, now: float) -> float:
        """Seconds until this target can be asked with that key; 0: now."""
        wait = self.condition.breaker.wait(now)
        wait = max(wait, self.key_conditions[key].breaker.wait(now))
        for limiter in self.limiters[key]:
            if exceeded := limiter.exceeded(now):
                wait = max(wait, exceeded.retry_after)
        return wait

    def why_waiting(self, key: int, now: float) -> Waiting:
        for breaker in (self.condition.breaker, self.key_conditions[key].breaker):
            if wait := breaker.wait(now):
                busy = breaker.cause == "rate_limit"
                cause = breaker.cause.replace("_", " ")
                return Waiting(busy, f"failed lately ({cause}) and rests for {math.ceil(wait)} s")
        for limiter in self.limiters[key]:
            if exceeded := limiter.exceeded(now):
                return Waiting(True, f"is at its limit of {exceeded.limit:g} {UNITS[exceeded.what]}")
        return Waiting(True, "failed")

    def subject(self, key: int) -> Subject:
        return key_subject(self.target, self.keys[key])


_RETRY = Retry()


class Attempt(NamedTuple):
    way: Way
    key: int


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A group made ready."""

    group: Group
    ways: tuple[Way, ...]
    mapped: tuple[tuple[re.Pattern[str], Way], ...]
    """The `models` map, compiled."""
    label: bytes
    """For `x-hub-group`."""
    fallback: GroupPlan | None = None
    rules: tuple[RulePlan, ...] = ()
    reads_marker: bool = False
    """Whether a rule asks for the marker in prompts."""
    wheel: Wheel = field(default_factory=Wheel)

    @property
    def affinity(self) -> Affinity | None:
        return self.group.affinity

    @property
    def retry(self) -> Retry:
        return self.group.retry or _RETRY

    def lone(self, ways: tuple[Way, ...]) -> bool:
        """Whether there is nothing to decide: whoever it is is asked, and what it says is told."""
        if len(ways) != 1 or self.fallback is not None or self.group.retry is not None:
            return False
        return len(ways[0].keys) == 1 and not ways[0].limiters[0]

    def attempts(
        self, ways: tuple[Way, ...], random: Callable[[], float], now: float = 0.0, *, stream: bool = False
    ) -> list[Attempt]:
        """Whom to ask, in this order: by priority and strategy, each target's keys in turn.

        Who is cooling down keeps its place: whoever asks passes it over.
        """
        if len(ways) == 1:
            return [Attempt(ways[0], key) for key in ways[0].in_turn()]
        choice = Choice(
            [way.target for way in ways], [way.condition for way in ways], random, now, stream, self.wheel
        )
        return [
            Attempt(ways[index], key)
            for index in order(self.group.strategy, choice)
            for key in ways[index].in_turn()
        ]

    def all_ways(self) -> tuple[Way, ...]:
        ruled = (way for rule in self.rules for way in rule.all_ways())
        return (*self.ways, *(way for _, way in self.mapped), *ruled)

    def mapping(self, model: str) -> int | None:
        """Which entry of the `models` map the client's model name matches first."""
        for index, (pattern, _) in enumerate(self.mapped):
            if pattern.match(model):
                return index
        return None

    def pool(self, model: str) -> tuple[Way, ...]:
        """The targets of which one answers, for the client's model name."""
        index = self.mapping(model)
        return self.ways if index is None else (self.mapped[index][1],)

    def rule(self, facts: Facts) -> int | None:
        """The index of the rule that holds."""
        return choose([each.rule for each in self.rules], facts) if self.rules else None

    def stage(self, model: str) -> Stage:
        """Whom to ask where no rule holds."""
        return Stage(self, self.pool(model))


@dataclass(frozen=True, slots=True)
class RulePlan:
    """A rule made ready: its own targets, or the group that it uses."""

    rule: Rule
    ways: tuple[Way, ...]
    plans: Mapping[str, GroupPlan] = field(repr=False)
    """Of all groups: two may name each other, one by a rule and one as its fallback."""

    @property
    def use(self) -> GroupPlan | None:
        return self.plans[self.rule.use] if self.rule.use else None

    def all_ways(self) -> tuple[Way, ...]:
        return self.ways if self.use is None else self.use.all_ways()


class Stage(NamedTuple):
    """Whom to ask together, by the strategy and with the changes of `plan`."""

    plan: GroupPlan
    ways: tuple[Way, ...]
    only: bool = False
    """Whether nobody else is to be asked after these."""


def stages(plan: GroupPlan, model: str, facts: Facts) -> tuple[list[Stage], int | None]:
    """Whom to ask in turn, without fallbacks, and which rule of the plan holds.

    Those whom the rule names come first, then whom the group has without rules.
    """
    index = plan.rule(facts)
    ordinary = plan.stage(model)
    if index is None:
        return [ordinary], None
    chosen = plan.rules[index]
    other = chosen.use
    first = [Stage(plan, chosen.ways)] if other is None else stages(other, model, facts)[0]
    if chosen.rule.only:
        return [*first[:-1], first[-1]._replace(only=True)], index
    return ([*first, ordinary] if not first[-1].only else first), index


class Prepared(NamedTuple):
    """A table made ready."""

    table: Table
    groups: Mapping[str, GroupPlan]
    redactor: Redactor


def prepare(table: Table, codecs: Mapping[str, Codec], health: Health | None = None) -> Prepared:
    """Raises LookupError for a provider whose protocol has no codec, and for fallbacks in a circle."""
    making = _Making(table, codecs, health or Health(lambda: 0.0))
    groups = {name: making.plan(group, ()) for name, group in table.groups.items()}
    making.follow_rules()
    return Prepared(table, groups, redactor_of(table))


class _Making:
    """The plans of one table, each made once."""

    def __init__(self, table: Table, codecs: Mapping[str, Codec], health: Health) -> None:
        self._table, self._codecs, self._health = table, codecs, health
        self._plans: dict[str, GroupPlan] = {}

    def plan(self, group: Group, asked_for_by: tuple[str, ...]) -> GroupPlan:
        if group.name in asked_for_by:
            circle = " -> ".join((*asked_for_by[asked_for_by.index(group.name) :], group.name))
            raise LookupError(f"the fallbacks of groups go in a circle: {circle}")
        if (found := self._plans.get(group.name)) is not None:
            return found
        fallback = None
        if group.fallback is not None:
            other = self._named(group, group.fallback, "fall back to")
            fallback = self.plan(other, (*asked_for_by, group.name))
        plan = self._plans[group.name] = GroupPlan(
            group,
            tuple(self._way(group, target) for target in group.targets),
            tuple(
                (re.compile(translate(pattern)), self._way(group, target)) for pattern, target in group.models
            ),
            header_value(group.name),
            fallback,
            self._rules(group),
            any(
                isinstance(one, Names) and one.fact == "marker"
                for rule in group.rules
                for one in rule.conditions
            ),
        )
        return plan

    def _rules(self, group: Group) -> tuple[RulePlan, ...]:
        return tuple(
            RulePlan(rule, tuple(self._way(group, target) for target in rule.targets), self._plans)
            for rule in group.rules
        )

    def follow_rules(self) -> None:
        """Make the plans of the groups that rules use. Raises LookupError for rules in a circle."""
        done: set[str] = set()
        while todo := [plan.group for name, plan in self._plans.items() if name not in done]:
            for group in todo:
                done.add(group.name)
                for rule in group.rules:
                    if rule.use:
                        self.plan(self._named(group, rule.use, "use by a rule"), ())
        for name in self._plans:
            self._refuse_circle(name, ())

    def _refuse_circle(self, name: str, asked_for_by: tuple[str, ...]) -> None:
        if name in asked_for_by:
            circle = " -> ".join((*asked_for_by[asked_for_by.index(name) :], name))
            raise LookupError(f"the rules of groups go in a circle: {circle}")
        for rule in self._plans[name].group.rules:
            if rule.use:
                self._refuse_circle(rule.use, (*asked_for_by, name))

    def _named(self, group: Group, name: str, purpose: str) -> Group:
        other = self._table.groups.get(name) or self._table.reserve.get(name)
        if other is None:
            raise LookupError(f"group `{group.name}`: there is no group `{name}` to {purpose}")
        return other

    def _way(self, group: Group, target: Target) -> Way:
        provider = target.provider
        if provider.protocol not in self._codecs:
            known = ", ".join(self._codecs)
            raise LookupError(
                f"provider `{provider.name}`: no protocol `{provider.protocol}`; known: {known}"
            )
        codec = self._codecs[provider.protocol]
        base, _, _ = provider.base_url.partition("?")
        keys = provider.api_keys or ("",)
        of = self._health.of
        return Way(
            target,
            codec,
            base.rstrip("/"),
            urlsplit(provider.base_url).query,
            keys,
            tuple(_credentials(group, target, codec, key) for key in keys),
            header_value(f"{provider.name}/{target.model or '*'}"),
            target.timeouts or provider.timeouts,
            of(target_subject(target)),
            tuple(of(key_subject(target, key)) for key in keys),
            tuple(self._limiters(group, target, key) for key in keys),
            adjustment_of(group, target),
        )

    def _limiters(self, group: Group, target: Target, key: str) -> tuple[Limiter, ...]:
        """A key's limits hold for all that is asked with it, a target's within its group."""
        provider = target.provider
        found: list[Limiter] = []
        if provider.limits is not None:
            found.append(self._health.limiter((provider.name, key), provider.limits))
        if target.limits is not None:
            name = (group.name, provider.name, target.model)
            found.append(self._health.limiter(name, target.limits))
        return tuple(found)


def _credentials(group: Group, target: Target, codec: Codec, key: str) -> Mapping[str, str]:
    """The key's header, and those of the settings: the more particular one wins."""
    layers = (target.provider.headers, group.changes.headers, target.changes.headers)
    found = dict(codec.authorization(key) if key else {})
    for layer in layers:
        found |= {name.lower(): value for name, value in layer.items()}
    return {name.lower(): value for name, value in found.items()}


def header_value(text: str) -> bytes:
    """`text` as a header's value: other than visible ASCII becomes `?`."""
    return bytes(byte if 32 <= byte < 127 else 63 for byte in text.encode("ascii", "replace"))
