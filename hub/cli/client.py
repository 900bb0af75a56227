"""The running hub, as the other commands see it: its address and its control endpoints."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from hub.cli.errors import CommandError, UsageError
from hub.cli.options import Reach
from hub.settings import LoadedSettings, SettingsError, load_settings
from hub.settings.server import ServerSettings

NAME = "ccproxy-hub"
_TIMEOUT = httpx.Timeout(10, connect=2)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


class NotRunning(CommandError):
    """Nothing answers at the hub's address, or something else does."""


class NotAllowed(CommandError):
    """The hub knows the key and does not let it do that."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the hub is to be found. `key` is what it may ask for."""

    url: str
    key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key is not None else {}

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


def find(reach: Reach) -> Address:
    """The address that the command line names, else that of the settings.

    A key of the settings goes only to the address of the settings.
    """
    given = reach.key or os.environ.get("HUB_KEY")
    if reach.url is not None:
        if reach.host is not None or reach.port is not None:
            raise UsageError("give either --url, or --host and --port")
        return Address(_checked(reach.url), given)
    loaded = settings_of(reach)
    server = loaded.settings.server if loaded is not None else ServerSettings()
    host = reach.host if reach.host is not None else server.host
    host = _EVERYWHERE.get(host, host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{reach.port or server.port}"
    if given is None and loaded is not None and not reach.explicit:
        given = loaded.environ.get("HUB_KEY") or _own_key(loaded)
    return Address(url, given)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--url {url} is no address; write it like http://127.0.0.1:11434")
    return url.rstrip("/")


def settings_of(reach: Reach) -> LoadedSettings | None:
    """Settings that are wrong are the business of `check` and `serve`: a hub may run on older ones."""
    from hub.cli.settings import settings_path

    try:
        return load_settings(settings_path(reach.config))
    except SettingsError:
        return None


def _own_key(loaded: LoadedSettings) -> str | None:
    """A key of the settings that opens everything."""
    for entry in loaded.settings.keys.values():
        expired = entry.expires is not None and entry.expires.timestamp() <= time.time()
        if entry.key is not None and not entry.is_limited and not expired:
            return entry.key.get_secret_value()
    return None


class HubClient:
    """A connection to the running hub. Errors are `CommandError`s in words."""

    def __init__(self, address: Address) -> None:
        self.address = address
        # Without proxies of the environment: the hub is on this machine or in this network.
        self.http = httpx.Client(
            base_url=address.url, headers=address.headers, timeout=_TIMEOUT, trust_env=False
        )

    def __enter__(self) -> HubClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def status(self) -> dict[str, Any]:
        """`GET /hub/v1/status`. Raises `NotRunning` where no hub answers."""
        try:
            response = self.http.get("/hub/v1/status")
        except httpx.HTTPError as error:
            raise not_running(self.address, error) from error
        if response.status_code in (401, 403):
            kind = NotAllowed if response.status_code == 403 else CommandError
            raise kind(_refusal(self.address, response.status_code))
        try:
            status = response.json()
        except ValueError:
            status = None
        if not isinstance(status, dict) or status.get("name") != NAME:
            raise NotRunning(
                f"the program at {self.address.url} is not a hub (port 11434 is also Ollama's); "
                "say where the hub is with --port, or start one: hub serve --port 11435"
            )
        return status

    def usage(self, chosen: Mapping[str, str]) -> dict[str, Any]:
        """`GET /hub/v1/usage`. Raises `CommandError`."""
        self.status()
        response = self.http.get("/hub/v1/usage", params=dict(chosen))
        if response.status_code != 200:
            raise CommandError(error_message(response))
        found: dict[str, Any] = response.json()
        return found

    def switch(self, group: str) -> str:
        """Make `group` the active one; gives back the active group."""
        self.status()
        response = self.http.post("/hub/v1/switch", json={"group": group})
        if response.status_code != 200:
            raise CommandError(error_message(response))
        return str(response.json()["active_group"])


def not_running(address: Address, error: httpx.HTTPError) -> NotRunning:
    if isinstance(error, httpx.ConnectError):
        return NotRunning(f"no hub runs at {address.url}; start one: hub serve")
    reason = str(error) or type(error).__name__
    return NotRunning(f"the hub at {address.url} does not answer: {reason}")


def _refusal(address: Address, status: int) -> str:
    if address.key is None:
        return f"the hub at {address.url} asks for a key; give it with --key or in HUB_KEY"
    what = "does not know this key" if status == 401 else "does not let this key do that"
    return f"the hub at {address.url} {what}; check --key, HUB_KEY and `keys` in the settings"


def error_message(response: httpx.Response) -> str:
    """The message of an error body, of whatever protocol; else the status."""
    try:
        error = response.json()["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, LookupError, TypeError):
        message = ""
    return str(message) or f"the hub answered with status {response.status_code}"
