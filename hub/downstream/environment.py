"""The environment of a stdio server: what its settings say plus a safe minimum."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

# Nothing here carries a credential. Proxy variables are left out on purpose: their URLs may
# contain a password; a server that needs one gets it from its own settings.
_SAFE_NAMES = frozenset(
    {
        "HOME",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "PATH",
        "SHELL",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TEMP",
        "TERM",
        "TMP",
        "TMPDIR",
        "TZ",
        "USER",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
        # Windows
        "APPDATA",
        "COMSPEC",
        "HOMEDRIVE",
        "HOMEPATH",
        "LOCALAPPDATA",
        "NUMBER_OF_PROCESSORS",
        "PATHEXT",
        "PROCESSOR_ARCHITECTURE",
        "PROGRAMDATA",
        "PROGRAMFILES",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "USERNAME",
        "USERPROFILE",
        "WINDIR",
    }
)

_SHORTEST_SECRET = 8
"""Shorter values (`1`, `true`, a port) would blank out half of every log line."""


def child_environment(own: Mapping[str, SecretStr], inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables for a child process. A shell function (`() {`) is never inherited."""
    safe = {
        name: value
        for name, value in inherited.items()
        if (name.upper() in _SAFE_NAMES or name.startswith("LC_")) and not value.startswith("()")
    }
    return safe | {name: value.get_secret_value() for name, value in own.items()}


def secret_values(own: Mapping[str, SecretStr]) -> tuple[str, ...]:
    """The values that must not appear in a log, longest first."""
    values = {value.get_secret_value() for value in own.values()}
    return tuple(sorted((v for v in values if len(v) >= _SHORTEST_SECRET), key=len, reverse=True))


def redact(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
