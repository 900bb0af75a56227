"""`hub audit`: tool calls one by one: who, what, how it went, how long, how large."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from hub.cli.errors import CommandError, UsageError
from hub.cli.options import Config, Json
from hub.cli.output import clean, note, on_terminal, print_json, print_table
from hub.cli.settings import load

_SHORT_HASH = 12


def audit(
    *,
    since: Annotated[str, Parameter(help="The beginning: 7d, 12h (ago), or a date.")] = "1d",
    server: Annotated[str | None, Parameter(help="Of this MCP server alone.")] = None,
    tool: Annotated[str | None, Parameter(help="Of this tool alone, by the server's own name.")] = None,
    of_key: Annotated[str | None, Parameter(help="Of the hub's key of this name alone.")] = None,
    client: Annotated[str | None, Parameter(help="Of this client program alone.")] = None,
    failed: Annotated[bool, Parameter(negative="", help="Only those that failed.")] = False,
    limit: Annotated[int, Parameter(help="At most so many, the newest ones.")] = 100,
    config: Config = None,
    json: Json = False,
) -> int:
    """List calls of MCP tools, from the usage database, whether a hub runs or not.

    Arguments are shown as a hash that is equal for equal ones, and in full where the settings keep them
    (`audit.arguments`). In a pipe a row is: time, key, client, server, tool, outcome, seconds, bytes in,
    bytes out, hash, arguments.
    """
    from hub.usage.audit import Chosen, tool_calls
    from hub.usage.moments import moment
    from hub.usage.report import UsageError as Unreadable
    from hub.usage.writer import database_url

    if limit < 1:
        raise UsageError("--limit must be 1 or more")
    try:
        begin = moment(since, time.time())
    except ValueError as error:
        raise UsageError(str(error)) from None
    settings = load(config).settings.usage
    if not settings.enabled:
        note("nothing is being written down: `usage.enabled` is false in the settings")
    chosen = Chosen(begin, server, tool, of_key, client, failed, limit)
    try:
        found = tool_calls(database_url(settings), chosen)
    except Unreadable as error:
        raise CommandError(str(error)) from error
    if json:
        print_json({"calls": found})
        return 0
    if not found:
        note("no tool was called then")
    elif on_terminal():
        titles = ("time", "key", "client", "server", "tool", "outcome", "took", "in", "out", "arguments")
        print_table(titles, [_for_eyes(call) for call in found])
    else:
        print_table((), [_for_pipe(call) for call in found])
    return 0


def _for_eyes(call: dict[str, Any]) -> tuple[str, ...]:
    when = datetime.fromtimestamp(call["time"], UTC).astimezone().strftime("%m-%d %H:%M:%S")
    kept, hashed = call["arguments"], call["arguments_hash"]
    arguments = clean(kept) if kept is not None else hashed[:_SHORT_HASH]
    return (
        when,
        *(clean(call[name]) for name in ("key", "client", "server", "tool")),
        call["outcome"],
        f"{call['duration']:.2f} s",
        f"{call['bytes_in']:,}",
        f"{call['bytes_out']:,}",
        arguments,
    )


def _for_pipe(call: dict[str, Any]) -> tuple[object, ...]:
    return (
        datetime.fromtimestamp(call["time"], UTC).astimezone().isoformat(timespec="milliseconds"),
        *(clean(call[name]) for name in ("key", "client", "server", "tool")),
        *(call[name] for name in ("outcome", "duration", "bytes_in", "bytes_out", "arguments_hash")),
        clean(call["arguments"] or ""),
    )
