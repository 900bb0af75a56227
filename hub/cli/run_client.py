"""`hub run`: a chat client that uses this hub, for one run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from cyclopts import Parameter

from hub.cli.client import HubClient, NotAllowed, find
from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Reach, Text
from hub.client_programs import CLIENT_PROGRAMS, ClientProgram, Place, Start

_FORWARDED = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)  # fmt: skip
_FROM_THE_TERMINAL = ("SIGINT", "SIGQUIT")
_SWITCH = "/switch"


def run_client(
    client: str,
    /,
    *arguments: Annotated[str, Text],
    group: Annotated[
        str | None, Parameter(help="The group that answers; absent: the active one, as `hub switch` says.")
    ] = None,
    profile: Annotated[str | None, Parameter(help="The profile whose tools it gets; absent: all.")] = None,
    protocol: Annotated[
        str | None,
        Parameter(help="For clients that speak several; absent: that of the group's first target."),
    ] = None,
    reach: Reach = Reach(),  # noqa: B008 - frozen
) -> int:
    """Start a chat client with the models and tools of the running hub. Its own settings stay as they are.

    Parameters
    ----------
    client
        claude, gemini, codex, opencode, qwen or copilot.
    arguments
        For the client. Those that `hub run` has as well stand behind `--`.
    """
    known = _known(client, protocol)
    program = shutil.which(known.program)
    if program is None:
        raise CommandError(f"{known.title} is not installed; get it with: npm install -g {known.package}")
    address = find(reach)
    with HubClient(address) as hub:
        try:
            status = hub.status()
        except NotAllowed:  # a key for chat and tools alone
            status = None
    with tempfile.TemporaryDirectory(prefix="hub-run-") as folder:
        place = Place(
            url=address.url,
            prefix=f"/{quote(group, safe='')}" if group else _SWITCH,
            tools=f"/mcp/{quote(profile, safe='')}" if profile else "/mcp",
            model=group or "hub",
            folder=Path(folder),
            protocol=_protocol(known, protocol, _targets(group, status)),
            key=address.key,
        )
        _check_profile(profile, status)
        start = known.start(place, arguments)
        _furnish(place.folder, start)
        return _run([program, *start.arguments, *arguments], _environ(start, address.url))


def _known(client: str, protocol: str | None) -> ClientProgram:
    known = CLIENT_PROGRAMS.get(client)
    if known is None:
        raise UsageError(f'run: unknown client "{client}"{did_you_mean(client, CLIENT_PROGRAMS)}')
    if protocol is not None and protocol not in known.protocols:
        there = ", ".join(known.protocols)
        raise UsageError(f"run: {known.title} does not speak {protocol} with the hub; it speaks {there}")
    return known


def _targets(group: str | None, status: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    """Those of the group, or of the active one. Raises CommandError: there is no such group."""
    if status is None:
        return ()
    groups = {known["name"]: known for known in status["groups"]}
    name = group or status["active_group"] or status["default_group"]
    if name is None:
        raise CommandError("no group is active; name one with --group, or choose one: hub switch GROUP")
    if name not in groups:
        hint = did_you_mean(name, groups) or "; hub groups lists them"
        raise CommandError(f'unknown group "{name}"{hint}')
    targets: Sequence[Mapping[str, Any]] = groups[name]["targets"]
    return targets


def _check_profile(profile: str | None, status: Mapping[str, Any] | None) -> None:
    if profile is not None and status is not None and profile not in status["profiles"]:
        raise CommandError(f'unknown profile "{profile}"{did_you_mean(profile, status["profiles"])}')


def _protocol(known: ClientProgram, wanted: str | None, targets: Sequence[Mapping[str, Any]]) -> str:
    """Where client and target speak the same, nothing is converted."""
    spoken = [target["protocol"] for target in targets[:1] if target["protocol"] in known.protocols]
    return wanted or next(iter(spoken), known.protocols[0])


def _furnish(folder: Path, start: Start) -> None:
    for name, document in start.files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(json.dumps(document, indent=1))
    for name, original in start.links.items():
        with suppress(OSError):  # Windows lets not everybody make links
            (folder / name).symlink_to(original, target_is_directory=original.is_dir())


def _environ(start: Start, url: str) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name not in start.without}
    environ.update(start.environ)
    if any(environ.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")):
        host = urlsplit(url).hostname or ""
        for name in ("NO_PROXY", "no_proxy"):  # the hub is not behind the proxy
            environ[name] = ",".join(filter(None, (environ.get(name), host)))
    return environ


def _run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run to its end; as in a shell, 128 + N says that signal N ended it."""
    children: list[subprocess.Popen[bytes]] = []
    with _forwarding(children):
        try:
            process = subprocess.Popen(command, env=environ)  # noqa: S603 - what the user asked for
        except OSError as error:
            raise CommandError(f"{command[0]} cannot be started: {error.strerror}") from error
        children.append(process)
        status = process.wait()
    return 128 - status if status < 0 else status


@contextmanager
def _forwarding(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Pass signals on to the child. What a terminal's keys send, the terminal sends to the child itself."""
    at_terminal = sys.stdin.isatty()

    def forward(number: int, _: FrameType | None) -> None:
        if at_terminal and signal.Signals(number).name in _FROM_THE_TERMINAL:
            return
        for child in children:
            child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
