"""The keyring of the system: Keychain, Credential Manager, Secret Service, KWallet.

It may ask its user to unlock it, or wait for a bus that nobody serves: each use ends after some seconds.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

SERVICE = "ccproxy-hub"
"""Under which all is kept: `keyring set ccproxy-hub NAME` is a way to put a value there, too."""
SECONDS = 10.0

_T = TypeVar("_T")


class KeyringFailed(Exception):
    """It cannot be used now; says why."""


def read(name: str) -> str | None:
    """None: it has no such entry, or there is no keyring. Raises KeyringFailed."""
    backend = _backend()
    if backend is None:
        return None
    found = _bounded(lambda: backend.get_password(SERVICE, name))
    return str(found) if found is not None else None


def write(name: str, value: str) -> bool:
    """False: there is no keyring. Raises KeyringFailed."""
    backend = _backend()
    if backend is None:
        return False
    _bounded(lambda: backend.set_password(SERVICE, name, value))
    return True


def delete(name: str) -> None:
    """Without a word where there is no such entry. Raises KeyringFailed."""
    backend = _backend()
    if backend is None:
        return

    def remove() -> None:
        from keyring.errors import PasswordDeleteError

        with contextlib.suppress(PasswordDeleteError):
            backend.delete_password(SERVICE, name)

    _bounded(remove)


def _backend() -> Any:
    """The one that `keyring` finds or PYTHON_KEYRING_BACKEND names; None: there is none.

    Imported when it is needed: it looks for backends in all installed packages.
    """

    def find() -> Any:
        import keyring
        from keyring.backends import fail, null

        found = keyring.get_keyring()
        return None if isinstance(found, (fail.Keyring, null.Keyring)) else found

    return _bounded(find)


def _bounded(work: Callable[[], _T]) -> _T:
    """`work` in a thread that may be left behind."""
    done: list[_T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:  # backends raise what their libraries raise
            failed.append(error)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if failed:
        # Not its text: nobody knows what a backend puts there.
        raise KeyringFailed(f"the system's keyring failed ({type(failed[0]).__name__})")
    if not done:
        raise KeyringFailed(f"the system's keyring gave no answer for {SECONDS:g} s; is it locked?")
    return done[0]
