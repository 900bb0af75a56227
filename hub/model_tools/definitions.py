"""The tools that the hub offers itself, as clients see them in `tools/list`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hub.catalog import GROUP_META
from hub.downstream.listing import Definition
from routing.table import Group

ASK = "ask_"
COMPARE, LIST, SWITCH, EXPLAIN = "compare_models", "list_models", "switch_model", "explain_route"
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST = 64

_QUESTION: Mapping[str, Any] = {
    "prompt": {"type": "string", "minLength": 1, "description": "What to ask."},
    "system": {"type": "string", "description": "Instructions that stand before the prompt."},
    "images": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Pictures, each an https:// URL or a data: URL.",
    },
    "max_tokens": {"type": "integer", "minimum": 1, "description": "The longest answer, in tokens."},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
}
_SCHEMA = {
    "schema": {
        "type": "object",
        "description": "A JSON Schema of an object: the answer then is structured content of that form.",
    }
}


def definitions(groups: Iterable[Group]) -> tuple[Definition, ...]:
    """All of them, the groups in the settings' order. No groups, no tools."""
    groups = tuple(groups)
    if not groups:
        return ()
    names = [group.name for group in groups]
    return (
        *(_ask(tool, group) for tool, group in zip(ask_names(names), groups, strict=True)),
        _tool(
            COMPARE,
            "Ask several models the same",
            "Ask several groups of models the same question at once and get all answers.",
            {
                **_QUESTION,
                "groups": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "maxItems": 16,
                    "uniqueItems": True,
                    "description": "Names from list_models; all of them if left out.",
                },
            },
            ("prompt",),
        ),
        _tool(
            LIST, "List the models", "List the groups of models: names, targets, and the active one.", {}, ()
        ),
        _tool(
            SWITCH,
            "Switch the active model",
            "Choose the group that answers requests which name none, for every client of this hub.",
            {"group": {"type": "string", "description": "A name from list_models."}},
            ("group",),
            reads_only=False,
        ),
        _tool(
            EXPLAIN,
            "Explain a route",
            "Tell which target a question would go to and why, without asking it.",
            {
                "group": {"type": "string", "description": "A name from list_models; else the active group."},
                **{name: _QUESTION[name] for name in ("prompt", "system", "images")},
            },
            ("prompt",),
        ),
    )


def ask_names(groups: Iterable[str]) -> list[str]:
    """The name of each group's tool. Groups whose names differ only in forbidden characters are numbered."""
    names: list[str] = []
    for group in groups:
        plain = name = ASK + _FORBIDDEN.sub("_", group)[: _LONGEST - len(ASK)]
        number = 2
        while name in names:
            name, number = f"{plain[: _LONGEST - 4]}_{number}", number + 1
        names.append(name)
    return names


def _ask(name: str, group: Group) -> Definition:
    targets = ", ".join(f"{target.provider.name}/{target.model or '*'}" for target in group.targets)
    told = group.description or f"The models {targets}." if targets else "No model."
    definition = _tool(
        name,
        f"Ask {group.name}",
        f"Ask the model group {group.name}. {told}",
        {**_QUESTION, **_SCHEMA},
        ("prompt",),
    )
    return {**definition, "_meta": {GROUP_META: group.name}}


def _tool(
    name: str,
    title: str,
    description: str,
    properties: Mapping[str, Any],
    required: tuple[str, ...],
    *,
    reads_only: bool = True,
) -> Definition:
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": dict(properties),
            **({"required": list(required)} if required else {}),
            "additionalProperties": False,
        },
        "annotations": {
            "title": title,
            "readOnlyHint": reads_only,
            "destructiveHint": False,
            "idempotentHint": not reads_only,
            "openWorldHint": name not in (LIST, SWITCH, EXPLAIN),
        },
    }
