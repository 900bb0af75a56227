"""Providers: protocols, addresses, proxies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from adapters import registry
from hub.settings.checks.groups import all_targets
from hub.settings.checks.protocols import known_protocol
from hub.settings.checks.words import FRAMING_HEADERS, headers_of, is_loopback, urlsplit_or_none, web_url
from hub.settings.document import Document
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.settings.model import Settings
from hub.settings.problems import KeyPath
from hub.settings.words import nearest_hint

VERSION_BY_SDK = {"anthropic": "/v1", "gemini": "/v1beta", "ollama": "/api"}
"""What the SDKs of these protocols put after their base URL."""


def providers(document: Document, environ: Mapping[str, str]) -> None:
    for name, provider in document.section("providers").items():
        if not isinstance(provider, dict):
            continue
        path = ("providers", name)
        known_protocol(document, (*path, "protocol"), provider.get("protocol"))
        base_url = provider.get("base_url")
        if provider.get("embedded") is not None:
            if base_url is not None:
                document.refuse(
                    (*path, "base_url"), "an embedded model has no `base_url`", "remove one of the two"
                )
            if provider.get("protocol") not in (None, "openai"):  # its Anthropic streams lack events at times
                document.refuse((*path, "protocol"), "an embedded model speaks `openai`", "remove `protocol`")
            continue
        if name not in KNOWN_PROVIDERS:
            _complete_provider(document, name, provider)
        _proxy(document, (*path, "proxy"), provider.get("proxy"))
        if isinstance(base_url, str):
            web_url(document, (*path, "base_url"), base_url)
            if urlsplit_or_none(base_url) and (urlsplit(base_url).query or urlsplit(base_url).fragment):
                document.refuse(
                    (*path, "base_url"), "must end with its path", "leave out what follows `?` or `#`"
                )


def _proxy(document: Document, path: KeyPath, url: object) -> None:
    if not isinstance(url, str) or path in document.problems:
        return
    parts = urlsplit_or_none(url)
    if (
        parts is None
        or not parts.hostname
        or parts.scheme not in ("http", "https", "socks4", "socks5", "socks5h")
    ):
        document.refuse(path, "must be the URL of a proxy", "write it as http://host:port")
    elif parts.scheme != "http":
        document.refuse(
            path,
            f"proxies that speak {parts.scheme} are not supported",
            "give the address at which it speaks http:// (requests to https:// go through it encrypted)",
        )


def advice(document: Document, environ: Mapping[str, str]) -> None:
    """Notes on what is allowed and yet hardly meant."""
    port = str(document.section("server").get("port", Settings().server.port))
    used = {target.get("provider") for _, target in all_targets(document)}
    for name in sorted(name for name in used if isinstance(name, str)):
        provider, known = document.section("providers").get(name), KNOWN_PROVIDERS.get(name)
        own = provider if isinstance(provider, dict) else {}
        url = own.get("base_url") or (known.url(environ) if known is not None else "")
        parts = urlsplit_or_none(url) if isinstance(url, str) else None
        if parts is None:
            continue
        if is_loopback(parts.hostname or "") and str(parts.port) == port:
            document.notes.append(
                f"the provider {name} is at {url}, which is the hub's own port; "
                "start the hub with another --port, or that server on another one"
            )
        protocol = own.get("protocol") or (known.protocol if known is not None else None)
        if protocol in VERSION_BY_SDK and parts.path.rstrip("/").endswith(VERSION_BY_SDK[protocol]):
            document.notes.append(
                f"providers.{name}: the protocol {protocol} adds {VERSION_BY_SDK[protocol]} itself, "
                "leave it out of base_url unless the server wants it twice"
            )


def _complete_provider(document: Document, name: str, provider: dict[str, Any]) -> None:
    missing = [key for key in ("protocol", "base_url") if not provider.get(key)]
    if missing:
        near = nearest_hint(name, KNOWN_PROVIDERS, only_near=True)
        document.refuse(
            ("providers", name),
            f"`{name}` is not a built-in provider and needs {' and '.join(f'`{key}`' for key in missing)}",
            near or f"protocol is one of {', '.join(registry.BUILT_IN)}",
        )


def server_urls(document: Document, environ: Mapping[str, str]) -> None:
    for name, server in document.section("mcpServers").items():
        if isinstance(server, dict) and isinstance(server.get("url"), str):
            web_url(document, ("mcpServers", name, "url"), server["url"])


def headers(document: Document, environ: Mapping[str, str]) -> None:
    for section in ("providers", "mcpServers"):
        for name, entry in document.section(section).items():
            headers_of(document, (section, name), entry)
    for place, target in all_targets(document):
        headers_of(document, place, target)
        headers = target.get("headers")
        for header in headers if isinstance(headers, dict) else ():
            if header.lower() in FRAMING_HEADERS:
                document.refuse((*place, "headers", header), "is the hub's to set, for each request")
