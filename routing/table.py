"""The routing table: groups, their targets and providers. Frozen values, made once per settings.

A request leases one table when it begins and keeps it to its end, whatever the settings do meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


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


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider. `model` "" stands for the name that the client sent."""

    provider: Provider
    model: str
    weight: float = 1.0
    """Share of the requests that begin here, relative to the group's other targets. 0: only a spare."""


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


LossPolicy = Literal["allow", "warn", "refuse"]


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


@dataclass(frozen=True, slots=True)
class Table:
    """All groups. `default_group` is used where neither path, body nor the active group names one."""

    groups: Mapping[str, Group] = field(default_factory=dict)
    default_group: str | None = None

    def providers(self) -> Iterator[Provider]:
        """Every provider that a group can reach; each once by name."""
        seen: set[str] = set()
        for group in self.groups.values():
            for target in (*group.targets, *(target for _, target in group.models)):
                if target.provider.name not in seen:
                    seen.add(target.provider.name)
                    yield target.provider
