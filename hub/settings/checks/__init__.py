"""What the model cannot see: references between parts of the file, names, URLs, and safety.

The checks look at the document before the model does, so that all problems of a file come at once.
They pass over what has the wrong shape: the model reports that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hub.settings.checks import groups, names, providers, safety
from hub.settings.checks.words import TOOL_PREFIX, is_loopback
from hub.settings.document import Document

__all__ = ["CHECKS", "TOOL_PREFIX", "check", "is_loopback"]

CHECKS: tuple[Callable[[Document, Mapping[str, str]], None], ...] = (
    names.names,
    names.reserved,
    names.collisions,
    groups.targets,
    groups.fallbacks,
    providers.providers,
    providers.server_urls,
    providers.headers,
    names.references,
    names.sampling_groups,
    names.emulated_tools,
    names.shown_tools,
    groups.used_groups,
    names.default_group,
    safety.keys,
    safety.listening,
    safety.browsers,
    safety.telemetry,
    providers.advice,
)


def check(document: Document, environ: Mapping[str, str]) -> None:
    """Record every problem that `CHECKS` find."""
    for one in CHECKS:
        one(document, environ)
