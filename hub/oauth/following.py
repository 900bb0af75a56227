"""Noticing in a running hub that `hub login` or `hub logout` was used."""

from __future__ import annotations

from collections.abc import Callable

from hub.oauth.login import look_again
from hub.secret_store import SecretStore
from hub.watch import watch


async def follow_logins(changed: Callable[[], None]) -> None:
    """Call `changed` after each change, once all connections know of it; until cancelled."""
    store = SecretStore()

    async def look() -> None:
        await look_again()
        changed()

    await watch(lambda: (store.path,), look)
