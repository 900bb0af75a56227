"""Changing a settings file in place: an MCP server in, or out. Whatever is not touched keeps its bytes.

The file is YAML in block or flow style, or JSON; comments stay. What is written is flow style, which
both readings have in common.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from hub.settings.ide import TOP_LEVEL

SECTION = "mcpServers"
_LINE_END = re.compile(r"[^\r\n]*(?:\r\n|\n|\Z)")


class CannotEdit(ValueError):
    """The file has a form that is left to its author."""


class _Member(NamedTuple):
    key: str
    start: int
    value: yaml.Node


def add_server(text: str, name: str, entry: Mapping[str, Any]) -> str:
    """`text` with the server `name` at the end of `mcpServers`. Raises CannotEdit."""
    root = _root(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    if root is None:
        head = text if not text or text.endswith(("\n", "\r")) else text + newline
        return f"{head}{SECTION}:{newline}  {_flow(name)}: {_flow(entry)}{newline}"
    section = _section(root)
    if section is None:
        if root.flow_style:
            return _into_flow(text, root, SECTION, {name: entry})
        end = _block_end(text, root)
        lead = text[:end] if text[:end].endswith(("\n", "\r")) else text[:end] + newline
        return f"{lead}{newline}{SECTION}:{newline}  {_flow(name)}: {_flow(entry)}{newline}{text[end:]}"
    if any(member.key == name for member in _members(section.value)):
        raise CannotEdit(f"`{name}` is there already")
    servers = section.value
    if isinstance(servers, yaml.MappingNode) and servers.flow_style:
        return _into_flow(text, servers, name, entry)
    if isinstance(servers, yaml.MappingNode) and servers.value:
        end = _block_end(text, servers)
        indent = " " * servers.value[0][0].start_mark.column
        lead = text[:end] if text[:end].endswith(("\n", "\r")) else text[:end] + newline
        return f"{lead}{indent}{_flow(name)}: {_flow(entry)}{newline}{text[end:]}"
    if isinstance(servers, yaml.ScalarNode) and servers.value in ("", "null", "~"):
        colon = text.index(":", section.start + len(section.key))
        column = _column(text, section.start) + 2
        line_end = _end_of_line(text, colon)
        rest = text[colon + 1 : line_end]
        comment = rest[rest.index("#") :].rstrip() if "#" in rest else ""
        lead = f"{text[: colon + 1]}{'  ' + comment if comment else ''}{newline}"
        return f"{lead}{' ' * column}{_flow(name)}: {_flow(entry)}{newline}{text[line_end:]}"
    raise CannotEdit(f"`{section.key}` is not a mapping")


def remove_server(text: str, name: str) -> str:
    """`text` without the server `name`. Raises KeyError where there is none, CannotEdit."""
    root = _root(text)
    section = None if root is None else _section(root)
    if section is None or not isinstance(section.value, yaml.MappingNode):
        raise KeyError(name)
    servers = section.value
    members = _members(servers)
    position = next((at for at, member in enumerate(members) if member.key == name), None)
    if position is None:
        raise KeyError(name)
    member = members[position]
    if servers.flow_style:
        if position + 1 < len(members):
            return text[: member.start] + text[members[position + 1].start :]
        start = _end(members[position - 1].value) if position else member.start
        return text[:start] + text[_end(member.value) :]
    if len(members) == 1:
        start = text.index(":", section.start + len(section.key)) + 1
        return f"{text[:start]} {{}}{text[_end(member.value) :]}"
    start = member.start - _column(text, member.start)
    return text[:start] + text[_end_of_line(text, _end(member.value)) :]


def _root(text: str) -> yaml.MappingNode | None:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise CannotEdit("it is not readable as YAML; `hub check` says where") from None
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode):
        raise CannotEdit("it is not a mapping")
    return node


def _section(root: yaml.MappingNode) -> _Member | None:
    names = {SECTION, *TOP_LEVEL}
    return next((member for member in _members(root) if member.key in names), None)


def _members(node: yaml.Node) -> list[_Member]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [_Member(str(key.value), key.start_mark.index, value) for key, value in node.value]


def _end(node: yaml.Node) -> int:
    """Behind the last character of a value. A block's own end mark stands at whatever follows it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return end


def _block_end(text: str, node: yaml.MappingNode) -> int:
    """Behind the line on which a block ends, so that a comment on that line stays there."""
    return _end_of_line(text, _end(node))


def _end_of_line(text: str, at: int) -> int:
    if at and text[at - 1] == "\n":  # a literal block ends behind its last line
        return at
    match = _LINE_END.match(text, at)
    assert match is not None  # it matches the empty text, too
    return match.end()


def _column(text: str, at: int) -> int:
    return at - (max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1)


def _into_flow(text: str, node: yaml.MappingNode, name: str, value: Any) -> str:
    """A further member of `{…}`, in the quotes that JSON needs where the other names have them."""
    members = _members(node)
    quoted = not members or text[members[0].start] == '"'
    written = _json(name, value) if quoted else f"{_flow(name)}: {_flow(value)}"
    if not members:
        return text[: node.start_mark.index] + "{" + written + "}" + text[node.end_mark.index :]
    end = _end(members[-1].value)
    own_line = "\n" in text[node.start_mark.index : members[0].start]
    gap = "\n" + " " * _column(text, members[0].start) if own_line else " "
    return f"{text[:end]},{gap}{written}{text[end:]}"


def _json(name: str, value: Any) -> str:
    return f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"


def _flow(value: Any) -> str:
    """One line of YAML's flow style."""
    plain = dict(value) if isinstance(value, Mapping) else value
    text = yaml.safe_dump(
        plain, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("...\n").rstrip("\n")
