"""Who may call the hub, and what leaves it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from hub.settings.checks.words import CONTROL, is_loopback, texts, urlsplit_or_none, web_url
from hub.settings.document import Document
from hub.settings.keys import default_keys_file


def keys(document: Document, environ: Mapping[str, str]) -> None:
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


def listening(document: Document, environ: Mapping[str, str]) -> None:
    server = document.section("server")
    host = server.get("host", "127.0.0.1")
    allowed = str(server.get("allow_no_keys", "false")).casefold() in ("true", "yes", "on", "1")
    closed = document.section("keys") or server.get("oauth")
    if not isinstance(host, str) or is_loopback(host) or closed or allowed:
        return
    if not Path(server.get("keys_file") or default_keys_file()).is_file():
        document.refuse(
            ("server", "host"),
            f"listening on {host} without `keys` would give everyone in the network your tools and models",
            "make a key (`hub keys add NAME`, or `keys` in the settings), "
            "or say `allow_no_keys: true` under `server` as well",
        )


def browsers(document: Document, environ: Mapping[str, str]) -> None:
    server = document.section("server")
    for path, value in texts(("server", "allowed_origins"), server.get("allowed_origins")):
        parts = urlsplit_or_none(value)
        if value != "null" and (
            parts is None or not parts.scheme or not parts.netloc or parts.path.strip("/")
        ):
            document.refuse(path, "must be an origin", "write it as https://app.example.com, without a path")
    for path, value in texts(("server", "allowed_hosts"), server.get("allowed_hosts")):
        if "/" in value or re.search(r"(?<!:):\d+$", value):
            document.refuse(
                path, "must be a host name alone", "write it as hub.example.com, without scheme and port"
            )


def telemetry(document: Document, environ: Mapping[str, str]) -> None:
    section = document.data.get("telemetry")
    if not isinstance(section, dict) or str(section.get("enabled", "true")).lower() == "false":
        return
    if isinstance(endpoint := section.get("endpoint"), str):
        web_url(document, ("telemetry", "endpoint"), endpoint)
    if find_spec("opentelemetry.exporter") is None or find_spec("opentelemetry.sdk") is None:
        document.refuse(
            ("telemetry",),
            "traces need OpenTelemetry's SDK, which is not installed",
            "pip install 'ccproxy-hub[telemetry]'",
        )
