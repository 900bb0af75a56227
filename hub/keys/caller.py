"""Who sent a request, and what that key may reach."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

from hub.keys.meters import Meter


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as `scope["state"]["caller"]`. None stands for all of them."""

    name: str
    groups: frozenset[str] | None = None
    profiles: frozenset[str] | None = None
    servers: frozenset[str] | None = None
    tools: tuple[str, ...] | None = None
    """Globs over public tool names."""
    meter: Meter | None = field(default=None, compare=False, repr=False)
    """Where there is a limit of requests, tokens or money."""

    @property
    def is_limited(self) -> bool:
        scopes = (self.groups, self.profiles, self.servers, self.tools)
        return self.meter is not None or any(scope is not None for scope in scopes)

    @property
    def sees_all_tools(self) -> bool:
        return self.servers is None and self.tools is None and self.groups is None

    def may_use_group(self, name: str) -> bool:
        return self.groups is None or name in self.groups

    def may_use_profile(self, name: str) -> bool:
        return self.profiles is None or name in self.profiles


ANYONE = Caller("")
"""The caller where no key is asked for."""

CALLER: ContextVar[Caller] = ContextVar("caller", default=ANYONE)
"""The caller of the request that is being answered, for those who do not see its scope."""
