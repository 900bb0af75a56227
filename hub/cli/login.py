"""`hub login` and `hub logout`: a remote MCP server's OAuth, which a running hub never begins by itself."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Config
from hub.cli.output import note
from hub.cli.settings import load
from hub.oauth.flow import LoginFailed, log_in, take_back
from hub.oauth.receiver import Receiver, WrongState
from hub.oauth.record import LoginRecord, read_record, secret_name
from hub.secret_store import SecretStore, SecretStoreError
from hub.settings.mcp import McpServerSettings

_PATIENCE_SECONDS = 30.0
_PLACES = {"keyring": "in the keyring of this system", "file": "encrypted in {path}"}


def login(
    server: str,
    /,
    *,
    browser: Annotated[
        bool, Parameter(negative="--no-browser", help="Open the browser; else paste where it came out.")
    ] = True,
    config: Config = None,
) -> int:
    """Log in at a remote MCP server, in the browser. A running hub uses the new token at once.

    Without a browser on this machine: open the address that is printed wherever you like, say yes, and paste
    the address at which the browser comes out, even if it shows no page.

    Parameters
    ----------
    server
        Its name under `mcpServers`.
    """
    settings = _server(server, config)
    store, name = SecretStore(), secret_name(server, settings.url or "")
    before = _kept(store, name, settings)

    async def show(url: str, receiver: Receiver) -> None:
        _show(url, receiver, browser)

    try:
        record = asyncio.run(log_in(settings, before, show))
    except LoginFailed as error:
        raise CommandError(f"{server}: {error}") from None
    try:
        place = store.write(name, record.model_dump_json(exclude_none=True))
    except SecretStoreError as error:
        raise CommandError(str(error)) from None
    scope = record.token.scope if record.token is not None else None
    print(f"{server}: logged in" + (f" for {scope}" if scope else ""))
    note(f"the token is kept {_PLACES[place].format(path=store.path)}")
    if record.token is not None and not record.token.refresh_token and record.token.expires_in:
        note(f"it is good for {record.token.expires_in // 60} minutes, and cannot be refreshed")
    return 0


def logout(server: str, /, *, config: Config = None) -> int:
    """Forget the login at a remote MCP server, and ask its authorization server to do the same.

    Parameters
    ----------
    server
        Its name under `mcpServers`.
    """
    settings = _server(server, config)
    store, name = SecretStore(), secret_name(server, settings.url or "")
    before = _kept(store, name, settings)
    try:
        # A hub that refreshes the token just now would keep it again.
        with store.alone(name, _PATIENCE_SECONDS):
            known = store.delete(name)
    except TimeoutError:
        raise CommandError(f"{server}: a hub is refreshing the token; try again") from None
    except SecretStoreError as error:
        raise CommandError(str(error)) from None
    if not known:
        raise CommandError(f"{server}: nobody was logged in")
    revoked = before is not None and asyncio.run(take_back(before))
    print(f"{server}: logged out" + (", and the token was taken back" if revoked else ""))
    return 0


def _server(name: str, config: Path | None) -> McpServerSettings:
    servers = load(config).settings.mcp_servers
    if name not in servers:
        raise UsageError(f"the settings have no MCP server `{name}`{did_you_mean(name, servers)}")
    settings = servers[name]
    if settings.url is None:
        raise CommandError(
            f"{name} is a program on this machine: it gets its secrets in `env`, not by a login"
        )
    if settings.sends_authorization:
        raise CommandError(
            f"{name} has a credential in its `headers`; take Authorization out there to log in instead"
        )
    return settings


def _kept(store: SecretStore, name: str, settings: McpServerSettings) -> LoginRecord | None:
    """What cannot be read is what the new login puts right."""
    with suppress(SecretStoreError):
        return read_record(store.read(name), settings.url or "")
    return None


def _show(url: str, receiver: Receiver, browser: bool) -> None:
    opening = browser and _has_screen()
    print("opening your browser; if it shows no login, open:" if opening else "open this in a browser:")
    print(url, flush=True)
    if opening:
        # Not in this thread: some browsers come back only when they are closed.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    if browser and not sys.stdin.isatty():
        return
    if not opening:
        note("then paste here the address at which the browser comes out")
    loop = asyncio.get_running_loop()
    threading.Thread(target=_read_pasted, args=(receiver, loop), daemon=True).start()


def _has_screen() -> bool:
    """Without one a browser in the terminal would open, over the terminal."""
    if sys.platform in ("win32", "darwin") or "BROWSER" in os.environ:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _read_pasted(receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
    def take(line: str) -> None:
        try:
            receiver.take(line)
        except WrongState:
            note("this is not the answer to this login (its `state` is another one); paste the whole address")

    for line in sys.stdin:
        if line.strip():
            with suppress(RuntimeError):  # the login is over
                loop.call_soon_threadsafe(take, line)
