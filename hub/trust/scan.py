"""What in a tool's definition is written for the model and not for the user's eyes.

Two kinds: characters that nobody sees but that a model reads, and phrases that give the model orders which
are not about the tool. The phrases are few and each needs the words of an attack, because a finding holds
a tool back: "Ignore case" and "you must pass a path" are ordinary.

The attacks: https://invariantlabs.ai/blog/mcp-security-notification-tool-poisoning-attacks (tool poisoning),
https://www.unicode.org/charts/PDF/UE0000.pdf (tag characters), Unicode TR36 and TR39 (invisible and
bidirectional characters).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_INVISIBLE: tuple[tuple[str, str], ...] = (
    ("tag characters, which spell text that nobody sees", "\U000e0000-\U000e007f"),
    ("zero-width characters", "\u200b\u2060-\u2064\ufeff\u180e"),
    ("characters that turn the direction of text", "\u202a-\u202e\u2066-\u2069"),
    ("variation selectors, which can hide data", "\U000e0100-\U000e01ef"),
    ("control characters of a terminal", "\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f"),
    ("characters without a shape", "\u115f\u1160\u3164\uffa0\u2028\u2029\ufff9-\ufffb"),
)
"""Not among them: joiners (U+200C, U+200D), direction marks (U+200E, U+200F), the soft hyphen and the emoji
selectors (U+FE0F), which ordinary writing of many languages has."""
_CHARACTERS = tuple((name, re.compile(f"[{characters}]")) for name, characters in _INVISIBLE)
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{2,6}\U000e007f")
"""Flags of regions (Scotland's, say) are spelled with tag characters."""
_JOINERS = re.compile("[\u200c-\u200f\u00ad\ufe00-\ufe0f]{3,}")
"""Harmless one by one; a row of them spells data."""

_PHRASES: tuple[tuple[str, str], ...] = (
    (
        "tells the model to ignore its instructions",
        r"\b(?:ignore|disregard|forget)\s+(?:all\s+|any\s+)?(?:of\s+)?(?:your\s+|the\s+|my\s+)?"
        r"(?:previous|prior|earlier|above|preceding|system)\s+(?:instructions?|prompts?|directions)\b",
    ),
    (
        "tells the model to hide something from the user",
        r"\b(?:do\s+not|don'?t|never|must\s+not|without)\s+(?:ever\s+)?(?:tell(?:ing)?|inform(?:ing)?|notify(?:ing)?"
        r"|(?:mention|reveal|show|disclos)(?:e|ing)?\s+(?:this|that|it|any\s+of\s+this|these\s+\w+)\s+to)\s+the\s+user\b",
    ),
    (
        "has a block of orders to the model",
        r"<\s*/\s*(?:important|system|hidden|secret)\s*>|<\|(?:im_start|im_end|system|start_header_id)\|>"
        r"|\[/INST\]|<<\s*/?SYS\s*>>",
    ),
    (
        "asks for the system prompt",
        r"\b(?:send|pass|include|provide|put|append|copy|reveal)\b[^.\n]{0,40}\byour\s+system\s+prompt\b",
    ),
    (
        "asks for secrets on this machine",
        r"(?:\.ssh/|\bid_rsa\b|\bid_ed25519\b|\.aws/credentials|\.cursor/mcp\.json|/etc/shadow)[^.\n]{0,60}"
        r"\b(?:pass|send|include|provide|put)\b[^.\n]{0,30}\bcontents?\b",
    ),
)
_ORDERS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _PHRASES)


def findings(value: Any) -> tuple[str, ...]:
    """What is wrong with the texts in a JSON value: each with its place and, for phrases, the words."""
    found: dict[str, None] = {}
    for place, text in _texts(value, ""):
        for what in _of_text(text):
            found[f"{place} {what}" if place else what] = None
    return tuple(found)


def _of_text(text: str) -> Iterator[str]:
    plain = _FLAG.sub("", text) if "\U000e007f" in text else text
    if not plain.isascii() or not plain.isprintable():
        for name, characters in _CHARACTERS:
            hits = characters.findall(plain)
            if hits:
                yield f"has {name} ({len(hits)}, the first U+{ord(hits[0]):04X})"
        if _JOINERS.search(plain):
            yield "has a row of characters that nobody sees"
    for name, pattern in _ORDERS:
        if (match := pattern.search(plain)) is not None:
            yield f"{name} ({visible(match[0])[:80]!r})"


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every text of a value, keys included, with the way to it."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"{place} (a key)".strip(), str(key)
            yield from _texts(inner, f"{place}.{visible(str(key))[:40]}" if place else visible(str(key))[:40])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, place)


def visible(text: str) -> str:
    """`text` with everything that cannot be seen, or that a terminal would obey, spelled out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character.isprintable() and not _hidden(character) else f"\\u{{{ord(character):x}}}"
        for character in text
    )


def _hidden(character: str) -> bool:
    return any(pattern.match(character) for _, pattern in _CHARACTERS)
