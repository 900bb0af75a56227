"""URIs inside results: made readable through the endpoint that the result leaves by."""

from __future__ import annotations

from typing import Any

from hub.catalog import UriTable

_Json = dict[str, Any]


def tool_result(result: _Json, table: UriTable) -> _Json:
    """`resource_link` and embedded resources of a `CallToolResult`."""
    return _with_list(result, "content", table, _block)


def prompt_result(result: _Json, table: UriTable) -> _Json:
    """The same in the messages of a `GetPromptResult`."""
    return _with_list(result, "messages", table, _message)


def read_result(result: _Json, table: UriTable) -> _Json:
    """The `uri` of each content of a `ReadResourceResult`."""
    return _with_list(result, "contents", table, _located)


def _with_list(result: _Json, key: str, table: UriTable, rewrite: Any) -> _Json:
    items = result.get(key)
    if table.verbatim or not isinstance(items, list):
        return result
    return {**result, key: [rewrite(item, table) if isinstance(item, dict) else item for item in items]}


def _message(message: _Json, table: UriTable) -> _Json:
    content = message.get("content")
    if isinstance(content, list):
        return _with_list(message, "content", table, _block)
    return {**message, "content": _block(content, table)} if isinstance(content, dict) else message


def _block(block: _Json, table: UriTable) -> _Json:
    match block.get("type"):
        case "resource_link":
            return _located(block, table)
        case "resource" if isinstance(block.get("resource"), dict):
            return {**block, "resource": _located(block["resource"], table)}
        case "tool_result":
            return _with_list(block, "content", table, _block)
        case _:
            return block


def _located(item: _Json, table: UriTable) -> _Json:
    uri = item.get("uri")
    return {**item, "uri": table.public(uri)} if isinstance(uri, str) else item
