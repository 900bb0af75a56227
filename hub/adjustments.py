"""From the settings of groups to what routing knows: rules, and changes of requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType

from hub.settings.changes import ChangesSettings
from hub.settings.groups import GroupSettings, TargetSettings
from hub.settings.rules import RuleSettings, WhenSettings, bounds
from routing.changes import NO_CHANGES, Changes, SystemChange, ToolFilter
from routing.rules import Bounds, Condition, Flag, FlagFact, Header, NameFact, Names, Rule
from routing.table import Target

_AT_ONCE: tuple[NameFact, ...] = ("model", "protocol")
"""What is known before the request is decoded, and so is asked first."""
_FLAGS: tuple[FlagFact, ...] = (
    "stream",
    "background",
    "subagent",
    "images",
    "documents",
    "thinking",
    "tools",
    "web_search",
)
_NAMES: tuple[NameFact, ...] = ("effort", "tools", "subagent", "marker")


def rules_of(group: GroupSettings, target: Callable[[TargetSettings], Target]) -> tuple[Rule, ...]:
    return tuple(_rule(rule, target) for rule in group.rules)


def _rule(rule: RuleSettings, target: Callable[[TargetSettings], Target]) -> Rule:
    return Rule(
        conditions=tuple(_conditions(rule.when)),
        targets=tuple(target(written) for written in rule.all_targets()),
        use=rule.use or "",
        only=rule.only,
        name=rule.name or "",
    )


def _conditions(when: WhenSettings) -> Iterator[Condition]:
    for name in _AT_ONCE:
        if (globs := getattr(when, name)) is not None:
            yield Names(name, tuple(globs))
    for header, globs in when.header.items():
        yield Header(header.lower(), tuple(globs))
    for fact in _FLAGS:
        if isinstance(wanted := getattr(when, fact), bool):
            yield Flag(fact, wanted)
    for name in _NAMES:
        if isinstance(globs := getattr(when, name), tuple):
            yield Names(name, globs)
    if when.tokens is not None:
        yield Bounds(*bounds(when.tokens))


def changes_of(written: ChangesSettings) -> Changes:
    system, tools = written.system, written.tools
    changes = Changes(
        temperature_ratio=written.temperature_ratio,
        system=None
        if system is None
        else SystemChange(
            text=system.text,
            replace=tuple(one.replacement() for one in system.replace),
            prepend=system.prepend,
            append=system.append,
        ),
        tools=None if tools is None else ToolFilter(tools.include, tools.exclude),
        headers=MappingProxyType({name: value.get_secret_value() for name, value in written.headers.items()}),
    )
    return NO_CHANGES if changes == NO_CHANGES else changes
