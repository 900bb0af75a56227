"""The system text that a target gets: without what would spoil its prompt cache.

A client may begin its system prompt with a line for its own provider that changes with every request
(Claude Code's attribution block). Its codec marks such a part with the note `_volatile`; every other
provider would read it as text, and its prompt cache, which compares from the start, would miss each time.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.canonical import ChatRequest, Part, Text
from adapters.losses import Losses

VOLATILE = "_volatile"
"""The note in the bag of the protocol whose provider alone reads the part."""


def stable(request: ChatRequest, protocol: str, losses: Losses) -> ChatRequest:
    """The request for a target that speaks `protocol`; what is left out is reported."""
    kept = tuple(part for part in request.instructions if not _is_volatile_for(part, protocol))
    if len(kept) == len(request.instructions):
        return request
    losses.add(
        "system.volatile", "system", "a line that changes with every request would spoil prompt caches"
    )
    return replace(request, instructions=kept)


def is_volatile(part: Part) -> bool:
    """Whether one provider alone reads it."""
    return isinstance(part, Text) and any(VOLATILE in bag for bag in part.extensions.values())


def _is_volatile_for(part: Part, protocol: str) -> bool:
    if not isinstance(part, Text) or not part.extensions:
        return False
    return any(owner != protocol and VOLATILE in bag for owner, bag in part.extensions.items())
