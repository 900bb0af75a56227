"""What a model is told of tools that its API cannot be told of. The same tools give the same text."""

from __future__ import annotations

from typing import Any

from adapters.canonical import Tool, ToolCall, ToolChoice
from adapters.compat.calls import INVALID_JSON
from adapters.jsontext import dump, load_object

RESULT_MARK = "<tool_response"
"""With this a result begins; a model that goes on to invent one is stopped here."""
MALFORMED = "Your <tool_call> was not run: {reason}. Write it again."

_HEAD = """# Tools

You can use the tools below. Each line is one tool: its name, what it does, and its parameters as JSON Schema.

<tools>
"""
_TAIL = """
</tools>

To use a tool, write this, with one JSON object:

<tool_call>
{"name": "TOOL", "arguments": {"PARAMETER": "VALUE"}}
</tool_call>

- "name" is one of the names above. "arguments" holds the parameters, as the tool's schema says; {} for none.
- To use several tools, write several <tool_call> blocks, one after another.
- Stop after the last </tool_call>. The results come in the next message, as <tool_response> blocks. \
Never write those yourself.
- If you need no tool, answer in words, without such blocks."""


def describe_tools(tools: list[Tool]) -> str:
    """The part of the system text that describes plain functions and how to call them."""
    lines = (_closing_tags(dump(_definition(tool)), "tools", "\\/") for tool in tools)
    return _HEAD + "\n".join(lines) + _TAIL


def _definition(tool: Tool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    parameters = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    return {"name": tool.name, **described, "parameters": parameters}


def describe_choice(choice: ToolChoice | None, parallel: bool | None) -> str:
    """What is wished for this answer alone; "" where the model is free."""
    told: list[str] = []
    names = ", ".join(choice.names) if choice is not None else ""
    match choice.mode if choice is not None else "auto":
        case "none":
            return "Answer in words now, without any <tool_call>."
        case "named":
            told.append(f"Use the tool {names} now: answer with a <tool_call> for it.")
        case "required" if names:
            told.append(f"Use one of these tools now: {names}. Answer with a <tool_call>.")
        case "required":
            told.append("Use a tool now: answer with a <tool_call>.")
        case _ if names:
            told.append(f"Of the tools, use only these now: {names}.")
    if parallel is False:
        told.append("Write at most one <tool_call> in an answer.")
    return " ".join(told)


def call_text(call: ToolCall) -> str:
    """A call of an earlier turn, as the model should write it. What nobody could read stays as it was."""
    arguments = load_object(call.arguments)
    if arguments is not None and len(arguments) == 1 and isinstance(raw := arguments.get(INVALID_JSON), str):
        return _raw_call(call, raw)
    if arguments is None:
        return _raw_call(call, call.arguments)
    body = (
        f'{{"name": {dump(call.name)}, "arguments": {call.arguments.strip() or "{}"}, "id": {dump(call.id)}}}'
    )
    return f"<tool_call>\n{body}\n</tool_call>"


def _raw_call(call: ToolCall, raw: str) -> str:
    if raw.lstrip().startswith("{") and call.name in raw:
        return f"<tool_call>\n{raw.strip()}\n</tool_call>"
    return (
        f'<tool_call>\n{{"name": {dump(call.name)}, "arguments": {raw}, "id": {dump(call.id)}}}\n</tool_call>'
    )


def result_text(text: str, *, call_id: str = "", name: str | None = None, is_error: bool = False) -> str:
    """A result; its text cannot close the block."""
    attributes = f" id={dump(call_id)}" if call_id else ""
    attributes += f" name={dump(name)}" if name else ""
    attributes += ' error="true"' if is_error else ""
    return f"{RESULT_MARK}{attributes}>\n{_closing_tags(text, 'tool_response', '/ ')}\n</tool_response>"


def _closing_tags(text: str, tag: str, slash: str) -> str:
    return text.replace(f"</{tag}", f"<{slash}{tag}")
