"""What the hub serves at one moment: the settings, and the routing table made from them.

A snapshot never changes. A request keeps the one it began with, a reload makes the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from hub.adjustments import changes_of, rules_of
from hub.settings import LoadedSettings, Problem, Settings, SettingsError
from hub.settings.balance import AffinitySettings, LimitSettings, SomeTimeoutSettings
from hub.settings.groups import EmulateSettings, GroupSettings, TargetSettings
from hub.settings.groups import Parameters as ParameterSettings
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.settings.providers import ProviderSettings, TlsSettings
from hub.usage.prices import Prices
from routing.table import (
    NO_PARAMETERS,
    PLAIN_TLS,
    Affinity,
    Group,
    Limits,
    Parameters,
    Provider,
    Retry,
    Table,
    Target,
    Timeouts,
    Tls,
)
from routing.tls import UnusableTls, tls_context

_FILES = ("ca_file", "certificate", "key")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`revision` counts the snapshots of one process from 1; `loaded` is where the settings came from."""

    settings: Settings
    table: Table
    loaded: LoadedSettings = field(repr=False)
    revision: int = 1
    limited: dict[frozenset[str], Table] = field(default_factory=dict, repr=False, compare=False)
    """The table as each key sees it that is limited to some groups; made when it is first asked for."""

    def table_for(self, groups: frozenset[str] | None) -> Table:
        """The table of a caller that may use `groups` alone; None: all. The same object each time."""
        if groups is None:
            return self.table
        table = self.limited.get(groups)
        if table is None:
            table = self.limited[groups] = limit_table(self.table, groups)
        return table


def build_snapshot(
    loaded: LoadedSettings, *, embedded: Mapping[str, str] = MappingProxyType({}), revision: int = 1
) -> Snapshot:
    """The snapshot of loaded settings. Raises `SettingsError` as `build_table` does."""
    table = build_table(loaded.settings, loaded.environ, embedded=embedded)
    return Snapshot(loaded.settings, table, loaded, revision)


def limit_table(table: Table, names: frozenset[str]) -> Table:
    """`table` without any group but those of `names`, and without a default group that is not one of them."""
    groups = {name: group for name, group in table.groups.items() if name in names}
    default = table.default_group if table.default_group in groups else None
    return Table(MappingProxyType(groups), default, MappingProxyType(_reserve(table, groups)))


def _reserve(table: Table, groups: Mapping[str, Group]) -> dict[str, Group]:
    """Those whom `groups` fall back to or use by a rule, and so on, without them."""
    found: dict[str, Group] = {}
    todo = list(groups.values())
    while todo:
        group = todo.pop()
        for name in (group.fallback, *(rule.use for rule in group.rules)):
            if name and name not in groups and name not in found and name in table.groups:
                found[name] = table.groups[name]
                todo.append(found[name])
    return found


def build_table(
    settings: Settings, environ: Mapping[str, str], *, embedded: Mapping[str, str] = MappingProxyType({})
) -> Table:
    """The routing table of `settings`.

    `environ` holds the keys of built-in providers. `embedded` has the base URL of each embedded
    provider's server that runs. Without `default_group` the first group of the file is the default.
    Raises `SettingsError` naming a provider that is unknown, incomplete, or embedded and not running.
    """
    wanted = dict.fromkeys(
        target.provider for group in settings.groups.values() for target in group.reachable_targets()
    )
    providers = {name: _provider(name, settings, environ, embedded) for name in wanted}
    prices = Prices(settings)
    groups = {
        name: _group(name, group, providers, prices, settings.emulate)
        for name, group in settings.groups.items()
    }
    return Table(MappingProxyType(groups), settings.default_group or next(iter(groups), None))


def embedded_providers(settings: Settings) -> Mapping[str, ProviderSettings]:
    """The providers whose server the hub itself has to start."""
    return {name: provider for name, provider in settings.providers.items() if provider.embedded is not None}


def _provider(
    name: str, settings: Settings, environ: Mapping[str, str], embedded: Mapping[str, str]
) -> Provider:
    own = settings.providers.get(name, ProviderSettings())
    known = KNOWN_PROVIDERS.get(name)
    base_url = own.base_url
    if own.embedded is not None:
        base_url = embedded.get(name)
        if base_url is None:
            raise SettingsError([Problem(None, f"providers.{name}", "the embedded model is not running")])
    elif base_url is None and known is not None:
        base_url = known.url(environ)
    protocol = own.protocol or (known.protocol if known is not None else "openai" if own.embedded else None)
    if base_url is None or protocol is None:
        message = f"unknown provider `{name}`, which needs `protocol` and `base_url`"
        raise SettingsError([Problem(None, f"providers.{name}", message)])
    return Provider(
        name=name,
        protocol=protocol,
        base_url=base_url.rstrip("/"),
        api_keys=_api_keys(name, own, environ),
        headers=MappingProxyType(_revealed(own.headers)),
        timeouts=Timeouts(**own.timeouts.model_dump()),
        limits=_limits(own.limits),
        proxy=own.proxy.get_secret_value() if own.proxy is not None else None,
        tls=_tls(name, own.tls),
    )


def _tls(name: str, own: TlsSettings) -> Tls:
    """Raises `SettingsError` for a file that cannot be used."""
    files = {
        field: str(Path(path).expanduser()) if (path := getattr(own, field)) else None for field in _FILES
    }
    tls = Tls(own.verify, **files)
    try:
        tls_context(tls)
    except UnusableTls as error:
        raise SettingsError([Problem(None, f"providers.{name}.tls.{error.option}", str(error))]) from error
    return PLAIN_TLS if tls == PLAIN_TLS else tls


def _api_keys(name: str, own: ProviderSettings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of the settings, or the built-in provider's variable.

    A `base_url` of one's own gets no key from the environment: it may belong to someone else.
    """
    written = (*((own.api_key,) if own.api_key is not None else ()), *own.api_keys)
    keys = tuple(dict.fromkeys(value for key in written if (value := key.get_secret_value().strip())))
    known = KNOWN_PROVIDERS.get(name)
    if keys or known is None or own.base_url is not None or own.embedded is not None:
        return keys
    found = known.key(environ)
    return (found,) if found is not None else ()


def _group(
    name: str,
    group: GroupSettings,
    providers: Mapping[str, Provider],
    prices: Prices,
    emulate: EmulateSettings,
) -> Group:
    def target(written: TargetSettings) -> Target:
        provider = providers[written.provider]
        price = prices.of(provider, written.model)
        return Target(
            provider,
            written.model,
            written.weight,
            priority=written.priority,
            price=price,
            limits=_limits(written.limits),
            timeouts=_timeouts(provider.timeouts, group.timeouts, written.timeouts),
            defaults=_parameters(written),
            override=_parameters(written.override),
            changes=changes_of(written),
        )

    return Group(
        name=name,
        targets=tuple(target(written) for written in group.all_targets()),
        models=tuple((glob, target(written)) for glob, written in group.models.items()),
        defaults=_parameters(group),
        override=_parameters(group.override),
        description=group.description or "",
        tool_repair=group.tool_repair,
        losses=group.losses,
        strategy=group.strategy,
        fallback=group.fallback,
        fallback_on=frozenset(group.fallback_on),
        affinity=_affinity(group.affinity),
        retry=Retry(group.retry.attempts, group.retry.budget) if group.retry is not None else None,
        rules=rules_of(group, target),
        changes=changes_of(group),
        emulate=MappingProxyType((group.emulate or emulate).model_dump(exclude_none=True)),
    )


def _limits(written: LimitSettings | None) -> Limits | None:
    limits = Limits(written.rpm, written.tpm, written.concurrency) if written is not None else None
    return None if limits == Limits() else limits


def _timeouts(providers: Timeouts, *written: SomeTimeoutSettings | None) -> Timeouts | None:
    """The provider's with what group and target say; None: they say nothing."""
    said = {
        name: value
        for each in written
        if each is not None
        for name, value in each.model_dump(exclude_none=True).items()
    }
    return replace(providers, **said) if said else None


def _affinity(written: bool | AffinitySettings) -> Affinity | None:
    if isinstance(written, bool):
        return Affinity() if written else None
    return Affinity(written.ttl, written.header, written.prefix)


def _parameters(written: ParameterSettings | None) -> Parameters:
    if written is None:
        return NO_PARAMETERS
    return Parameters(**{name: getattr(written, name) for name in ParameterSettings.model_fields})


def _revealed(secrets: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in secrets.items()}
