"""Tools that Anthropic defines and the client runs, as plain functions for other models.

Their definitions have no schema: Claude knows it. The schemas here say what the documentation of each
tool says; the calls that a client gets are the same in form, so it can run them.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/bash-tool, …/text-editor-tool,
…/computer-use-tool, …/memory-tool
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Schema = dict[str, Any]

_PATH: Schema = {"type": "string", "description": "Absolute path of a file or directory."}
_RANGE: Schema = {
    "type": "array",
    "items": {"type": "integer"},
    "description": "For view: first and last line, counted from 1; -1 as the last is the file's end.",
}
_POINT: Schema = {"type": "array", "items": {"type": "integer"}, "description": "[x, y] in pixels."}


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _commands(*names: str) -> Schema:
    return {"type": "string", "enum": list(names), "description": "What to do."}


def _bash(_: Mapping[str, Any]) -> tuple[str, Schema]:
    return (
        "Run a command in a bash shell that stays alive between calls.",
        _object(
            {
                "command": {"type": "string", "description": "The command to run."},
                "restart": {"type": "boolean", "description": "True restarts the shell instead."},
            }
        ),
    )


def _text_editor(definition: Mapping[str, Any]) -> tuple[str, Schema]:
    commands = ["view", "create", "str_replace", "insert"]
    undo = definition.get("type") in ("text_editor_20241022", "text_editor_20250124")
    properties: Schema = {
        "command": _commands(*commands, *(["undo_edit"] if undo else [])),
        "path": _PATH,
        "view_range": _RANGE,
        "file_text": {"type": "string", "description": "For create: the content of the file."},
        "old_str": {
            "type": "string",
            "description": "For str_replace: the text to replace, unique in the file.",
        },
        "new_str": {"type": "string", "description": "For str_replace: the new text."},
        "insert_line": {
            "type": "integer",
            "description": "For insert: the line after which; 0 is the start.",
        },
    }
    if undo:
        properties["new_str"]["description"] = "For str_replace and insert: the new text."
    else:
        properties["insert_text"] = {"type": "string", "description": "For insert: the text."}
    return "View, create and edit text files.", _object(properties, "command", "path")


def _memory(_: Mapping[str, Any]) -> tuple[str, Schema]:
    return (
        "Read and write files below /memories, which stay between conversations. "
        "Look there before you start a task, and note what will matter later.",
        _object(
            {
                "command": _commands("view", "create", "str_replace", "insert", "delete", "rename"),
                "path": {"type": "string", "description": "A path below /memories. For all but rename."},
                "view_range": _RANGE,
                "file_text": {"type": "string", "description": "For create: the content of the file."},
                "old_str": {"type": "string", "description": "For str_replace: the text to replace."},
                "new_str": {"type": "string", "description": "For str_replace: the new text."},
                "insert_line": {"type": "integer", "description": "For insert: the line after which."},
                "insert_text": {"type": "string", "description": "For insert: the text."},
                "old_path": {"type": "string", "description": "For rename: the path so far."},
                "new_path": {"type": "string", "description": "For rename: the new path."},
            },
            "command",
        ),
    )


_ACTIONS: tuple[str, ...] = (
    "screenshot",
    "left_click",
    "type",
    "key",
    "mouse_move",
    "left_click_drag",
    "right_click",
)
_ACTIONS += ("middle_click", "double_click", "cursor_position")
_MORE_ACTIONS = ("left_mouse_down", "left_mouse_up", "triple_click", "scroll", "hold_key", "wait")


def _computer(definition: Mapping[str, Any]) -> tuple[str, Schema]:
    actions = _ACTIONS if definition.get("type") == "computer_20241022" else _ACTIONS + _MORE_ACTIONS
    properties: Schema = {
        "action": _commands(*actions, *(["zoom"] if definition.get("enable_zoom") else [])),
        "coordinate": _POINT,
        "start_coordinate": _POINT,
        "text": {"type": "string", "description": "For type and key: the text, or keys as in xdotool."},
        "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
        "scroll_amount": {"type": "integer", "description": "Clicks of the wheel."},
        "duration": {"type": "number", "description": "Seconds, for wait and hold_key."},
    }
    if definition.get("enable_zoom"):
        properties["region"] = {
            "type": "array",
            "items": {"type": "integer"},
            "description": "For zoom: [x0, y0, x1, y1].",
        }
    size = f"{definition.get('display_width_px')}x{definition.get('display_height_px')}"
    words = f"Use a computer by its screen ({size} pixels), mouse and keyboard. Take a screenshot to see it."
    return words, _object(properties, "action")


_DEFINED: tuple[tuple[str, str, Callable[[Mapping[str, Any]], tuple[str, Schema]]], ...] = (
    ("bash_", "bash", _bash),
    ("text_editor_", "str_replace_based_edit_tool", _text_editor),
    ("memory_", "memory", _memory),
    ("computer_2", "computer", _computer),
)
"""Prefix of the type, the usual name, what makes the function."""


def as_function(definition: Mapping[str, Any]) -> tuple[str, str, Schema] | None:
    """Name, description and schema for a definition whose tool the client runs; None for all others.

    `computer_toolset_*` is not among them: it stands for several tools.
    """
    kind = definition.get("type")
    if not isinstance(kind, str):
        return None
    for prefix, usual_name, make in _DEFINED:
        if kind.startswith(prefix):
            name = definition.get("name")
            description, schema = make(definition)
            return (name if isinstance(name, str) and name else usual_name), description, schema
    return None
