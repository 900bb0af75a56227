"""The routing table: groups, their targets and providers. Frozen values, made once per settings.

A request leases one table when it begins and keeps it to its end, whatever the settings do meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from routing.changes import NO_CHANGES, Changes
from routing.rules import Rule

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NOTHING_EMULATED: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one upstream request, in seconds. None: no limit."""

    connect: float | None = 10.0
    """Until the connection stands, DNS and TLS included."""
    first_byte: float | None = 600.0
    """From the request's start to the answer's head. Reasoning models take minutes to begin."""
    idle: float | None = 300.0
    """Between two pieces of the body."""
    total: float | None = None
    """For the whole request and answer."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens. None: unknown, or no price of its own."""

    input: float
    output: float
    cached: float | None = None
    """Input read from the provider's prompt cache; None: as `input`."""
    cache_write: float | None = None
    """Input written into it; None: as `input`."""
    long: Price | None = None
    """Of requests with more than `long_above` tokens of input, for all of their tokens."""
    long_above: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one key, or one target, is given to do. None: no limit."""

    requests: float | None = None
    """Per minute."""
    tokens: float | None = None
    """Per minute, input and output together."""
    concurrency: int | None = None
    """At once."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How a provider's certificate is checked, and which one is shown to it. Files are PEM."""

    verify: bool = True
    ca_file: str | None = None
    """Who may sign its certificate; None: whom the system trusts."""
    certificate: str | None = None
    """The client's own, with its chain."""
    key: str | None = None
    """The certificate's private key; None: it is in the same file."""


PLAIN_TLS = Tls()


@dataclass(frozen=True, slots=True)
class Provider:
    """Something with a chat API. `protocol` is a codec's name, `base_url` what its own SDK takes."""

    name: str
    protocol: str
    base_url: str
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """Tried in this order; empty: no credential is sent."""
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS, repr=False)
    """Sent with every request; they win over the hub's own."""
    timeouts: Timeouts = Timeouts()
    limits: Limits | None = None
    """Of each of its keys."""
    proxy: str | None = field(default=None, repr=False)
    """URL of the HTTP proxy that its requests go through, user and password included."""
    tls: Tls = PLAIN_TLS


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of a request. None: the group says nothing about it."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None
    extra_body: Mapping[str, Any] | None = None
    """Keys for the top of the upstream's body, whatever its protocol."""


NO_PARAMETERS = Parameters()


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider. `model` "" stands for the name that the client sent."""

    provider: Provider
    model: str
    weight: float = 1.0
    """Share of the requests that begin here, relative to the group's other targets. 0: only a spare."""
    priority: int = 0
    """Lower ones are asked first; within one priority the group's strategy decides."""
    price: Price | None = None
    """None: unknown."""
    limits: Limits | None = None
    """Of this target, whatever key it is asked with."""
    timeouts: Timeouts | None = None
    """In place of the provider's."""
    defaults: Parameters = NO_PARAMETERS
    """As the group's, which they win over."""
    override: Parameters = NO_PARAMETERS
    changes: Changes = NO_CHANGES
    """Besides the group's."""


LossPolicy = Literal["allow", "warn", "refuse"]

Strategy = Literal["weighted", "priority", "round_robin", "least_busy", "latency", "cheapest"]
"""How a group orders its targets of one priority.

weighted      drawn by weight
priority      in the order they are written
round_robin   in turn, as often as their weights say
least_busy    the fewest requests in flight, relative to weight
latency       the shortest time to the first token, as measured
cheapest      the lowest price
"""

FallbackReason = Literal["unavailable", "context_window"]
"""Why a group's fallback is asked: nobody answered; the conversation is too long for who was asked."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """Keeping a conversation at the target and the key that it began with."""

    ttl: float = 3600.0
    """Seconds after a conversation's last request for which its place is remembered."""
    header: str | None = None
    """A further header, lower-case, whose value names the conversation."""
    prefix: bool = True
    """Whether a conversation that no header and no field names is known by its beginning."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How hard a group tries, before it tells the client that nobody answers."""

    attempts: int = 10
    """Requests sent upstream for one of the client's, fallback groups included."""
    budget: float = 2.0
    """Seconds in all that a request waits while everybody is cooling down, before it is told so."""


@dataclass(frozen=True, slots=True)
class Group:
    """A name that clients ask for, and who answers."""

    name: str
    targets: tuple[Target, ...]
    models: tuple[tuple[str, Target], ...] = ()
    """The client's model name, as a case-sensitive glob, to the target that answers. First match wins."""
    defaults: Parameters = NO_PARAMETERS
    """Where the client said nothing."""
    override: Parameters = NO_PARAMETERS
    """Whatever the client said."""
    description: str = ""
    losses: LossPolicy = "allow"
    """What the target's protocol cannot express: told in `x-hub-losses`; `warn`: in the log as well;
    `refuse`: such a request is not sent."""
    tool_repair: bool = False
    """Whether calls that the model writes as text become calls."""
    strategy: Strategy = "weighted"
    fallback: str | None = None
    """The group that is asked when nobody of this one answers."""
    fallback_on: frozenset[FallbackReason] = frozenset({"unavailable"})
    affinity: Affinity | None = None
    retry: Retry | None = None
    """None: as `Retry()`, but for a group with one target and one key, which tells each error at once."""
    rules: tuple[Rule, ...] = ()
    """Who answers, by facts of the request. The first that holds counts, and stands before `models`."""
    changes: Changes = NO_CHANGES
    """What is changed in requests besides parameters."""
    emulate: Mapping[str, str] = field(default_factory=lambda: _NOTHING_EMULATED)
    """`web_search` -> the hub's tool that serves targets which have no such tool of their own."""

    def all_targets(self) -> Iterator[Target]:
        yield from self.targets
        yield from (target for _, target in self.models)
        yield from (target for rule in self.rules for target in rule.targets)


@dataclass(frozen=True, slots=True)
class Table:
    """All groups. `default_group` is used where neither path, body nor the active group names one."""

    groups: Mapping[str, Group] = field(default_factory=dict)
    default_group: str | None = None
    reserve: Mapping[str, Group] = field(default_factory=dict)
    """Groups that only answer for others, as a fallback or by a rule: nobody can ask for them by name."""

    def providers(self) -> Iterator[Provider]:
        """Every provider that a group can reach; each once by name."""
        seen: set[str] = set()
        for group in (*self.groups.values(), *self.reserve.values()):
            for target in group.all_targets():
                if target.provider.name not in seen:
                    seen.add(target.provider.name)
                    yield target.provider
