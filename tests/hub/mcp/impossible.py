"""What the specification does not let the hub translate between the eras, with the reason.

https://modelcontextprotocol.io/specification/2025-11-25 and /2026-07-28
"""

from __future__ import annotations

from collections.abc import Mapping

NO_SSE = (
    "2026-07-28 knows stdio and Streamable HTTP alone; the SSE transport is of 2024-11-05, so a server "
    "behind it is spoken to in the handshake era"
)
NO_HINTS = "`ttlMs` and `cacheScope` came with 2026-07-28: results of 2025-11-25 have no place for them"
OTHER_TASKS = (
    "2025-11-25 lets the client ask for a task and wait in `tasks/result`, in the extension of 2026-07-28 "
    "the server decides and the client polls: neither can say what the other needs. The call is answered "
    "without a task"
)
IMPOSSIBLE: Mapping[tuple[str, str, str], str] = {
    ("cache hints", "legacy", "legacy"): NO_HINTS,
    ("cache hints", "legacy", "modern"): NO_HINTS,
    ("tasks", "legacy", "modern"): OTHER_TASKS,
    ("tasks", "modern", "legacy"): OTHER_TASKS,
}
"""By feature, the client's era and the server's."""
