"""The part of a tool's definition that a model acts on, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

PARTS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""What is pinned. Icons and `_meta` are for programs, and change without harm."""


def pinned_part(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {part: definition[part] for part in PARTS if part in definition}


def canonical(value: Any) -> str:
    """JSON that is equal for equal values, whatever the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(definition: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the pinned part."""
    return hashlib.sha256(canonical(pinned_part(definition)).encode()).hexdigest()
