"""Each provider: can it be reached, and does it take the key? It is asked for its models, which is free."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from adapters.registry import codec
from hub.discovery import model_names
from hub.doctor.findings import Finding, note, ok, wrong
from hub.settings import Settings
from hub.settings.known_providers import KNOWN_PROVIDERS
from routing.table import Provider, Table
from routing.tls import UnusableTls, tls_context

_SECONDS = 8.0
_AT_ONCE = 16
_LISTS: Mapping[str, str] = {
    "openai": "/models",
    "openai-responses": "/models",
    "anthropic": "/v1/models",
    "gemini": "/v1beta/models",
    "ollama": "/api/tags",
}
_KEY_PATHS: Mapping[str, str] = {"openrouter": "/key"}
"""Known providers that list their models to everybody, and where they tell about a key."""
_HEADERS: Mapping[str, Mapping[str, str]] = {"anthropic": {"anthropic-version": "2023-06-01"}}
_NO_KEY_WORDS = ("api key", "api_key", "apikey", "credential")


async def provider_findings(
    settings: Settings, environ: Mapping[str, str], table: Table, *, seconds: float = _SECONDS
) -> list[Finding]:
    """One row for each provider of a group, or for each of its keys where it has several."""
    limit = asyncio.Semaphore(_AT_ONCE)
    embedded = {name for name, provider in settings.providers.items() if provider.embedded is not None}
    used = {target.provider.name: target.provider for target in _targets(table)}
    models: dict[str, set[str]] = {}
    for target in _targets(table):
        models.setdefault(target.provider.name, set()).add(target.model)

    async def bounded(provider: Provider, key: str | None, label: str) -> Finding:
        async with limit:
            return await _ask(provider, key, label, models[provider.name], seconds)

    asked = [
        bounded(provider, key, label)
        for provider in used.values()
        if provider.name not in embedded
        for key, label in _keys(provider)
    ]
    idle = [
        note("provider", name, "no group uses it", "name it in a group, or take it out")
        for name in settings.providers
        if name not in used
    ]
    return [*await asyncio.gather(*asked), *idle]


def _targets(table: Table) -> Iterable[Any]:
    return (target for group in table.groups.values() for target in group.all_targets())


def _keys(provider: Provider) -> list[tuple[str | None, str]]:
    keys = provider.api_keys
    if len(keys) < 2:
        return [(keys[0] if keys else None, provider.name)]
    return [(key, f"{provider.name}, key {number}") for number, key in enumerate(keys, 1)]


async def _ask(provider: Provider, key: str | None, label: str, models: set[str], seconds: float) -> Finding:
    known = KNOWN_PROVIDERS.get(provider.name)
    if key is None and known is not None and _needs_key(provider):
        remedy = f"set {known.key_variables[0]} in the environment or in .env"
        return wrong("provider", label, "it has no key", remedy)
    own = provider.base_url == (known.base_url if known is not None else None)
    path = _KEY_PATHS.get(provider.name) if own and key is not None else None
    url = provider.base_url + (path or _LISTS.get(provider.protocol, "/models"))
    headers = {
        **_HEADERS.get(provider.protocol, {}),
        **(codec(provider.protocol).authorization(key) if key else {}),
    }
    headers |= {name.lower(): value for name, value in provider.headers.items()}
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            async with httpx.AsyncClient(
                proxy=provider.proxy,
                verify=_verify(provider),
                trust_env=False,
                timeout=seconds,
                follow_redirects=False,
            ) as client:
                answer = await client.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnusableTls, ValueError) as error:
        return wrong("provider", label, _unreachable(provider, error, seconds), _way_out(provider))
    took = f"{(time.monotonic() - began) * 1000:.0f} ms"
    return _judged(provider, key, label, answer, took, set() if path is not None else models)


def _needs_key(provider: Provider) -> bool:
    """Whether it is a known one, at its own address, that answers nobody without a key."""
    known = KNOWN_PROVIDERS.get(provider.name)
    if known is None or known.local or not known.key_variables or provider.headers:
        return False
    return urlsplit(provider.base_url).netloc == urlsplit(known.base_url).netloc


def _verify(provider: Provider) -> ssl.SSLContext | bool:
    return tls_context(provider.tls)


def _judged(
    provider: Provider, key: str | None, label: str, answer: httpx.Response, took: str, models: set[str]
) -> Finding:
    status = answer.status_code
    host = urlsplit(provider.base_url).netloc.rpartition("@")[2]
    if status in (401, 403) or (status == 400 and any(word in answer.text.lower() for word in _NO_KEY_WORDS)):
        what = (
            f"{host} refuses its key ({status})" if key is not None else f"{host} asks for a key ({status})"
        )
        return wrong("provider", label, what, _key_place(provider))
    if status in (404, 405, 501):
        remedy = "if chats fail, see `base_url`: it is what the protocol's own SDK takes"
        return note("provider", label, f"{host} answers, and has no list of models here ({status})", remedy)
    if status == 429:
        return note(
            "provider", label, f"{host} answers that it is asked too often (429)", "wait, or see its limits"
        )
    if status >= 500:
        return wrong("provider", label, f"{host} has trouble of its own ({status})", "try again later")
    if status != 200:
        return wrong(
            "provider", label, f"{host} answers with {status} in place of its models", _way_out(provider)
        )
    try:
        names = model_names(answer)
    except ValueError:
        names = None
    if names is None and models:
        what = f"what answers at {host} is no chat API of the kind `{provider.protocol}`"
        return wrong("provider", label, what, f"see providers.{provider.name}: `protocol` and `base_url`")
    known = {name.removeprefix("models/") for name in names or ()}
    missing = sorted(model for model in models if known and not _listed(model, known))
    if missing:
        what = f"answers in {took}; not in its list: {', '.join(missing)}"
        return note(
            "provider", label, what, "an alias may work all the same; else correct the group's `model`"
        )
    return ok("provider", label, f"answers in {took}" + (f", {len(known)} models" if known else ""))


def _listed(model: str, known: set[str]) -> bool:
    """Ollama adds `:latest` to names without a tag; a glob or a rule's name is not looked up."""
    return model in known or f"{model}:latest" in known or "*" in model


def _unreachable(provider: Provider, error: Exception, seconds: float) -> str:
    host = urlsplit(provider.base_url).netloc.rpartition("@")[2]
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return f"{host} does not answer within {seconds:g} s"
        case httpx.ConnectError():
            reason = str(error).partition("] ")[2] or str(error) or "no connection"
            return f"{host} cannot be reached: {reason}"
        case UnusableTls():
            return str(error)
        case _:
            return f"{host} cannot be asked: {type(error).__name__}"


def _way_out(provider: Provider) -> str:
    known = KNOWN_PROVIDERS.get(provider.name)
    if known is not None and known.local:
        return f"start {known.title}, or say where it is in providers.{provider.name}.base_url"
    if provider.proxy is not None:
        return f"see providers.{provider.name}: `proxy` and `base_url`"
    return f"see providers.{provider.name}.base_url, and whether this machine reaches it (`proxy`)"


def _key_place(provider: Provider) -> str:
    known = KNOWN_PROVIDERS.get(provider.name)
    if known is not None and known.key_variables:
        return f"put a valid key into {known.key_variables[0]}, or into providers.{provider.name}.api_key"
    return f"put a valid key into providers.{provider.name}.api_key"
