"""Model lists in Gemini's shape.

https://ai.google.dev/api/models
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.codec import ModelInfo

_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]
_EMBEDDING = ["embedContent", "batchEmbedContents"]


def encode_models(models: Sequence[ModelInfo]) -> dict[str, Any]:
    """Everything on one page: there is no `nextPageToken`."""
    return {"models": [encode_model(model) for model in models]}


def encode_model(model: ModelInfo) -> dict[str, Any]:
    completes = "completion" in model.capabilities
    embeds = "embedding" in model.capabilities
    return {
        "name": f"models/{model.id}",
        "version": "001",
        "displayName": model.display_name,
        "description": f"{model.display_name} of {model.owned_by}",
        "inputTokenLimit": model.context_length,
        "outputTokenLimit": model.max_output_tokens,
        "supportedGenerationMethods": (_METHODS if completes else []) + (_EMBEDDING if embeds else []),
        "thinking": "thinking" in model.capabilities,
    }
