"""Encryption for what stands in a file: AES-256-GCM, with the entry's name bound to its value.

The key comes from HUB_SECRETS_KEY, stretched by scrypt, or is random in a file of its own that only the
user may read. Such a file keeps secrets out of backups and of copies of the state folder; a program that runs
as the same user can read both files.
"""

from __future__ import annotations

import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import platformdirs

VARIABLE = "HUB_SECRETS_KEY"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class CannotDecrypt(Exception):
    """Says why, and what to do."""


def key_file() -> Path:
    """In the folder of the user's settings, so apart from the state folder."""
    return platformdirs.user_config_path("ccproxy-hub") / "secrets.key"


def new_salt() -> str:
    return secrets.token_hex(16)


def encrypt(value: str, name: str, salt: str, environ: Mapping[str, str] = os.environ) -> str:
    """Makes the file of the key if there is none. Raises OSError."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = _key(salt, environ) or _new_key()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, value.encode(), name.encode())).decode()


def decrypt(text: str, name: str, salt: str, environ: Mapping[str, str] = os.environ) -> str:
    """Raises CannotDecrypt."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        key = _key(salt, environ)
    except OSError as error:
        raise CannotDecrypt(f"{key_file()} cannot be read: {error.strerror}") from None
    source = VARIABLE if VARIABLE in environ else str(key_file())
    if key is None:
        raise CannotDecrypt(f"its key is not there: neither {key_file()} nor {VARIABLE}")
    try:
        data = urlsafe_b64decode(text)
        return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], name.encode()).decode()
    except (InvalidTag, ValueError):
        raise CannotDecrypt(f"it was written with another key than that of {source}") from None


def _key(salt: str, environ: Mapping[str, str]) -> bytes | None:
    if words := environ.get(VARIABLE):
        return _stretched(words, salt)
    try:
        key = urlsafe_b64decode(key_file().read_bytes().strip())
    except FileNotFoundError:
        return None
    except ValueError:
        return b"\0" * _KEY_BYTES  # opens nothing: its content is damaged
    return key if len(key) == _KEY_BYTES else b"\0" * _KEY_BYTES


@lru_cache(maxsize=4)
def _stretched(words: str, salt: str) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=bytes.fromhex(salt), length=_KEY_BYTES, n=2**15, r=8, p=1).derive(words.encode())


def _new_key() -> bytes:
    path = key_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = secrets.token_bytes(_KEY_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(urlsafe_b64encode(key) + b"\n")
    return key
