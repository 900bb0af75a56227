"""Models that the hub runs itself: llama.cpp servers as child processes.

The parent side (`servers`) supervises; the child side (`__main__`) finds the weights, loads
them and serves. The two talk over the child's standard streams, see `events`.
"""

from hub.embedded.servers import EmbeddedServers, EmbeddedState, EmbeddedStatus

__all__ = ["EmbeddedServers", "EmbeddedState", "EmbeddedStatus"]
