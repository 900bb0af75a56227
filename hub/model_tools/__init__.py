"""The groups of models as MCP tools, and the sampling that servers ask for."""

from hub.model_tools.server import SERVER_NAME, ModelTools

__all__ = ["SERVER_NAME", "ModelTools"]
