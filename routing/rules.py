"""Rules of a group: who answers, by facts of the request. The first rule whose conditions all hold counts.

Flag      a fact is so, or is not so
Names     one of a fact's names matches one of the globs
Bounds    a number lies within bounds
Header    a header is there and its value matches one of the globs
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import TYPE_CHECKING, Literal, NamedTuple

from routing.facts import Facts

if TYPE_CHECKING:
    from routing.table import Target

FlagFact = Literal[
    "images", "documents", "thinking", "tools", "web_search", "background", "subagent", "stream"
]
NameFact = Literal["model", "protocol", "effort", "tools", "subagent", "marker"]


def _patterns(globs: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(translate(glob)) for glob in globs)


@dataclass(frozen=True, slots=True)
class Flag:
    fact: FlagFact
    wanted: bool


@dataclass(frozen=True, slots=True)
class Names:
    """Globs are case-sensitive."""

    fact: NameFact
    globs: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", _patterns(self.globs))


@dataclass(frozen=True, slots=True)
class Bounds:
    """Estimated tokens of input. Both ends included; None: open."""

    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    name: str
    """In lower case."""
    globs: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", _patterns(self.globs))


Condition = Flag | Names | Bounds | Header


@dataclass(frozen=True, slots=True)
class Rule:
    """Targets of its own, or another group (`use`). Without conditions it always holds."""

    conditions: tuple[Condition, ...] = ()
    targets: tuple[Target, ...] = ()
    use: str = ""
    """The group that answers; "": `targets` do."""
    only: bool = False
    """Whether nobody else is asked where these cannot answer."""
    name: str = ""
    """For people; "": it is known by its place."""

    def title(self, index: int) -> str:
        """Its name, or its number from 1."""
        return self.name or str(index + 1)


def choose(rules: Sequence[Rule], facts: Facts) -> int | None:
    """The index of the first rule that holds."""
    for index, rule in enumerate(rules):
        if all(holds(condition, facts) for condition in rule.conditions):
            return index
    return None


def holds(condition: Condition, facts: Facts) -> bool:
    match condition:
        case Flag(fact, wanted):
            value = getattr(facts, fact)
            return value is not None and bool(value) == wanted
        case Names():
            return any(
                pattern.match(name)
                for name in _names(condition.fact, facts)
                for pattern in condition.patterns
            )
        case Bounds(least, most):
            size = facts.tokens
            return size is not None and (least is None or size >= least) and (most is None or size <= most)
        case Header():
            said = facts.header(condition.name)
            return said is not None and any(pattern.match(said) for pattern in condition.patterns)


def _names(fact: NameFact, facts: Facts) -> tuple[str, ...]:
    if fact == "subagent":
        return (facts.subagent_sign.kind,) if facts.subagent else ()
    value = getattr(facts, fact)
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


# ---------------------------------------------------------------- telling


class Verdict(NamedTuple):
    """Of one rule. `reasons` tell the conditions that hold, or the first that does not."""

    holds: bool
    reasons: tuple[str, ...]


def judge(rules: Sequence[Rule], facts: Facts) -> list[Verdict]:
    """A verdict on each rule, up to the one that holds."""
    found: list[Verdict] = []
    for rule in rules:
        failed = next((each for each in rule.conditions if not holds(each, facts)), None)
        if failed is not None:
            found.append(Verdict(False, (_seen(failed, facts),)))
            continue
        found.append(Verdict(True, tuple(_seen(each, facts) for each in rule.conditions)))
        break
    return found


def _seen(condition: Condition, facts: Facts) -> str:
    """What the request says of a condition. Values of headers are not told: they may be secret."""
    unknown = f"the request cannot be read: {facts.unreadable}" if facts.unreadable else "it is no chat"
    match condition:
        case Flag("background" | "subagent" as fact):
            sign = facts.background_sign if fact == "background" else facts.subagent_sign
            return f"{fact}: {sign.why or 'no sign of it'}"
        case Flag(fact):
            value = getattr(facts, fact)
            return f"{fact}: {unknown}" if value is None else f"{fact}: {'yes' if value else 'no'}"
        case Names(fact, globs):
            names = ", ".join(f"`{name}`" for name in _names(fact, facts)[:8]) or "none"
            return f"{fact}: {names}; wanted: {_told(globs)}"
        case Bounds():
            size = facts.tokens
            said = unknown if size is None else f"about {size:,}"
            return f"tokens: {said}; wanted: {_bounds(condition)}"
        case Header(name, globs):
            said = "not there" if facts.header(name) is None else "there"
            return f"header `{name}`: {said}; wanted: {_told(globs)}"


def _told(globs: tuple[str, ...]) -> str:
    return " or ".join(f"`{glob}`" for glob in globs)


def _bounds(bounds: Bounds) -> str:
    if bounds.most is None:
        return f"{bounds.least:,} or more" if bounds.least is not None else "any"
    return f"{bounds.most:,} at most" if bounds.least is None else f"{bounds.least:,} to {bounds.most:,}"
