"""The system text that a target gets: without what would spoil its prompt cache.

A client may begin its system prompt with a line for its own provider that changes with every request
(Claude Code's attribution block). Its codec marks such a part with the note `_volatile`; every other
provider would read it as text, and its prompt cache, which compares from the start, would miss each time.
"""

from __future__ import annotations

from adapters.canonical import ChatRequest, Part, Text
from adapters.losses import Losses

VOLATILE = "_volatile"
"""The note in the bag of the protocol whose provider alone reads the part."""


def stable_instructions(request: ChatRequest, protocol: str, losses: Losses) -> tuple[Part, ...]:
    """`request.instructions` for a target that speaks `protocol`; what is left out is reported."""
    kept: list[Part] = []
    for index, part in enumerate(request.instructions):
        if isinstance(part, Text) and _is_volatile_for(part, protocol):
            losses.add(
                "system.volatile", f"system[{index}]", "it changes with every request and spoils caches"
            )
        else:
            kept.append(part)
    return tuple(kept)


def _is_volatile_for(part: Text, protocol: str) -> bool:
    return any(owner != protocol and VOLATILE in bag for owner, bag in part.extensions.items())
