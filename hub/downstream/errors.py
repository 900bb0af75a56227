"""What can go wrong between the hub and a downstream server.

`DownstreamError`
├── `NotDelivered`   the server surely did not see the request: it may be sent again
├── `ConnectionLost` the request was sent and the connection ended: it may have been executed
├── `Unavailable`    there is no session and none could be made in time
└── `LoginNeeded`    the server wants a token that the hub has not: somebody has to log in
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import httpx2
from mcp.shared.exceptions import MCPError

UNDELIVERED_MARK = f"undelivered-{secrets.token_hex(8)}"
"""Error data of an answer that the hub's own transport made up. Random, so no server can forge it."""


class DownstreamError(Exception):
    """A request to a downstream server that got no answer from it."""


class NotDelivered(DownstreamError):
    pass


class ConnectionLost(DownstreamError):
    pass


class Unavailable(DownstreamError):
    pass


class LoginNeeded(DownstreamError):
    """Says which command to use."""


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def explain(error: BaseException) -> str:
    """One line for `hub status`: the first cause, without a traceback."""
    cause = next(_leaves(error), error)
    match cause:
        case TimeoutError():
            return "no answer within its start timeout"
        case MCPError():
            return f"it answered with an error: {cause.error.message} ({cause.error.code})"
        case DownstreamError() | FileNotFoundError() | PermissionError():
            return str(cause)
        case httpx2.HTTPStatusError():
            return f"HTTP {cause.response.status_code} from {cause.request.url.copy_with(query=None)}"
        case httpx2.TransportError():
            return f"cannot reach it: {type(cause).__name__} {cause}".strip()
        case _:
            return f"{type(cause).__name__}: {cause}".split("\n", 1)[0]
