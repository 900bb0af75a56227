"""`hub replay`: a recorded request once more, and what is different now."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hub.cli.errors import CommandError, did_you_mean
from hub.cli.options import Json, Reach
from hub.cli.output import clean, note, on_terminal, print_json, print_table

if TYPE_CHECKING:
    from adapters.codec import Codec
    from hub.cli.client import Address
    from hub.recorder.comparing import Told
    from hub.recorder.document import Document

_KEPT_HEADERS = ("anthropic-", "openai-beta", "x-goog-", "content-type", "accept")
"""Beginnings of the names of headers that are sent again; credentials are the command's own."""
_PATIENCE = 600.0


def replay(
    id: str,  # noqa: A002 - what the help shows
    /,
    *,
    group: Annotated[str | None, Parameter(help="Send it to this group instead.")] = None,
    file: Annotated[Path | None, Parameter(help="This database of recordings.")] = None,
    json: Json = False,
    reach: Reach = Reach(),  # noqa: B008 - frozen
) -> int:
    """Send a recorded request again through the running hub, and show how the new answer differs: text, tool
    calls, stop reason, usage and times. Exit status 0 also where they differ.

    Parameters
    ----------
    id
        The x-request-id of the recorded answer, or its beginning; hub recordings lists them.
    """
    from hub.cli.client import HubClient, find
    from hub.cli.recordings import database, find_one

    document = find_one(database(reach.config, file), id)
    request = document["request"]
    if not request["complete"]:
        raise CommandError(
            f"only the first part of this request was recorded ({request['bytes']} bytes in all): "
            "raise `max_body` of `recorder` in the settings and record it anew"
        )
    address = find(reach)
    with HubClient(address) as hub:
        groups = [one["name"] for one in hub.status()["groups"]]
    if group is not None and group not in groups:
        raise CommandError(f'unknown group "{group}"{did_you_mean(group, groups)}')
    codec, path = _place(request["path"], group)
    if "***" in str(request.get("body", "")):
        note("secrets in the recorded request are masked as ***, and are sent so")
    before = _recorded(codec, document)
    after, new_id = _send(address, request, path, codec)
    _show(document["id"], new_id, before, after, json)
    return 0


def _place(path: str, group: str | None) -> tuple[Codec, str]:
    """The protocol of a path, and that path below another group."""
    from adapters.registry import codecs
    from routing.routes import RouteTable

    found = RouteTable(codecs()).find(path)
    endpoints = found.endpoints.get("POST") if found is not None else None
    if found is None or endpoints is None:
        raise CommandError(f"nothing takes requests at {path} any more: its protocol is not installed")
    if group is not None:
        rest = path.removeprefix(f"/{found.prefix}") if found.prefix else path
        path = f"/{group}{rest}"
    return endpoints[0].codec, path


def _recorded(codec: Codec, document: Document) -> Told:
    from hub.recorder.comparing import told
    from hub.recorder.document import body_of

    answer, outcome = document["answer"], document["outcome"]
    if not answer["complete"]:
        note("of the recorded answer only the first part was kept")
    return told(
        codec,
        answer["status"],
        answer["headers"].get("content-type", ""),
        body_of(answer),
        target=outcome.get("target", ""),
        first_byte=outcome.get("first_byte"),
        duration=outcome.get("duration"),
    )


def _send(address: Address, request: dict[str, Any], path: str, codec: Codec) -> tuple[Told, str]:
    import httpx

    from hub.cli.client import not_running
    from hub.recorder.comparing import told
    from hub.recorder.document import body_of

    headers = {
        name: value for name, value in request["headers"].items() if name.startswith(_KEPT_HEADERS)
    } | address.headers
    url = address.url + path + (f"?{request['query']}" if request["query"] else "")
    started, first = time.perf_counter(), None
    pieces: list[bytes] = []
    try:
        with (
            httpx.Client(trust_env=False, timeout=_PATIENCE) as client,
            client.stream(request["method"], url, headers=headers, content=body_of(request)) as response,
        ):
            for piece in response.iter_bytes():
                first = time.perf_counter() - started if first is None else first
                pieces.append(piece)
    except httpx.TransportError as error:
        if isinstance(error, httpx.ConnectError):
            raise not_running(address, error) from error
        note(f"the answer broke off: {error}")
        if first is None:
            raise CommandError(f"the hub at {address.url} gave no answer") from error
    after = told(
        codec,
        response.status_code,
        response.headers.get("content-type", ""),
        b"".join(pieces),
        target=response.headers.get("x-hub-target", ""),
        first_byte=first,
        duration=time.perf_counter() - started,
    )
    return after, response.headers.get("x-request-id", "")


def _show(id_: str, new_id: str, before: Told, after: Told, as_json: bool) -> None:
    from hub.recorder.comparing import agree, differences, text_diff

    diff = text_diff(before, after, before_name=f"recorded {id_}", after_name=f"now {new_id}")
    if as_json:
        print_json(
            {
                "id": id_,
                "new_id": new_id,
                "same": agree(before, after),
                "recorded": asdict(before),
                "now": asdict(after),
                "diff": diff,
            }
        )
        return
    rows = [
        (row.what, _cell(row.before), _cell(row.after), "" if row.same else "differs")
        for row in differences(before, after)
        if row.before not in ("", None) or row.after not in ("", None)
    ]
    print_table(("", f"recorded {id_}", f"now {new_id}", ""), rows)
    text = "\n".join(diff) if diff else "the answers say the same" if agree(before, after) else ""
    if text:
        print(clean(text) if on_terminal() else text)


def _cell(value: object) -> str:
    return f"{value:.3f} s" if isinstance(value, float) else "" if value is None else str(value)
