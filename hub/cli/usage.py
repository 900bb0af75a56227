"""`hub usage`: what was used, by whom, and what it cost."""

from __future__ import annotations

import csv
import sys
from shutil import get_terminal_size
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from hub.cli.client import HubClient, find
from hub.cli.errors import CommandError, UsageError
from hub.cli.options import Json, Reach
from hub.cli.output import note, on_terminal, one_line, print_json, print_table, table_width
from hub.cli.settings import load

By = Literal["day", "group", "model", "provider", "key", "client", "tool"]
_COLUMNS = {
    "requests": "requests",
    "tool_calls": "tool calls",
    "failed": "failed",
    "tokens_in": "tokens in",
    "tokens_cached": "cached",
    "tokens_out": "out",
    "tokens_reasoning": "reasoning",
    "cost": "cost",
    "first_byte": "first byte",
    "duration": "duration",
}
_LEFT_OUT_FIRST = ("tokens_reasoning", "tokens_cached", "first_byte", "duration", "failed")
"""Columns that a narrow terminal goes without, one after another."""
_BAR = 20
_SHORTEST_BAR = 6
_EIGHTHS = " ▏▎▍▌▋▊▉"


def usage(
    *,
    by: Annotated[By, Parameter(help="What a row is.")] = "day",
    since: Annotated[str, Parameter(help="The beginning: 7d, 12h (ago), or a date.")] = "30d",
    until: Annotated[str | None, Parameter(help="The end, likewise. [default: now]")] = None,
    group: Annotated[str | None, Parameter(help="Of this group alone.")] = None,
    model: Annotated[str | None, Parameter(help="Of this model alone.")] = None,
    provider: Annotated[str | None, Parameter(help="Of this provider alone.")] = None,
    of_key: Annotated[str | None, Parameter(help="Of the hub's key of this name alone.")] = None,
    client: Annotated[str | None, Parameter(help="Of this client program alone.")] = None,
    reach: Reach = Reach(),  # noqa: B008 - frozen
    json: Json = False,
    as_csv: Annotated[bool, Parameter(name="--csv", negative="", help="Print CSV with a heading.")] = False,
) -> int:
    """Sum up what went through the hub: requests, tool calls, tokens, cost, times.

    Reads the usage database of the settings, whether a hub runs or not; with --url, --host or --port
    that hub is asked. Costs are US dollars; `+` behind one: for some requests no price is known. In a pipe a
    row is: name, requests, tool calls, failed, tokens in, cached, out, reasoning, cost, seconds to the first
    byte, seconds.
    """
    if json and as_csv:
        raise UsageError("give either --json or --csv")
    words = {
        "by": by,
        "since": since,
        "until": until,
        "group": group,
        "model": model,
        "provider": provider,
        "key": of_key,
        "client": client,
    }
    chosen = {name: word for name, word in words.items() if word is not None}
    found = _of_hub(reach, chosen) if reach.explicit else _of_database(reach, by, chosen)
    if json:
        print_json(found)
    elif as_csv:
        _print_csv(found)
    else:
        _print(found)
    return 0


def _of_hub(reach: Reach, chosen: dict[str, str]) -> dict[str, Any]:
    with HubClient(find(reach)) as hub:
        return hub.usage(chosen)


def _of_database(reach: Reach, by: By, chosen: dict[str, str]) -> dict[str, Any]:
    from hub.usage.endpoint import filter_of
    from hub.usage.report import UsageError as Unreadable
    from hub.usage.report import report
    from hub.usage.writer import database_url

    try:
        wanted = filter_of(chosen)
    except ValueError as error:
        raise UsageError(str(error)) from None
    settings = load(reach.config).settings.usage
    if not settings.enabled:
        note("nothing is being written down: `usage.enabled` is false in the settings")
    try:
        return report(database_url(settings), by, wanted).plain()
    except Unreadable as error:
        raise CommandError(str(error)) from error


# ---------------------------------------------------------------- printing


def _print_csv(found: dict[str, Any]) -> None:
    writer = csv.DictWriter(sys.stdout, list(found["total"]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "name": _safe(row["name"])} for row in found["rows"])


def _safe(name: str) -> str:
    """Spreadsheets take what begins like this for a formula; clients choose some of the names."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _print(found: dict[str, Any]) -> None:
    rows = found["rows"]
    if not rows:
        note(f"nothing was used since {found['since'][:10]}")
    if not on_terminal():
        print_table((), [(row["name"], *(row[name] for name in _COLUMNS)) for row in rows])
        return
    if not rows:
        return
    shown = [name for name in _COLUMNS if found["total"][name]]
    measure, width = _measure(found["total"]), get_terminal_size().columns
    titles, lines = _lines(found, shown, measure, _SHORTEST_BAR)
    for name in _LEFT_OUT_FIRST:
        if table_width(titles, lines) > width and name in shown:
            shown.remove(name)
            titles, lines = _lines(found, shown, measure, _SHORTEST_BAR)
    room = max(0, width - table_width(titles, lines))
    titles, lines = _lines(found, shown, measure, min(_BAR, _SHORTEST_BAR + room))
    print_table(titles, lines, whole_cells=True)
    if found["total"]["estimated"]:
        note(f"the tokens of {found['total']['estimated']} requests are estimates: nobody told them")


def _lines(
    found: dict[str, Any], shown: list[str], measure: str, bar: int
) -> tuple[list[str], list[list[str]]]:
    """Titles and cells, the last of which are bars of at most `bar` characters."""
    rows = found["rows"]
    largest = max(_weight(row, measure) for row in rows)
    lines = [
        [
            one_line(row["name"]) or "-",
            *(_cell(row, name) for name in shown),
            _bar(_weight(row, measure), largest, bar),
        ]
        for row in rows
    ]
    lines.append(["total", *(_cell(found["total"], name) for name in shown), ""])
    return [found["by"], *(_COLUMNS[name] for name in shown), _MEASURES[measure]], lines


_MEASURES = {"cost": "cost", "tokens": "tokens", "calls": "calls"}


def _measure(total: dict[str, Any]) -> str:
    """What the bars show: the first of these of which there is something."""
    return "cost" if total["cost"] else "tokens" if _weight(total, "tokens") else "calls"


def _weight(row: dict[str, Any], measure: str) -> float:
    match measure:
        case "cost":
            return float(row["cost"] or 0)
        case "tokens":
            return float(row["tokens_in"] + row["tokens_out"])
        case _:
            return float(row["requests"] + row["tool_calls"])


def _bar(weight: float, largest: float, length: int) -> str:
    eighths = round(weight / largest * length * 8) if largest else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def _cell(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if name == "cost":
        return "?" if value is None and row["unpriced"] else _dollars(value, more=bool(row["unpriced"]))
    if name in ("first_byte", "duration"):
        return "" if value is None else f"{value:.2f} s"
    return f"{value:,}" if value else ""


def _dollars(value: float | None, *, more: bool) -> str:
    if value is None:
        return ""
    return (
        f"${value:,.2f}{'+' if more else ''}"
        if value >= 1 or not value
        else f"${value:.4f}{'+' if more else ''}"
    )
