"""Undoing `content-encoding`: an upstream may compress though it is asked not to (RFC 9110, 8.4)."""

from __future__ import annotations

import zlib

_MOST_AT_ONCE = 2**20
"""Bytes that one call gives, so that a small body cannot become a huge one unasked."""
_GZIP = 16 + zlib.MAX_WBITS


class UnknownCoding(ValueError):
    """A coding that nobody asked for and that cannot be undone here."""


class BrokenCoding(ValueError):
    """The bytes are not in the coding that was declared."""


class Inflater:
    """Undoes gzip or deflate piece by piece."""

    __slots__ = ("_gzip", "_inflate", "_left")

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflate = zlib.decompressobj(_GZIP) if gzip else None
        self._left = b""

    @property
    def has_more(self) -> bool:
        """Whether `feed(b"")` gives more of what has come already."""
        return bool(self._left)

    def feed(self, data: bytes) -> bytes:
        """The next bytes, at most a mebibyte. Raises BrokenCoding."""
        data = self._left + data if self._left else data
        if not data:
            return b""
        inflate = self._inflate
        if inflate is None or (inflate.eof and self._gzip):  # the first one, or gzip's next member
            inflate = self._inflate = zlib.decompressobj(_GZIP if self._gzip else _deflate(data))
        try:
            found = inflate.decompress(data, _MOST_AT_ONCE)
        except zlib.error:
            raise BrokenCoding from None
        self._left = inflate.unconsumed_tail or (inflate.unused_data if self._gzip else b"")
        return found

    def end(self) -> None:
        """No more will come. Raises BrokenCoding if there should be more."""
        if self._inflate is not None and not self._inflate.eof:
            raise BrokenCoding


def _deflate(data: bytes) -> int:
    """What is called deflate is in zlib's frame, by the standard, or bare, by some servers."""
    return zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS


def inflater(coding: str) -> Inflater | None:
    """None: nothing has to be undone. Raises UnknownCoding."""
    match coding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return Inflater(gzip=True)
        case "deflate":
            return Inflater(gzip=False)
        case _:
            raise UnknownCoding
