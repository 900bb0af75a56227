"""What a group or a target changes in requests, besides parameters. Values; `routing.adjust` applies them.

Replacement    in the system prompt
SystemChange   of the system prompt as a whole
ToolFilter     which of the client's tools go on
Changes        all of them, and headers
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from types import MappingProxyType

import regex

from adapters.canonical import ProviderTool, Tool
from adapters.tool_names import flat_name

SECONDS = 0.1
"""What a regular expression may take for one text. One that backtracks without end is stopped."""

_REFERENCE = re.compile(r"\\(?:g<(\w+)>|(\d{1,2}))|\\(.)", re.DOTALL)


class TooSlow(Exception):
    """A replacement's pattern takes too long for a prompt."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """`find`, a text or (`is_regex`) a regular expression of the module `regex`, becomes `text`.

    Raises ValueError for an expression that cannot be read, or a text that names groups it has not.
    """

    find: str
    text: str = ""
    is_regex: bool = False
    limit: int = 0
    """How often at most in one request, from the beginning; 0: everywhere."""
    pattern: regex.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", _compiled(self.find, self.text) if self.is_regex else None)

    def apply(self, text: str, most: int) -> tuple[str, int]:
        """The changed text, and how often it was changed; `most` 0: no limit. Raises TooSlow."""
        if self.pattern is None:
            times = min(text.count(self.find), most or len(text))
            return text.replace(self.find, self.text, times), times
        try:
            changed, times = self.pattern.subn(self.text, text, count=most, timeout=SECONDS)
        except TimeoutError:
            raise TooSlow(self.find) from None
        return changed, times


def _compiled(find: str, text: str) -> regex.Pattern[str]:
    try:
        pattern = regex.compile(find)
    except regex.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    for name, number, _ in _REFERENCE.findall(text):
        known = int(name or number) <= pattern.groups if (name or number or "x").isdigit() else True
        if not known or (name and not name.isdigit() and name not in pattern.groupindex):
            raise ValueError(f"has no group `{name or number}`, which `with` names")
    return pattern


@dataclass(frozen=True, slots=True)
class SystemChange:
    """In this order: `text` in place of the whole, the replacements, then what stands before and after."""

    text: str | None = None
    replace: tuple[Replacement, ...] = ()
    prepend: str = ""
    append: str = ""


@dataclass(frozen=True, slots=True)
class ToolFilter:
    """Globs over the names of tools, case-sensitive. `exclude` counts more than `include`."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    included: re.Pattern[str] = field(init=False, repr=False, compare=False)
    excluded: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "included", _any_of(self.include))
        object.__setattr__(self, "excluded", _any_of(self.exclude))

    def keeps(self, name: str) -> bool:
        return bool(self.included.match(name)) and not self.excluded.match(name)


def tool_name(tool: Tool | ProviderTool) -> str:
    """What globs match: with its namespace, `namespace__name`; a provider's tool by name, else by kind."""
    return flat_name(tool.name, tool.namespace) if isinstance(tool, Tool) else tool.name or tool.kind


def _any_of(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs) or r"(?!)")


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Changes:
    temperature_ratio: float | None = None
    """What the client's temperature is multiplied with."""
    system: SystemChange | None = None
    tools: ToolFilter | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS, repr=False)
    """For the upstream; they win over the provider's. They may be secrets."""


NO_CHANGES = Changes()
