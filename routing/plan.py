"""What is computed once per table, so that a request only has to look it up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from itertools import count
from typing import NamedTuple
from urllib.parse import urlsplit

from adapters.codec import Codec, TargetModel
from routing.health import Health, Subject
from routing.redact import Redactor, redactor_of
from routing.resolve import weighted_order
from routing.table import NO_PARAMETERS, Group, Provider, Table, Target, Timeouts
from routing.upstream import UpstreamRequest

_OWN_HEADERS = {
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": "ccproxy-hub",
}


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
    """For each key: its header and the provider's own ones, which win."""
    turns: count[int]
    """Where the next request begins among the keys."""
    label: bytes
    """For `x-hub-target`."""

    @property
    def timeouts(self) -> Timeouts:
        return self.target.provider.timeouts

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

    def subject(self, key: int) -> Subject:
        return (self.target.provider.name, self.target.model, self.keys[key])


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
    adjusts: bool
    """Whether it has parameters to put into requests."""
    label: bytes
    """For `x-hub-group`."""

    def attempts(self, model: str, random: Callable[[], float], health: Health) -> list[Attempt]:
        """Whom to ask, in this order: each target's keys, those that failed lately at the end."""
        ways = self._ways(model)
        if len(ways) == 1 and len(ways[0].keys) == 1:
            return [Attempt(ways[0], 0)]
        found: list[Attempt] = []
        for index in weighted_order([way.target for way in ways], random):
            way = ways[index]
            keys = len(way.keys)
            turn = next(way.turns) if keys > 1 else 0
            found += [Attempt(way, (turn + step) % keys) for step in range(keys)]
        if not health.all_well():
            found.sort(key=lambda each: health.remaining(each.way.subject(each.key)))
        return found

    def all_ways(self) -> tuple[Way, ...]:
        return (*self.ways, *(way for _, way in self.mapped))

    def mapping(self, model: str) -> int | None:
        """Which entry of the `models` map the client's model name matches first."""
        for index, (pattern, _) in enumerate(self.mapped):
            if pattern.match(model):
                return index
        return None

    def _ways(self, model: str) -> tuple[Way, ...]:
        index = self.mapping(model)
        return self.ways if index is None else (self.mapped[index][1],)


class Prepared(NamedTuple):
    """A table made ready."""

    table: Table
    groups: Mapping[str, GroupPlan]
    redactor: Redactor


def prepare(table: Table, codecs: Mapping[str, Codec]) -> Prepared:
    """Raises LookupError for a provider whose protocol has no codec."""
    return Prepared(
        table,
        {name: _group_plan(group, codecs) for name, group in table.groups.items()},
        redactor_of(table),
    )


def _group_plan(group: Group, codecs: Mapping[str, Codec]) -> GroupPlan:
    return GroupPlan(
        group,
        tuple(_way(target, codecs) for target in group.targets),
        tuple((re.compile(translate(pattern)), _way(target, codecs)) for pattern, target in group.models),
        group.defaults != NO_PARAMETERS or group.override != NO_PARAMETERS,
        header_value(group.name),
    )


def _way(target: Target, codecs: Mapping[str, Codec]) -> Way:
    provider = target.provider
    if provider.protocol not in codecs:
        known = ", ".join(codecs)
        raise LookupError(f"provider `{provider.name}`: no protocol `{provider.protocol}`; known: {known}")
    codec = codecs[provider.protocol]
    base, _, _ = provider.base_url.partition("?")
    keys = provider.api_keys or ("",)
    return Way(
        target,
        codec,
        base.rstrip("/"),
        urlsplit(provider.base_url).query,
        keys,
        tuple(_credentials(provider, codec, key) for key in keys),
        count(),
        header_value(f"{provider.name}/{target.model or '*'}"),
    )


def _credentials(provider: Provider, codec: Codec, key: str) -> Mapping[str, str]:
    headers = codec.authorization(key) if key else {}
    return {name.lower(): value for name, value in (*headers.items(), *provider.headers.items())}


def header_value(text: str) -> bytes:
    """`text` as a header's value: other than visible ASCII becomes `?`."""
    return bytes(byte if 32 <= byte < 127 else 63 for byte in text.encode("ascii", "replace"))
