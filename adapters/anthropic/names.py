"""Words of this protocol that several modules need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import NO_EXTENSIONS, Extensions
from adapters.reading import rest

PROTOCOL = "anthropic"
VERSION = "2023-06-01"
"""The `anthropic-version` header, where the client sent none."""

OUTPUT_TOOL = "hub_structured_answer"
"""Name of the tool that stands for an output format at models without `output_config.format`.

A call of it is the answer's text: decoders of answers unwrap it by this name.
"""

INVALID_JSON = "INVALID_JSON"
"""The key under which a call's arguments go that are no JSON object, as Anthropic's page on
fine-grained tool streaming proposes."""

BILLING_HEADER = "x-anthropic-billing-header:"
"""Claude Code begins its first system block with this; the rest of it changes with every request."""


def bag(own: dict[str, Any]) -> Extensions:
    """Extensions with this protocol's keys, if there are any."""
    return {PROTOCOL: own} if own else NO_EXTENSIONS


def leftover(source: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """What `source` has besides `known`; keys in `_` are no API's, and would be taken for notes."""
    return {key: value for key, value in rest(source, known).items() if not key.startswith("_")}


def own(extensions: Extensions) -> Mapping[str, Any]:
    """This protocol's keys."""
    return extensions.get(PROTOCOL, NO_EXTENSIONS) if extensions else NO_EXTENSIONS


def fields(extensions: Extensions) -> dict[str, Any]:
    """This protocol's JSON keys to be restored, without the notes that only the codec reads."""
    if not extensions:
        return {}
    return {key: value for key, value in own(extensions).items() if not key.startswith("_")}
