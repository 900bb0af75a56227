"""`hub serve`: the hub itself."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hub.cli.banner import banner, taken
from hub.cli.errors import CommandError
from hub.cli.options import Config
from hub.cli.output import note
from hub.cli.settings import load, settings_path, summary
from hub.settings import LoadedSettings, SettingsError, default_settings_path, load_settings

if TYPE_CHECKING:
    from hub.logs.pipeline import LogPipeline

_GC_THRESHOLD = 50_000
"""Together with `gc.freeze()` after the start this was 12 % more small chats per second."""


def serve(
    *,
    config: Config = None,
    host: Annotated[str | None, Parameter(help="Listen on this address. [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, Parameter(help="Listen on this port; 0 takes a free one. [default: 11434]")
    ] = None,
) -> int:
    """Start the hub: MCP tools at /mcp, chat at /v1 and /GROUP/v1, until Ctrl-C.

    Without a settings file it uses what is there: provider keys in the environment, and local model
    servers. A saved change of the settings takes effect without a restart.
    """
    overrides = {"server.host": host, "server.port": port}
    loaded = load(config, overrides)
    for remark in loaded.notes:
        note(remark)
    listener = _listen(loaded)
    with (
        listener,
        _logging(loaded, listener) as pipeline,
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        try:
            runner.run(_serve(loaded, overrides, listener, pipeline))
        except SettingsError as error:
            raise CommandError(summary(loaded.path, error)) from error
    return 0


def _listen(loaded: LoadedSettings) -> socket.socket:
    """Take the port before anything else is started, since it is what most often fails."""
    from hub.server import PortTaken, bind

    server = loaded.settings.server
    try:
        return bind(server.host, server.port)
    except PortTaken as error:
        raise CommandError(taken(error.host, error.port)) from error
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandError(
            f"cannot listen on {server.host}:{server.port}: {reason}; --host takes an address of this machine"
        ) from error


@contextmanager
def _logging(loaded: LoadedSettings, listener: socket.socket) -> Iterator[LogPipeline]:
    """The log, from before anything is said until after the last word."""
    from hub.logs.pipeline import LogPipeline

    settings = loaded.settings
    pipeline = LogPipeline(settings.log, settings.server.log_level, listener.getsockname()[1])
    pipeline.start()
    try:
        yield pipeline
    finally:
        pipeline.close()


async def _serve(
    loaded: LoadedSettings, overrides: Mapping[str, Any], listener: socket.socket, pipeline: LogPipeline
) -> None:
    from hub import server

    load_again: Callable[[], LoadedSettings]
    found: str | None = None
    if loaded.path is None:
        from hub.discovery import discover

        discovered = await discover(loaded)
        found = discovered.text
        load_again = _until_saved(discovered.loaded, overrides)
    else:
        path = settings_path(loaded.path)
        load_again = lambda: load_settings(path, overrides=overrides)  # noqa: E731

    def started(hub: Any) -> None:
        print(banner(hub.live.current.loaded, listener.getsockname(), found), flush=True)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)

    await server.serve(load_again, listener, on_started=started, pipeline=pipeline)


def _until_saved(found: LoadedSettings, overrides: Mapping[str, Any]) -> Callable[[], LoadedSettings]:
    """Loads what was found, until a settings file is saved in a usual place; from then on, that file."""
    path: Path | None = None

    def load_again() -> LoadedSettings:
        nonlocal path
        path = path or default_settings_path()
        return found if path is None else load_settings(path, overrides=overrides)

    return load_again


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return None
    return uvloop.new_event_loop
