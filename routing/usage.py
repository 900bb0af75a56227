"""One record for each chat request, handed to a sink that the hub gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adapters.canonical import Usage
from routing.table import Price


@dataclass(frozen=True, slots=True)
class Record:
    """What happened to one request."""

    request_id: str
    client_protocol: str
    operation: str
    status: int
    group: str = ""
    provider: str = ""
    model: str = ""
    target_protocol: str = ""
    stream: bool = False
    passthrough: bool = False
    usage: Usage | None = None
    """None: nobody knows, not even by estimate; mostly the request failed."""
    estimated: bool = False
    """Whether `usage` is the hub's estimate: the upstream told none."""
    cost: float | None = None
    """In US dollars, by the target's price. None: no price is known, or no usage."""
    time: float = 0.0
    """When the request arrived, in Unix seconds."""
    caller: str = ""
    """The name of the hub's key that was presented; "": there was none to present."""
    client: str = ""
    """The client program's short name, from its user agent."""
    bytes_in: int = 0
    """Of the client's body."""
    bytes_out: int = 0
    """Of the answer's body, as the client got it."""
    first_byte: float | None = None
    """Seconds from the request's arrival to the first byte of the answer's body."""
    duration: float = 0.0
    """Seconds from the request's arrival to the answer's end."""
    attempts: int = 0
    losses: tuple[str, ...] = ()
    error: str | None = None
    """Redacted."""
    error_kind: str | None = None
    """One of `adapters.canonical.ErrorKind`, or `client_gone`."""


def cost(usage: Usage, price: Price) -> float:
    """US dollars. Cached and written tokens are parts of the input, and have prices of their own."""
    if price.long is not None and usage.input_tokens > price.long_above:
        price = price.long
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    plain = max(0, usage.input_tokens - cached - written)
    total = plain * price.input + usage.output_tokens * price.output
    total += cached * (price.input if price.cached is None else price.cached)
    total += written * (price.input if price.cache_write is None else price.cache_write)
    return total / 1_000_000


Sink = Callable[[Record], None]
"""Must not block and must not raise."""
