"""Each IDE's entry for the hub: is it there, and does it point to this hub?"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hub.doctor.findings import Finding, note, ok, wrong
from hub.ide.found import Unreadable, entries
from hub.ide.programs import KEY_VARIABLE, NAME, PROGRAMS, Program

_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
_URL_KEYS = ("url", "httpUrl", "serverUrl")


@dataclass(frozen=True, slots=True)
class Expected:
    """Where this hub is, what is below `/mcp` there, and whether it asks for a key."""

    url: str
    endpoints: Collection[str] | None
    """Names of profiles and servers; None: the settings cannot be read."""
    asks_for_key: bool


def ide_findings(expected: Expected, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """A row for each program that has a settings file, of the user or of the project in this folder."""
    found = False
    for ide, program in PROGRAMS.items():
        for project in (None, Path.cwd()):
            if project is not None and not program.project_files:
                continue
            path = program.file(project)
            if path.is_file():
                found = True
                yield _entry(ide, program, path, project is not None, expected, environ)
    if not found:
        yield note(
            "IDE",
            "all",
            "no IDE's settings file is here",
            "hub install IDE, for instance: hub install cursor",
        )


def _entry(
    ide: str, program: Program, path: Path, project: bool, expected: Expected, environ: Mapping[str, str]
) -> Finding:
    again = f"hub install {ide}{' --project' if project else ''}"
    subject = f"{ide} (project)" if project else ide
    try:
        entry = entries(program, path).get(NAME)
    except Unreadable as error:
        return wrong("IDE", subject, str(error), f"repair it; {program.title} cannot read it either")
    if not isinstance(entry, dict):
        return note("IDE", subject, "the hub is not registered", again)
    place = _place(entry)
    if place is None:
        return wrong("IDE", subject, f"its entry `{NAME}` has no address of a hub", again)
    url, endpoint = place
    if not _same(url, expected.url):
        what = f"its entry points to {url}, and this hub is at {expected.url}"
        return wrong("IDE", subject, what, again)
    if endpoint and expected.endpoints is not None and endpoint not in expected.endpoints:
        what = f"its entry names /mcp/{endpoint}, and there is no such profile or server"
        return wrong("IDE", subject, what, f"{again}, or {again} --profile with one that there is")
    if expected.asks_for_key and not _has_key(entry):
        return wrong("IDE", subject, "its entry has no key, and this hub asks for one", f"{again} --key KEY")
    if entry.get("enabled") is False or entry.get("disabled") is True:
        return note("IDE", subject, "its entry is switched off", f"switch it on in {path}")
    if expected.asks_for_key and KEY_VARIABLE not in environ and not program.key_in_file:
        what = f"is registered; it reads the key from {KEY_VARIABLE}, which is not set here"
        return note("IDE", subject, what, f"set {KEY_VARIABLE} where {program.title} starts")
    return ok("IDE", subject, f"is registered: /mcp{'/' + endpoint if endpoint else ''}")


def _place(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """The address and the name below `/mcp` of an entry with a URL, or one that starts `hub connect`."""
    written = next((entry[key] for key in _URL_KEYS if isinstance(entry.get(key), str)), None)
    if written is not None:
        url, mcp, name = str(written).partition("/mcp")
        return (url, unquote(name.strip("/"))) if mcp else None
    arguments = [str(one) for one in entry.get("args") or () if isinstance(one, str)]
    if "connect" not in arguments:
        return None
    rest = arguments[arguments.index("connect") + 1 :]
    url = rest[rest.index("--url") + 1] if "--url" in rest[:-1] else ""
    return url, rest[0] if rest and not rest[0].startswith("-") else ""


def _same(url: str, expected: str) -> bool:
    """Whether both are the same host and port; `hub connect` without a URL finds the hub by the settings."""
    if not url:
        return True
    try:
        mine, other = urlsplit(expected), urlsplit(url)
        ports = mine.port, other.port
    except ValueError:
        return False
    hosts = mine.hostname, other.hostname
    return ports[0] == ports[1] and (hosts[0] == hosts[1] or _LOOPBACK.issuperset(hosts))


def _has_key(entry: Mapping[str, Any]) -> bool:
    headers, env = entry.get("headers"), entry.get("env")
    return (
        "bearer_token_env_var" in entry
        or (isinstance(headers, dict) and any(name.lower() == "authorization" for name in headers))
        or (isinstance(env, dict) and KEY_VARIABLE in env)
    )
