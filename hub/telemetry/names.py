"""Names of attributes and the values that they take.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ and …/gen-ai/mcp/, version 1.40; they are
written out here because the package that holds them marks them as experimental and moves them.
"""

from __future__ import annotations

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOOL = "gen_ai.tool.name"
PROMPT = "gen_ai.prompt.name"
MCP_METHOD = "mcp.method.name"
MCP_RESOURCE = "mcp.resource.uri"
MCP_VERSION = "mcp.protocol.version"
JSONRPC_ID = "jsonrpc.request.id"
RPC_STATUS = "rpc.response.status_code"
ERROR = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
HTTP_RESEND = "http.request.resend_count"
URL_PATH = "url.path"
NETWORK_TRANSPORT = "network.transport"

HUB_REQUEST = "hub.request_id"
HUB_GROUP = "hub.group"
HUB_TARGET = "hub.target"
HUB_KEY = "hub.key"
HUB_CLIENT = "hub.client"
HUB_PROTOCOL = "hub.client_protocol"
HUB_TARGET_PROTOCOL = "hub.target_protocol"
HUB_ATTEMPTS = "hub.attempts"
HUB_LOSSES = "hub.losses"
HUB_ESTIMATED = "hub.usage.estimated"
HUB_COST = "hub.cost"
HUB_SERVER = "hub.mcp_server"
HUB_PROFILE = "hub.profile"

OPERATIONS = {"chat": "chat", "compact": "chat", "embeddings": "embeddings"}
"""Others keep the hub's own name."""

PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "openai-responses": "openai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""The conventions' name of a provider, where it is another than the usual one in the settings."""
