"""TLS contexts for providers, from what their settings name. One each, so that connections can be kept."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path

from routing.table import PLAIN_TLS, Tls


class UnusableTls(ValueError):
    """A file cannot be used. `option` is the field of `Tls` that names it."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


def tls_context(tls: Tls) -> ssl.SSLContext | bool:
    """What aiohttp takes as `ssl`. Raises UnusableTls.

    Files are read when first used and again when they have changed: certificates are renewed in place.
    """
    if tls == PLAIN_TLS:
        return True
    return _context(tls, tuple(_changed(path) for path in (tls.ca_file, tls.certificate, tls.key)))


def _changed(path: str | None) -> int:
    try:
        return Path(path).stat().st_mtime_ns if path is not None else 0
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _context(tls: Tls, changed: tuple[int, ...]) -> ssl.SSLContext:
    context = _trusting(tls)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None:
        try:
            # An empty password: without one OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(tls.certificate, tls.key, password="")
        except (OSError, ValueError) as error:
            message = f"the client certificate {_files(tls)} cannot be used: {_reason(error)}"
            raise UnusableTls("certificate", message) from None
    return context


def _trusting(tls: Tls) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ValueError) as error:
        message = f"the CA file {tls.ca_file} cannot be used: {_reason(error)}"
        raise UnusableTls("ca_file", message) from None


def _files(tls: Tls) -> str:
    return f"{tls.certificate} with the key {tls.key}" if tls.key is not None else str(tls.certificate)


def _reason(error: OSError | ValueError) -> str:
    match error:
        case ssl.SSLError():
            return (error.reason or "not in PEM").lower().replace("_", " ")
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return "its password is missing; keys have to be unencrypted"
