"""Which of a server's tools clients get to see: those that are as they were when first seen, and clean.

A tool is first seen when its name is new, or when the settings name another program or address for the
server, which is the user's own act. Whatever differs later, or has a trap in it, is held back until the
user has looked at it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from hub.downstream.listing import Definition, Listing
from hub.settings.mcp import McpServerSettings
from hub.trust.definition import canonical, digest, pinned_part
from hub.trust.scan import findings
from hub.trust.store import Pin, PinError, PinFolder, Pins

log = logging.getLogger("hub.trust")

INSTRUCTIONS = "(instructions)"
"""What the server tells models about itself, in the place of a tool's name; tools have no parentheses."""


Why = Literal["changed", "suspicious", "unknown"]
_REASONS: dict[Why, str] = {
    "changed": "its definition changed",
    "suspicious": "its definition is suspicious",
    "unknown": "what was trusted of it cannot be read any more",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A tool that is held back."""

    tool: str
    why: Why
    findings: tuple[str, ...]
    digest: str
    """Of what the server says now; an approval names it, so that nothing else gets approved."""
    before: Mapping[str, Any] | None
    """What is trusted; None: nothing of this name."""
    now: Mapping[str, Any]

    @property
    def reason(self) -> str:
        what = _REASONS[self.why]
        return f"{what}: {'; '.join(self.findings)}" if self.findings else what


@dataclass(frozen=True, slots=True)
class Admission:
    """What of a listing is shown, and what is held back."""

    listing: Listing
    held: tuple[Held, ...] = ()


@dataclass(slots=True)
class _State:
    pins: Pins
    seen: Listing | None = None
    policy: tuple[str, str] = ("", "")
    admission: Admission = field(default_factory=lambda: Admission(Listing()))


class Warden:
    """`admit` each listing before it is shown; `approve` what the user has looked at."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._pins = PinFolder(folder)
        self._states: dict[str, _State] = {}

    def follow(self, scope: str) -> None:
        """`scope` is the settings file: servers of two files with one name are two servers."""
        self._pins = PinFolder(self._folder, scope)

    def admit(self, server: str, settings: McpServerSettings, listing: Listing) -> Admission:
        """What of `listing` may be shown. Cheap for one that was seen before."""
        policy = (settings.trust, origin(settings))
        state = self._states.get(server)
        if state is None:
            state = self._states[server] = _State(self._load(server))
        if state.seen is listing and state.policy == policy:
            return state.admission
        before = {held.tool for held in state.admission.held}
        state.seen, state.policy = listing, policy
        if settings.trust == "always":
            state.admission = Admission(listing)
            return state.admission
        state.pins = self._pinned(server, state.pins, policy[1], listing)
        state.admission = _admission(state.pins, listing)
        for held in state.admission.held:
            if held.tool not in before:
                log.warning(
                    "%s: %s is held back: %s; see `hub trust %s`", server, held.tool, held.reason, server
                )
        return state.admission

    def held(self, server: str) -> tuple[Held, ...]:
        state = self._states.get(server)
        return state.admission.held if state is not None else ()

    def approve(self, server: str, digests: Mapping[str, str]) -> tuple[str, ...]:
        """Trust what is held back, by tool and digest; the names of those that were."""
        state = self._states.get(server)
        if state is None:
            return ()
        chosen = [held for held in state.admission.held if digests.get(held.tool) == held.digest]
        tools, instructions = dict(state.pins.tools), state.pins.instructions
        for held in chosen:
            if held.tool == INSTRUCTIONS:
                instructions = held.digest
            else:
                tools[held.tool] = Pin(held.digest, held.now)
        where = state.policy[1] if state.pins.origin == _UNREADABLE else state.pins.origin
        state.pins = Pins(where, tools, instructions)
        state.seen = None
        self._pins.write(server, state.pins)
        for held in chosen:
            log.info("%s: %s is trusted as it is now", server, held.tool)
        return tuple(held.tool for held in chosen)

    def _load(self, server: str) -> Pins:
        try:
            return self._pins.read(server) or Pins()
        except PinError as error:
            # Without its pins every tool of it would pass as new, so nothing does until somebody looks.
            log.error("%s", error)
            return Pins(origin=_UNREADABLE)

    def _pinned(self, server: str, pins: Pins, where: str, listing: Listing) -> Pins:
        """With what is seen for the first time and is clean."""
        if pins.origin == _UNREADABLE:
            return pins
        if pins.origin != where:
            if pins.tools:
                log.info("%s: its settings say another program or address; its tools are new", server)
            pins = Pins(where)
        new = {
            name: Pin(digest(tool), pinned_part(tool))
            for name, tool in _by_name(listing).items()
            if name not in pins.tools and not findings(pinned_part(tool))
        }
        if not new:
            return pins
        pins = replace(pins, tools={**pins.tools, **new})
        self._pins.write(server, pins)
        return pins


_UNREADABLE = "unreadable"


def origin(settings: McpServerSettings) -> str:
    """Where a server comes from, hashed: its arguments may hold secrets."""
    said = [settings.transport, settings.command, list(settings.args), str(settings.cwd or ""), settings.url]
    return sha256(canonical(said).encode()).hexdigest()


def _by_name(listing: Listing) -> dict[str, Definition]:
    """As the catalogue has it: the first one of a name counts."""
    tools: dict[str, Definition] = {}
    for tool in listing.tools:
        tools.setdefault(str(tool.get("name")), tool)
    return tools


def _admission(pins: Pins, listing: Listing) -> Admission:
    held: list[Held] = []
    for name, tool in _by_name(listing).items():
        now, pin = digest(tool), pins.tools.get(name)
        if pin is None or pin.digest != now:
            part = pinned_part(tool)
            found = findings(part)
            why: Why = "changed" if pin is not None else "suspicious" if found else "unknown"
            held.append(Held(name, why, found, now, pin.definition if pin is not None else None, part))
    names = {each.tool for each in held}
    text = listing.instructions
    if text is not None and (found := findings(text)):
        now = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        if now != pins.instructions:
            held.append(Held(INSTRUCTIONS, "suspicious", found, now, None, {"instructions": text}))
            text = None
    if not held:
        return Admission(listing)
    kept = tuple(tool for tool in listing.tools if str(tool.get("name")) not in names)
    return Admission(replace(listing, tools=kept, instructions=text), tuple(held))
