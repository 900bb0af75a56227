"""OpenTelemetry traces, by the semantic conventions for GenAI, MCP and HTTP. Off unless configured.

names      the attributes' names
provider   from settings to a tracer that sends; the only importer of OpenTelemetry's SDK
tracing    spans of chats and tool calls

No content is in a span: no message, no tool's argument or result.
"""

from hub.telemetry.tracing import AttemptTrace, RequestTrace, Tracing

__all__ = ["AttemptTrace", "RequestTrace", "Tracing"]
