"""OAuth 2.1 towards remote MCP servers, as the specification of MCP has it.

https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization. Discovery, registration, PKCE
and the authorization request are the MCP SDK's; here is what a hub needs around it: tokens that survive
restarts and are shared by all calls, and no browser unless a person runs `hub login`.
"""

import logging

# What goes wrong is said by us; the SDK's text quotes answers of others.
logging.getLogger("mcp.client.auth").setLevel(logging.CRITICAL)
