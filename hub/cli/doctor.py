"""`hub doctor`: everything that can be wrong, and what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import json as json_module
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import httpx
from cyclopts import Parameter

from hub.cli.banner import taken
from hub.cli.client import Address, HubClient, NotRunning, find
from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Json, Reach
from hub.cli.output import note, print_json, print_table
from hub.cli.settings import load, settings_path
from hub.doctor import findings as found
from hub.settings import LoadedSettings, Problem, SettingsError, load_settings

if TYPE_CHECKING:
    from hub.doctor.examination import Patient

_COLUMNS = ("part", "what", "state", "found", "what to do")


def doctor(
    server: str | None = None,
    /,
    *,
    conformance: Annotated[
        bool, Parameter(negative="", help="Run the MCP conformance suite in front of a server. Needs npm.")
    ] = False,
    reach: Reach = Reach(),  # noqa: B008 - frozen
    json: Json = False,
) -> int:
    """Look at everything that can be wrong: settings, port, programs, servers, providers, keys, IDEs.

    Exit status 0 if all is well, 1 if something is wrong. Nothing is changed, and nothing that costs money is
    asked. In a pipe each line is: part, what, `ok`, `note` or `wrong`, what was found, what to do.

    Parameters
    ----------
    server
        With --conformance: the MCP server to put behind the hub.
    """
    if conformance:
        return _conformance(server, reach, json)
    if server is not None:
        raise UsageError("a server's name goes with --conformance; hub doctor looks at all of them")
    from hub.doctor.examination import examine

    results = asyncio.run(examine(_patient(reach)))
    if json:
        print_json({"ok": not found.any_wrong(results), "findings": [one.plain() for one in results]})
    else:
        print_table(_COLUMNS, [(one.part, one.subject, one.state, one.what, one.remedy) for one in results])
        wrong = sum(one.state == "wrong" for one in results)
        note("all is well" if not wrong else f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong")
    return 1 if found.any_wrong(results) else 0


def _patient(reach: Reach) -> Patient:
    from hub.cli.run import version
    from hub.doctor.examination import Patient

    path = settings_path(reach.config)
    loaded: LoadedSettings | None = None
    problems: tuple[Problem, ...] = ()
    try:
        loaded = load_settings(path)
    except SettingsError as error:
        problems = error.problems
    address = find(reach)
    running, latencies, hub = _running(address, loaded, reach)
    if loaded is not None and path is None:
        from hub.discovery import discover

        loaded = asyncio.run(discover(loaded)).loaded
    asks = address.key is not None or bool(loaded is not None and loaded.settings.keys)
    return Patient(path, loaded, problems, address.url, asks, version(), running, latencies, hub)


def _running(
    address: Address, loaded: LoadedSettings | None, reach: Reach
) -> tuple[Mapping[str, Any] | None, Mapping[str, float | str], tuple[found.Finding, ...]]:
    """The running hub's status and its servers' latencies; or why there is none."""
    with HubClient(address) as client:
        try:
            status = client.status()
        except NotRunning as error:
            return None, {}, (_not_running(error, loaded, reach),)
        except CommandError as error:
            remedy = "give the key with --key or in HUB_KEY; hub keys list shows which there are"
            return None, {}, (found.wrong("hub", address.url, str(error), remedy),)
        answers: Mapping[str, float | str] = {}
        with contextlib.suppress(httpx.HTTPError, ValueError, LookupError):
            answers = client.http.get("/hub/v1/latency").json()["servers"]
    what = f"version {status['version']} runs as process {status['pid']}"
    return status, answers, (found.ok("hub", address.url, what),)


def _not_running(error: NotRunning, loaded: LoadedSettings | None, reach: Reach) -> found.Finding:
    """Whether the hub could start where the settings say, or who is there."""
    if reach.url is not None or loaded is None:
        what, _, remedy = str(error).partition("; ")
        return found.wrong("hub", reach.url or "address", what, remedy or "start it: hub serve")
    from hub.server import PortTaken, bind

    host, port = reach.host or loaded.settings.server.host, reach.port or loaded.settings.server.port
    try:
        bind(host, port).close()
    except PortTaken:
        what, _, remedy = taken(host, port).partition("; ")
        return found.wrong("hub", f"{host}:{port}", what, remedy)
    except OSError as refused:
        what = f"cannot listen there: {refused.strerror or refused}"
        return found.wrong("hub", f"{host}:{port}", what, "`server.host` takes an address of this machine")
    return found.note("hub", f"{host}:{port}", "no hub runs, and the port is free", "start it: hub serve")


def _conformance(server: str | None, reach: Reach, json: bool) -> int:
    """Run the suite for both revisions through a hub of its own, which has that server alone and no keys."""
    from hub.doctor import conformance as suite

    loaded = load(reach.config)
    names = [name for name, one in loaded.settings.mcp_servers.items() if not one.disabled]
    if server is None and len(names) == 1:
        server = names[0]
    if server is None:
        raise UsageError(
            f"name the server: hub doctor --conformance NAME; there is: {', '.join(names) or 'none'}"
        )
    if server not in loaded.settings.mcp_servers:
        raise CommandError(f'unknown server "{server}"{did_you_mean(server, names)}')
    try:
        command = suite.install()
        reports = asyncio.run(_runs(loaded, server, command))
    except suite.CannotRun as error:
        raise CommandError(str(error)) from None
    failed = any(report.status for report in reports.values())
    if json:
        runs = [
            {
                "revision": revision,
                "passed": not report.status,
                "scenarios": [asdict(s) for s in report.scenarios],
            }
            for revision, report in reports.items()
        ]
        print(json_module.dumps({"server": server, "suite": suite.VERSION, "runs": runs}))
        return int(failed)
    rows = [
        (
            revision,
            one.name,
            one.kind,
            "failed" if one.failed else "ok",
            f"{one.passed} of {one.passed + one.failed}",
        )
        for revision, report in reports.items()
        for one in report.scenarios
    ]
    print_table(("revision", "scenario", "kind", "result", "checks"), rows)
    if failed:
        note(
            "the suite calls tools, prompts and resources by its own names (test_simple_text, "
            "test://static-text): scenarios fail in front of a server that has none of them"
        )
    return int(failed)


async def _runs(loaded: LoadedSettings, server: str, command: list[str]) -> dict[str, Any]:
    from hub.doctor import conformance as suite

    async with _hub_with(loaded, server) as url:
        return {
            revision: await asyncio.to_thread(suite.run, command, url, revision)
            for revision in suite.REVISIONS
        }


@asynccontextmanager
async def _hub_with(loaded: LoadedSettings, server: str) -> AsyncIterator[str]:
    """The URL of `/mcp/SERVER` of a hub that lasts as long as the block."""
    import uvicorn

    from hub.cli.run import version
    from hub.mcp_hub import McpHub
    from hub.server import bind

    settings = loaded.settings.mcp_servers[server]
    listener = bind("127.0.0.1", 0)
    try:
        async with McpHub(version=version()) as hub:
            config = uvicorn.Config(hub.app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
            web = uvicorn.Server(config)
            serving = asyncio.create_task(web.serve(sockets=[listener]))
            try:
                await hub.apply({server: settings}, {})
                await hub.wait_settled(settings.start_timeout)
                (row,) = hub.status()
                if row.state != "ready":
                    raise CommandError(
                        f"the server {server} is {row.state}: {row.reason or 'it does not answer'}"
                    )
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp/{server}"
            finally:
                web.should_exit = True
                await serving
    finally:
        listener.close()
