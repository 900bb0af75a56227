"""All keys that the hub knows at one moment: those of the settings and those of `hub keys`."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from hub.keys.caller import Caller
from hub.keys.meters import Allowance, Meter, Meters
from hub.keys.store import NOTHING, Stored, StoredKey
from hub.settings.keys import KeySettings, read_budget
from routing.table import Limits

log = logging.getLogger("hub.keys")


@dataclass(frozen=True, slots=True)
class Grant:
    """A key: its SHA-256, whose it is, and until when (Unix seconds)."""

    digest: bytes
    caller: Caller
    expires: float | None = None


class KeyRing:
    """Made once for each settings object and each content of the file."""

    def __init__(
        self, settings: Mapping[str, KeySettings], stored: Stored = NOTHING, meters: Meters | None = None
    ) -> None:
        both = sorted(settings.keys() & stored.keys.keys())
        if both:
            log.error(
                "the stored keys %s are refused: the settings have keys of these names", ", ".join(both)
            )
        entries = {**stored.keys, **settings}
        meters = meters or Meters()
        meters.follow((name, _allowance(entry)) for name, entry in entries.items())
        self.grants = tuple(_grant(name, entry, meters.of(name)) for name, entry in entries.items())
        self.is_needed = bool(self.grants) or stored.exists
        """Whether requests have to present a key."""

    def find(self, credentials: list[bytes]) -> Grant | None:
        """Whose key one of `credentials` is. All keys are compared, in constant time each."""
        found = None
        for credential in credentials:
            digest = sha256(credential).digest()
            for grant in self.grants:
                if hmac.compare_digest(digest, grant.digest):
                    found = grant
        return found


def _allowance(entry: KeySettings) -> Allowance:
    return Allowance(
        Limits(entry.rpm, entry.tpm, entry.concurrency),
        read_budget(entry.budget) if entry.budget is not None else None,
        entry.created.timestamp() if isinstance(entry, StoredKey) else 0.0,
    )


def _grant(name: str, entry: KeySettings, meter: Meter | None) -> Grant:
    caller = Caller(
        name,
        groups=_frozen(entry.groups),
        profiles=_frozen(entry.profiles),
        servers=_frozen(entry.servers),
        tools=entry.tools,
        meter=meter,
    )
    return Grant(_digest(entry), caller, entry.expires.timestamp() if entry.expires is not None else None)


def _digest(entry: KeySettings) -> bytes:
    if entry.key is not None:
        return sha256(entry.key.get_secret_value().strip().encode()).digest()
    assert entry.hash is not None  # the model wants one of both
    return bytes.fromhex(entry.hash.removeprefix("sha256:"))


def _frozen(names: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)
