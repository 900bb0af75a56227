"""What a person already has, where there is no settings file: provider keys and local model servers.

A key in the environment and a server that answers on its usual port each become a group, so that
`hub serve` alone is of use.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from hub import SERVER_NAME
from hub.settings import LoadedSettings, load_settings
from hub.settings.checks import is_loopback
from hub.settings.groups import GroupSettings
from hub.settings.known_providers import KNOWN_PROVIDERS, KnownProvider
from hub.settings.providers import ProtocolName
from hub.settings.server import ServerSettings

PROBE_SECONDS = 0.6
QUICKSTART = "hub serve --config configs/quickstart.yaml"

MODEL_LISTS: Mapping[ProtocolName, str] = {"ollama": "/api/tags"}
"""Where a local server lists its models, below its base URL, if not at `/models`."""

ANY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `group` and `model` are None where it cannot be used as it is."""

    provider: str
    what: str
    """`ANTHROPIC_API_KEY in the environment`, or `Ollama at http://127.0.0.1:11434`."""
    group: str | None = None
    model: str | None = None
    models: tuple[str, ...] = ()
    """All that a local server has."""
    advice: str = ""

    def __str__(self) -> str:
        if self.group is None:
            return f"{self.what}: {self.advice}"
        return f"{self.what}: group `{self.group}` answers with {self.model}"


@dataclass(frozen=True, slots=True)
class Discovered:
    """Settings made of the findings, and what to tell the person about them."""

    loaded: LoadedSettings
    findings: tuple[Finding, ...]

    @property
    def text(self) -> str:
        """What was found, a line each, and what to do next."""
        lines = [f"found {finding}" for finding in self.findings]
        settings = self.loaded.settings
        if settings.default_group is None:
            lines.append(
                "found no provider key in the environment and no local model server that can be used"
            )
            lines.append(f"try a small model without any key: {QUICKSTART}")
            lines.append(
                "or set a key, such as OPENROUTER_API_KEY, in the environment or in .env, and start again"
            )
        else:
            lines.append(f'try it: hub chat {settings.default_group} "Hello"')
        lines.append(
            "to choose models and add MCP servers, write hub.yaml here; `hub check` says whether it is right"
        )
        return "\n".join(lines)


async def discover(
    loaded: LoadedSettings | None = None,
    *,
    known: Mapping[str, KnownProvider] = KNOWN_PROVIDERS,
    probe_seconds: float = PROBE_SECONDS,
) -> Discovered:
    """Look for keys and local servers, and add a group for each to the settings of `loaded`.

    `loaded` is what environment and command line say (`load_settings(None)`). Groups that are there
    stay; the first group becomes the default one if there is none. Takes at most `probe_seconds`.
    """
    loaded = loaded or load_settings(None)
    servers = await _local_servers(loaded.settings.server, loaded.environ, known, probe_seconds)
    findings = [*_keys(loaded.environ, known), *servers]
    settings = loaded.settings
    groups = {
        finding.group: GroupSettings(
            provider=finding.provider, model=finding.model, description=f"Found: {finding.what}"
        )
        for finding in findings
        if finding.group is not None
    }
    groups = {**groups, **settings.groups}
    default = settings.default_group or next(iter(settings.groups), None) or next(iter(groups), None)
    settings = settings.model_copy(update={"groups": groups, "default_group": default})
    return Discovered(replace(loaded, settings=settings), tuple(findings))


def _keys(environ: Mapping[str, str], known: Mapping[str, KnownProvider]) -> Iterable[Finding]:
    """One finding for each variable that is set; a provider with two names or protocols counts once."""
    seen: set[str] = set()
    for name, provider in known.items():
        variable = next((one for one in provider.key_variables if environ.get(one, "").strip()), None)
        if provider.local or variable is None or variable in seen:
            continue
        seen.update(provider.key_variables)
        yield Finding(name, f"{variable} in the environment", provider.group or name, provider.model)


async def _local_servers(
    server: ServerSettings,
    environ: Mapping[str, str],
    known: Mapping[str, KnownProvider],
    seconds: float,
) -> list[Finding]:
    candidates = {name: provider for name, provider in known.items() if provider.local}
    timeout = httpx.Timeout(seconds)
    # Not through a proxy: these are on this machine.
    async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as client:
        probes = (_probe(client, name, provider, environ, server) for name, provider in candidates.items())
        found = await asyncio.gather(*probes)
    return [finding for finding in found if finding is not None]


async def _probe(
    client: httpx.AsyncClient,
    name: str,
    provider: KnownProvider,
    environ: Mapping[str, str],
    server: ServerSettings,
) -> Finding | None:
    base_url = provider.url(environ)
    if _is_own_address(base_url, server):
        return None
    key = provider.key(environ)
    headers = {"authorization": f"Bearer {key}"} if key is not None else {}
    try:
        async with asyncio.timeout(client.timeout.read):
            response = await client.get(
                base_url + MODEL_LISTS.get(provider.protocol, "/models"), headers=headers
            )
        models = model_names(response)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
        return None
    if models is None or SERVER_NAME in response.headers.get("server", ""):
        return None
    what = f"{provider.title} at {base_url}"
    if not models:
        return Finding(name, what, advice="it has no model yet; load one there and start the hub again")
    return Finding(name, what, provider.group or name, models[0], models)


def model_names(response: httpx.Response) -> tuple[str, ...] | None:
    """The names in a list of models, of whichever shape; None for what is no such list."""
    if response.status_code != 200:
        return None
    body = json.loads(response.content)
    lists = [value for value in body.values() if isinstance(value, list)] if isinstance(body, dict) else []
    if not lists:
        return None
    names = [_name(item) for item in lists[-1]]
    return tuple(name for name in names if name is not None)


def _name(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    name = item.get("id") or item.get("name")
    return name if isinstance(name, str) and name else None


def _is_own_address(url: str, server: ServerSettings) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    same_host = host == server.host or (
        is_loopback(host) and (is_loopback(server.host) or server.host in ANY_INTERFACE)
    )
    return same_host and parts.port == server.port
