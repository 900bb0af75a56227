"""`hub explain`: what the hub would make of a request, without sending it."""

from __future__ import annotations

import difflib
import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

from cyclopts import Parameter

from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Config, Json, Text, refuse_option
from hub.cli.output import clean, note, on_terminal, print_json
from hub.cli.settings import load

if TYPE_CHECKING:
    from adapters.codec import Codec
    from hub.settings import LoadedSettings
    from routing.call import Call
    from routing.explain import Explanation
    from routing.table import Table

_ANY_MODEL = "any"
"""The model in the path of a protocol that has it there, where the command line gives no path."""


def explain(
    first: Annotated[str | None, Text] = None,
    second: Annotated[str | None, Text] = None,
    /,
    *,
    from_: Annotated[
        str | None, Parameter(name="--from", help="The request's protocol; else told by its shape.")
    ] = None,
    path: Annotated[
        str | None, Parameter(help="The path that it would be sent to, such as /v1/messages.")
    ] = None,
    header: Annotated[
        list[str] | None,
        Parameter(
            help="A header of the request, such as 'anthropic-beta: x'; may be repeated.",
            negative="",
            allow_leading_hyphen=True,
        ),
    ] = None,
    diff: Annotated[bool, Parameter(negative="", help="Show how the body changes.")] = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what the hub would make of a request, without sending it: whom it would ask and why, the
    exact upstream request with its secrets masked, and what could not be carried over.

    hub explain [GROUP] [FILE|-]

    Parameters
    ----------
    first
        The group, as in a request's path; without it the request's model names one, or the active
        group answers.
    second
        A file with the request's JSON body; `-`, or nothing in a pipe, reads standard input.
    """
    from adapters.errors import AdapterError
    from routing.explain import explain as explained
    from routing.resolve import RoutingError

    loaded = load(config)
    table = _table(loaded)
    group, file = _told(first, second, table)
    body = _read(file)
    try:
        call = _call(body, group, from_, path, _headers(header or []))
        found = explained(table, call, active_group=_active(loaded, table))
    except RoutingError as error:
        raise CommandError(f"nothing would be sent: {error.error.message}") from error
    except AdapterError as error:
        raise CommandError(f"nothing would be sent: {error}") from error
    if json:
        print_json(_document(found, body, diff))
    else:
        _print(found, body, diff)
    return 0


# ---------------------------------------------------------------- what is asked


def _table(loaded: LoadedSettings) -> Table:
    from hub.snapshot import build_table, embedded_providers

    embedded = embedded_providers(loaded.settings)
    for name in embedded:
        note(f"{name} is embedded: the port in its URL is known only while the hub runs")
    return build_table(
        loaded.settings, loaded.environ, embedded=dict.fromkeys(embedded, "http://127.0.0.1/v1")
    )


def _active(loaded: LoadedSettings, table: Table) -> str | None:
    from hub.active_group import ActiveGroup, state_file

    active = ActiveGroup(loaded.path, state_file())
    active.follow(tuple(table.groups), table.default_group)
    return active.name


def _told(first: str | None, second: str | None, table: Table) -> tuple[str | None, str | None]:
    """Group and file. One word alone is a group if there is such a one, else a file."""
    for word in (first, second):
        if word is not None and word != "-":
            refuse_option(word)
    if first is None or second is not None:
        group, file = first, second
    elif first in table.groups:
        return first, None
    elif first == "-" or Path(first).exists():
        return None, first
    else:
        group, file = first, None
    if group is not None and group not in table.groups and group != "switch":
        kind = "" if file else " and no such file"
        raise UsageError(f'explain: unknown group "{group}"{kind}{did_you_mean(group, table.groups)}')
    return group, file


def _read(file: str | None) -> bytes:
    if file is None and sys.stdin.isatty():
        raise UsageError("explain: the request is missing: hub explain GROUP request.json, or pipe it in")
    if file is None or file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"explain: {file} cannot be read: {error.strerror}") from error


def _headers(texts: list[str]) -> dict[bytes, bytes]:
    pairs = [text.partition(":") for text in texts]
    for name, colon, _ in pairs:
        if not colon or not name.strip():
            raise UsageError(f"explain: --header is written as 'name: value', not as {name!r}")
    return {name.strip().lower().encode(): value.strip().encode() for name, _, value in pairs}


def _call(
    body: bytes, group: str | None, protocol: str | None, path: str | None, headers: dict[bytes, bytes]
) -> Call:
    from adapters.registry import codecs
    from routing.call import call_at
    from routing.routes import RouteTable

    routes = RouteTable(codecs())
    place, _, query = (path or _default_path(body, protocol)).partition("?")
    place = unquote("/" + place.lstrip("/"))
    if group is not None and not place.startswith(f"/{group}/"):
        place = f"/{group}{place}"
    found = routes.find(place)
    endpoints = found.endpoints.get("POST") if found is not None else None
    if found is None or endpoints is None:
        codec = routes.nearest(place)
        known = ", ".join(route.path for route in codec.routes if route.method == "POST")
        raise UsageError(f"explain: nothing takes requests at {place}; {codec.title} has {known}")
    endpoint = endpoints[0]
    if path is not None and protocol is not None and endpoint.codec.name != protocol:
        raise UsageError(f"explain: {place} is a path of {endpoint.codec.name}, not of {protocol}")
    return call_at(found, endpoint, query=query, headers=headers, body=body, id="explain", started=0.0)


def _default_path(body: bytes, protocol: str | None) -> str:
    """Where a client of that protocol sends its chats."""
    codec = _codec(body, protocol)
    route = next(route for route in codec.routes if route.operation == "chat")
    return route.path.replace("{model:path}", _ANY_MODEL).replace("{model}", _ANY_MODEL)


def _codec(body: bytes, protocol: str | None) -> Codec:
    from adapters.guess import protocol_of
    from adapters.peek import peek
    from adapters.registry import codec, names

    guessed = protocol or protocol_of(peek(body).document)
    if guessed is not None and protocol is None:
        note(f"read as a request of the protocol {guessed}; --from or --path says another")
    if guessed is None:
        raise UsageError(
            f"explain: the request looks like none of {', '.join(names())}: say which with --from or --path"
        )
    if guessed not in names():
        raise UsageError(f'explain: unknown protocol "{guessed}"{did_you_mean(guessed, names())}')
    return codec(guessed)


# ---------------------------------------------------------------- what is answered


def _document(found: Explanation, body: bytes, diff: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "group": found.group,
        "group_reason": found.group_reason,
        "target": found.target,
        "target_reason": found.target_reason,
        "client_protocol": found.client_protocol,
        "target_protocol": found.target_protocol,
        "passes_through": found.passes_through,
        "request": {
            "method": found.request.method,
            "url": found.request.url,
            "headers": dict(found.request.headers),
            "body": json_module.loads(found.request.body),
        },
        "losses": [{"code": one.code, "where": one.where, "detail": one.detail} for one in found.losses],
        "passed_over": [{"target": one.target, "reason": one.reason} for one in found.passed_over],
        "rules": [{"rule": one.rule, "holds": one.holds, "reason": one.reason} for one in found.rules],
        "changes": list(found.changes),
        "then": list(found.then),
    }
    return {**document, "diff": _diff(found, body)} if diff else document


def _print(found: Explanation, body: bytes, diff: bool) -> None:
    way = "passed through" if found.passes_through else f"converted from {found.client_protocol}"
    lines = [
        f"group   {found.group}: {found.group_reason}",
        *(
            f"rule    {one.rule} {'holds' if one.holds else 'does not hold'}: {one.reason}"
            for one in found.rules
        ),
        f"target  {found.target} ({found.target_protocol}, {way}): {found.target_reason}",
        *(f"not     {one.target}: {one.reason}" for one in found.passed_over),
        *(f"then    {target}" for target in found.then),
        *(f"change  {change}" for change in found.changes),
        "",
        f"{found.request.method} {found.request.url}",
        *(f"{name}: {value}" for name, value in found.request.headers.items()),
        "",
        *(_diff(found, body) if diff else _pretty(found.request.body)),
        "",
        "nothing is lost" if not found.losses else f"lost    {len(found.losses)}:",
        *(f"  {one.code} at {one.where or 'the top'}: {one.detail}" for one in found.losses),
    ]
    text = "\n".join(lines)
    print(clean(text) if on_terminal() else text)


def _diff(found: Explanation, body: bytes) -> list[str]:
    """How the body changes, as a unified diff of both, laid out alike."""
    before, after = f"client ({found.client_protocol})", f"upstream ({found.target_protocol})"
    return list(
        difflib.unified_diff(_pretty(body), _pretty(found.request.body), before, after, n=2, lineterm="")
    )


def _pretty(body: bytes) -> list[str]:
    from adapters.peek import parse

    return json_module.dumps(parse(body), indent=2, ensure_ascii=False).splitlines()
