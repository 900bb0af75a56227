"""`hub logs`: what the hub has logged, and logs."""

from __future__ import annotations

import json as json_module
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from hub.cli.errors import CommandError, UsageError
from hub.cli.options import Reach
from hub.cli.output import clean, on_terminal
from hub.logs.lines import LEVELS


def logs(
    *,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], negative="", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    request: Annotated[str | None, Parameter(help="Only of this request, by its x-request-id.")] = None,
    level: Annotated[
        str | None, Parameter(help="Only this level and worse: debug, info, warning, error.")
    ] = None,
    group: Annotated[str | None, Parameter(help="Only requests to this group.")] = None,
    since: Annotated[str | None, Parameter(help="Only of this last time, such as 10m, 2h or 7d.")] = None,
    lines: Annotated[
        int | None, Parameter(name=["--lines", "-n"], help="Only the last so many; with --follow 20.")
    ] = None,
    json: Annotated[bool, Parameter(negative="", help="Print a JSON object for each line.")] = False,
    file: Annotated[Path | None, Parameter(help="This log file.")] = None,
    reach: Reach = Reach(),  # noqa: B008 - frozen
) -> int:
    """Show the hub's log: events, and a line for each request with its group, target, status, times, tokens,
    losses and error. The hub need not run.
    """
    from hub.logs.reading import Wanted, read
    from hub.logs.reading import follow as followed

    if level is not None and level not in LEVELS:
        raise UsageError(f"logs: --level is one of {', '.join(LEVELS)}, not {level}")
    path = file if file is not None else log_file(reach)
    wanted = Wanted(request, level or "debug", group, _begin(since))
    try:
        found = list(read(path, wanted))
    except FileNotFoundError:
        if not follow:
            raise CommandError(
                f"there is no log at {path} yet; --port or --file says where another hub's is"
            ) from None
        found = []
    except OSError as error:
        raise CommandError(f"the log {path} cannot be read: {error.strerror}") from error
    shown = lines if lines is not None else 20 if follow and since is None and request is None else None
    for line in found[-shown:] if shown else found if shown is None else []:
        _print(line, json)
    if follow:
        for line in followed(path, wanted):
            _print(line, json)
    return 0


def log_file(reach: Reach) -> Path:
    """Where the hub that is meant writes its log."""
    from hub.cli.client import settings_of
    from hub.logs.files import default_file

    loaded = settings_of(reach)
    if loaded is not None and not reach.explicit:
        match loaded.settings.log.file:
            case False:
                raise CommandError("the settings say `log: {file: false}`: there is no log file to read")
            case Path() as path:
                return path.expanduser()
    if reach.url is not None:
        from urllib.parse import urlsplit

        return default_file(urlsplit(reach.url).port or 80)
    port = reach.port or (loaded.settings.server.port if loaded is not None else 11434)
    return default_file(port)


def _begin(since: str | None) -> float | None:
    from hub.settings.observability import span_in_seconds

    if since is None:
        return None
    try:
        seconds = span_in_seconds(since)
    except ValueError as error:
        raise UsageError(f"logs: --since: {error}") from None
    assert isinstance(seconds, float)
    return time.time() - seconds


def _print(line: dict[str, Any], as_json: bool) -> None:
    from hub.logs.lines import text

    if as_json:
        print(json_module.dumps(line, ensure_ascii=False), flush=True)
        return
    shown = text(line, seconds_only=False)
    print(clean(shown) if on_terminal() else shown, flush=True)
