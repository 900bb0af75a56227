"""The hub: tools and models for every AI client on this machine."""

SERVER_NAME = "ccproxy-hub"
"""The distribution's name, and what the hub calls itself in the `server` header of every answer."""
