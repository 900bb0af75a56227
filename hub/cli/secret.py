"""`hub secret`: values that the settings name as `${keyring:NAME}`."""

from __future__ import annotations

import getpass
import re
import sys

from cyclopts import App

from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Json
from hub.cli.output import note, print_json, print_table
from hub.secret_store import SecretStore, SecretStoreError

secret = App(name="secret", help="Keep secrets out of the settings file.", help_format="plaintext")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@secret.command(name="set")
def set_secret(name: str, /) -> int:
    """Keep a secret; the settings name it as ${keyring:NAME}. A running hub uses the new value at once.

    It is asked for without an echo, or read from standard input.

    Parameters
    ----------
    name
        Letters, digits, `_`, `-` and `.`.
    """
    _check(name)
    value = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not value:
        raise UsageError("an empty secret is none; give it on standard input")
    store = SecretStore()
    try:
        place = store.write(name, value)
    except SecretStoreError as error:
        raise CommandError(str(error)) from None
    where = "in the keyring of this system" if place == "keyring" else f"encrypted in {store.path}"
    print(f"{name} is kept {where}; write ${{keyring:{name}}} in the settings")
    return 0


@secret.command
def delete(name: str, /) -> int:
    """Forget a secret.

    Parameters
    ----------
    name
        Its name; hub secret list has them all.
    """
    _check(name)
    store = SecretStore()
    try:
        if not store.delete(name):
            raise CommandError(f"there is no secret `{name}`{did_you_mean(name, _names(store))}")
    except SecretStoreError as error:
        raise CommandError(str(error)) from None
    print(f"{name} is deleted")
    return 0


@secret.command(name="list")
def list_secrets(*, json: Json = False) -> int:
    """List the names of all secrets, and where they are kept; never their values."""
    try:
        names = _names(SecretStore())
    except SecretStoreError as error:
        raise CommandError(str(error)) from None
    if json:
        print_json([{"name": name, "kept_in": place} for name, place in names.items()])
        return 0
    if not names:
        note("there are no secrets; hub secret set NAME keeps one")
    print_table(("secret", "kept in"), list(names.items()))
    return 0


def _names(store: SecretStore) -> dict[str, str]:
    """Without logins, which `hub logout` forgets."""
    return {name: place for name, place in store.places().items() if _NAME.fullmatch(name)}


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the name of a secret: use letters, digits, `_`, `-` and `.`")
