"""What the model cannot see: references between parts of the file, names, URLs, and safety.

The checks look at the document before the model does, so that all problems of a file come at once.
They pass over what has the wrong shape: the model reports that.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adapters import registry
from hub.settings.document import Document
from hub.settings.keys import default_keys_file
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.settings.model import Settings
from hub.settings.problems import KeyPath
from hub.settings.words import nearest_hint

RESERVED_GROUP_NAMES = frozenset(
    ("v1", "v1beta", "v1alpha", "api", "mcp", "hub", "switch", "compat", "healthz", "readyz", "metrics")
)
"""First path segments that are routes of their own."""

PATH_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
TOOL_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,48}")
"""A server's name begins its tools' names, and chat providers take `[a-zA-Z0-9_-]{1,64}` for those."""

VERSION_BY_SDK = {"anthropic": "/v1", "gemini": "/v1beta", "ollama": "/api"}
"""What the SDKs of these protocols put after their base URL."""

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FRAMING_HEADERS = frozenset(
    (
        "host",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
    )
)
"""They belong to the connection or say how the body is written."""
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check(document: Document, environ: Mapping[str, str]) -> None:
    """Record every problem that `CHECKS` find."""
    for one in CHECKS:
        one(document, environ)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _names(document: Document, environ: Mapping[str, str]) -> None:
    for section, pattern in (("groups", PATH_NAME), ("profiles", PATH_NAME), ("providers", PATH_NAME)):
        for name in document.section(section):
            if not pattern.fullmatch(name):
                document.refuse(
                    (section, name),
                    f"`{name}` cannot stand in a URL",
                    f"use letters, digits, `.`, `_` and `-`, such as `{_repaired(name, '.')}`",
                )
    for name in document.section("mcpServers"):
        if not TOOL_PREFIX.fullmatch(name):
            document.refuse(
                ("mcpServers", name),
                f"`{name}` cannot begin a tool's name",
                f"use at most 48 letters, digits, `_` and `-`, such as `{_repaired(name)}`",
            )


def _reserved(document: Document, environ: Mapping[str, str]) -> None:
    for name in document.section("groups"):
        if name.casefold() in RESERVED_GROUP_NAMES:
            document.refuse(
                ("groups", name), f"`/{name}` is a route of the hub itself", "choose another name"
            )


def _collisions(document: Document, environ: Mapping[str, str]) -> None:
    servers = document.section("mcpServers")
    for name in document.section("profiles"):
        if name in servers:
            line = document.place(("mcpServers", name)).line
            document.refuse(
                ("profiles", name),
                f"the MCP server{f' on line {line}' if line else ''} has the name `{name}` too",
                f"both would be /mcp/{name}, rename one of them",
            )


def _targets(document: Document, environ: Mapping[str, str]) -> None:
    providers = document.section("providers")
    for path, target in _all_targets(document):
        name = target.get("provider")
        if not isinstance(name, str):
            continue
        if name in providers:
            needs_key = isinstance(providers[name], dict) and _wants_built_in_key(name, providers[name])
        elif name in KNOWN_PROVIDERS:
            needs_key = not KNOWN_PROVIDERS[name].local
        else:
            hint = nearest_hint(name, {*providers, *KNOWN_PROVIDERS}, only_near=True)
            document.refuse(
                (*path, "provider"), f"unknown provider `{name}`", hint or "describe it under `providers`"
            )
            continue
        if needs_key and KNOWN_PROVIDERS[name].key(environ) is None:
            variables = " or ".join(KNOWN_PROVIDERS[name].key_variables)
            document.refuse(
                (*path, "provider"),
                f"`{name}` needs a key, and {variables} is not set",
                "set it in the environment or in `.env` beside the settings file",
            )


def _all_targets(document: Document) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    for name, group in document.section("groups").items():
        if not isinstance(group, dict):
            continue
        path: KeyPath = ("groups", name)
        yield path, group
        targets, models = group.get("targets"), group.get("models")
        listed = enumerate(targets) if isinstance(targets, list) else ()
        mapped = models.items() if isinstance(models, dict) else ()
        yield from (((*path, "targets", step), value) for step, value in listed if isinstance(value, dict))
        yield from (((*path, "models", glob), value) for glob, value in mapped if isinstance(value, dict))
        for step, rule in _rules(group):
            own, several = rule.get("target"), rule.get("targets")
            if isinstance(own, dict):
                yield (*path, "rules", step, "target"), own
            for at, value in enumerate(several if isinstance(several, list) else ()):
                if isinstance(value, dict):
                    yield (*path, "rules", step, "targets", at), value


def _rules(group: object) -> Iterator[tuple[int, dict[str, Any]]]:
    """A group's rules that have the right shape, with their places."""
    rules = group.get("rules") if isinstance(group, dict) else None
    for step, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict):
            yield step, rule


def _used_groups(document: Document, environ: Mapping[str, str]) -> None:
    """What rules name: groups that exist and do not use each other in a circle, and known protocols."""
    groups = document.section("groups")
    uses: dict[str, dict[str, KeyPath]] = {}
    for name, group in groups.items():
        for step, rule in _rules(group):
            path: KeyPath = ("groups", name, "rules", step)
            if isinstance(use := rule.get("use"), str):
                if use in groups:
                    uses.setdefault(name, {}).setdefault(use, (*path, "use"))
                else:
                    document.refuse((*path, "use"), f"unknown group `{use}`", nearest_hint(use, groups))
            when = rule.get("when")
            if not when and step + 1 < len(group["rules"]):
                document.refuse(path, "always holds, so no rule after it is asked", "give it a `when`")
            protocols = when.get("protocol") if isinstance(when, dict) else None
            for _, protocol in _listed((*path, "when", "protocol"), protocols):
                if not any(mark in protocol for mark in "*?["):
                    _protocol(document, (*path, "when", "protocol"), protocol)
    for name, used in uses.items():
        for use, place in used.items():
            if name in _reached(use, uses):
                document.refuse(place, f"`{use}` uses `{name}` itself, by rules", "leave out one of them")


def _reached(name: str, uses: Mapping[str, Mapping[str, KeyPath]]) -> set[str]:
    """The groups that `name` is or uses, and those use, and so on."""
    found, todo = {name}, [name]
    while todo:
        new = set(uses.get(todo.pop(), ())) - found
        found |= new
        todo += new
    return found


def _wants_built_in_key(name: str, provider: dict[str, Any]) -> bool:
    known = KNOWN_PROVIDERS.get(name)
    own = any(provider.get(key) for key in ("api_key", "api_keys", "headers", "embedded", "base_url"))
    return known is not None and not known.local and not own


def _fallbacks(document: Document, environ: Mapping[str, str]) -> None:
    """Groups to fall back to exist, and the way through them ends."""
    groups = document.section("groups")
    named = {
        name: group["fallback"]
        for name, group in groups.items()
        if isinstance(group, dict) and isinstance(group.get("fallback"), str)
    }
    for name, fallback in named.items():
        path = ("groups", name, "fallback")
        if fallback not in groups:
            document.refuse(path, f"unknown group `{fallback}`", nearest_hint(fallback, groups))
            continue
        chain = [name]
        while fallback in named and fallback not in chain:
            chain.append(fallback)
            fallback = named[fallback]
        if fallback == name:
            circle = " -> ".join((*chain, name))
            document.refuse(path, f"goes in a circle: {circle}", "leave out one of these fallbacks")


def _providers(document: Document, environ: Mapping[str, str]) -> None:
    for name, provider in document.section("providers").items():
        if not isinstance(provider, dict):
            continue
        path = ("providers", name)
        _protocol(document, (*path, "protocol"), provider.get("protocol"))
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
            _web_url(document, (*path, "base_url"), base_url)
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


def _advice(document: Document, environ: Mapping[str, str]) -> None:
    """Notes on what is allowed and yet hardly meant."""
    port = str(document.section("server").get("port", Settings().server.port))
    used = {target.get("provider") for _, target in _all_targets(document)}
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


def _protocol(document: Document, path: KeyPath, name: object) -> None:
    """Built in, or added by an installed distribution whose codec can be used."""
    if not isinstance(name, str) or name in registry.BUILT_IN:
        return
    known = registry.names()
    if name not in known:
        *others, last = (f"`{each}`" for each in known)
        said = "" if path in document.expanded else f", not `{name}`"
        hint = nearest_hint(name, known, only_near=True)
        document.refuse(path, f"must be one of {', '.join(others)} or {last}{said}", hint)
        return
    try:
        registry.codec(name)
    except registry.BrokenProtocol as broken:
        document.refuse(path, str(broken), "repair or remove that distribution")


def _server_urls(document: Document, environ: Mapping[str, str]) -> None:
    for name, server in document.section("mcpServers").items():
        if isinstance(server, dict) and isinstance(server.get("url"), str):
            _web_url(document, ("mcpServers", name, "url"), server["url"])


def _web_url(document: Document, path: KeyPath, url: str) -> None:
    if path in document.problems:
        return
    parts = urlsplit_or_none(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        document.refuse(path, "must be a whole URL", "begin it with http:// or https://")
    elif parts.username or parts.password:
        document.refuse(path, "must not hold a user or password", "put them into `headers`, as Authorization")


def urlsplit_or_none(url: str) -> Any:
    """`urlsplit`, or None for what is no URL at all (also a port that is no number)."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _headers(document: Document, environ: Mapping[str, str]) -> None:
    for section in ("providers", "mcpServers"):
        for name, entry in document.section(section).items():
            _headers_of(document, (section, name), entry)
    for place, target in _all_targets(document):
        _headers_of(document, place, target)
        headers = target.get("headers")
        for header in headers if isinstance(headers, dict) else ():
            if header.lower() in FRAMING_HEADERS:
                document.refuse((*place, "headers", header), "is the hub's to set, for each request")


def _headers_of(document: Document, place: KeyPath, entry: object) -> None:
    headers = entry.get("headers") if isinstance(entry, dict) else None
    for header, value in headers.items() if isinstance(headers, dict) else ():
        path = (*place, "headers", header)
        if not HEADER_NAME.fullmatch(header):
            document.refuse(path, f"`{header}` cannot be the name of a header")
        elif isinstance(value, str) and (CONTROL.search(value) or not value.isascii()):
            document.refuse(path, "has a line break or another character that a header cannot have")


def _references(document: Document, environ: Mapping[str, str]) -> None:
    for section, key, target in (
        ("profiles", "servers", "mcpServers"),
        ("profiles", "groups", "groups"),
        ("keys", "groups", "groups"),
        ("keys", "profiles", "profiles"),
        ("keys", "servers", "mcpServers"),
    ):
        known = document.section(target)
        for name, entry in document.section(section).items():
            listed = entry.get(key) if isinstance(entry, dict) else None
            for step, value in enumerate(listed if isinstance(listed, list) else [listed]):
                if isinstance(value, str) and value not in known:
                    path = (section, name, key, step) if isinstance(listed, list) else (section, name, key)
                    what = f"unknown {'MCP server' if key == 'servers' else key.removesuffix('s')} `{value}`"
                    document.refuse(path, what, nearest_hint(value, known) or f"there are no `{target}`")


def _sampling_groups(document: Document, environ: Mapping[str, str]) -> None:
    groups = document.section("groups")
    for name, entry in document.section("mcpServers").items():
        policy = entry.get("sampling") if isinstance(entry, dict) else None
        group = policy.removeprefix("group:") if isinstance(policy, str) else None
        if group is not None and group != policy and group not in groups:
            hint = nearest_hint(group, groups) or "there are no `groups`"
            document.refuse(("mcpServers", name, "sampling"), f"unknown group `{group}`", hint)


def _default_group(document: Document, environ: Mapping[str, str]) -> None:
    name, groups = document.data.get("default_group"), document.section("groups")
    if isinstance(name, str) and name not in groups:
        document.refuse(
            ("default_group",),
            f"unknown group `{name}`",
            nearest_hint(name, groups) or "there are no `groups`",
        )


def _keys(document: Document, environ: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for name, entry in document.section("keys").items():
        for field in ("key", "hash"):
            value = entry.get(field) if isinstance(entry, dict) else None
            path = ("keys", name, field)
            if not isinstance(value, str) or path in document.problems:
                continue
            if field == "key" and (not value.strip() or CONTROL.search(value) or not value.isascii()):
                document.refuse(path, "must be one line of ASCII characters, and not empty")
                continue
            digest = _digest(value) if field == "key" else value.strip().lower()
            if digest in seen:
                document.refuse(path, f"is the same as that of `{seen[digest]}`", "give each its own")
            seen.setdefault(digest, name)


def _digest(key: str) -> str:
    return f"sha256:{sha256(key.strip().encode()).hexdigest()}"


def _listening(document: Document, environ: Mapping[str, str]) -> None:
    server = document.section("server")
    host = server.get("host", "127.0.0.1")
    allowed = str(server.get("allow_no_keys", "false")).casefold() in ("true", "yes", "on", "1")
    if not isinstance(host, str) or is_loopback(host) or document.section("keys") or allowed:
        return
    if not Path(server.get("keys_file") or default_keys_file()).is_file():
        document.refuse(
            ("server", "host"),
            f"listening on {host} without `keys` would give everyone in the network your tools and models",
            "make a key (`hub keys add NAME`, or `keys` in the settings), "
            "or say `allow_no_keys: true` under `server` as well",
        )


def _browsers(document: Document, environ: Mapping[str, str]) -> None:
    server = document.section("server")
    for path, value in _listed(("server", "allowed_origins"), server.get("allowed_origins")):
        parts = urlsplit_or_none(value)
        if value != "null" and (
            parts is None or not parts.scheme or not parts.netloc or parts.path.strip("/")
        ):
            document.refuse(path, "must be an origin", "write it as https://app.example.com, without a path")
    for path, value in _listed(("server", "allowed_hosts"), server.get("allowed_hosts")):
        if "/" in value or re.search(r"(?<!:):\d+$", value):
            document.refuse(
                path, "must be a host name alone", "write it as hub.example.com, without scheme and port"
            )


def _telemetry(document: Document, environ: Mapping[str, str]) -> None:
    section = document.data.get("telemetry")
    if not isinstance(section, dict) or str(section.get("enabled", "true")).lower() == "false":
        return
    if isinstance(endpoint := section.get("endpoint"), str):
        _web_url(document, ("telemetry", "endpoint"), endpoint)
    if find_spec("opentelemetry.exporter") is None or find_spec("opentelemetry.sdk") is None:
        document.refuse(
            ("telemetry",),
            "traces need OpenTelemetry's SDK, which is not installed",
            "pip install 'ccproxy-hub[telemetry]'",
        )


def _listed(path: KeyPath, values: object) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(values, str):
        yield path, values
    elif isinstance(values, list):
        yield from (((*path, step), value) for step, value in enumerate(values) if isinstance(value, str))


def _repaired(name: str, also: str = "") -> str:
    repaired = re.sub(rf"[^A-Za-z0-9_{re.escape(also)}-]+", "-", name).strip("-.")[:48]
    return repaired or "my-name"


CHECKS: tuple[Callable[[Document, Mapping[str, str]], None], ...] = (
    _names,
    _reserved,
    _collisions,
    _targets,
    _fallbacks,
    _providers,
    _server_urls,
    _headers,
    _references,
    _sampling_groups,
    _used_groups,
    _default_group,
    _keys,
    _listening,
    _browsers,
    _telemetry,
    _advice,
)
