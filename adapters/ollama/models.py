"""Ollama's lists and descriptions of models.

https://docs.ollama.com/api/tags, https://docs.ollama.com/api/ps,
https://docs.ollama.com/api-reference/show-model-details. VS Code reads `capabilities` and
`model_info["general.architecture"]` + `.context_length` of /api/show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.codec import ModelInfo
from adapters.ollama.response import timestamp

_NO_DIGEST = "0" * 64


def encode_models(models: Sequence[ModelInfo], action: str) -> dict[str, Any]:
    if action == "ps":
        return {"models": [_running(model) for model in models]}
    return {"models": [_listed(model) for model in models]}


def _details(model: ModelInfo) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "hub",
        "family": model.owned_by,
        "families": [model.owned_by],
        "parameter_size": "",
        "quantization_level": "",
    }


def _listed(model: ModelInfo) -> dict[str, Any]:
    return {
        "name": model.id,
        "model": model.id,
        "modified_at": timestamp(model.created),
        "size": 0,
        "digest": _NO_DIGEST,
        "details": _details(model),
    }


def _running(model: ModelInfo) -> dict[str, Any]:
    listed = _listed(model)
    del listed["modified_at"]
    return {
        **listed,
        "expires_at": "2318-01-01T00:00:00Z",
        "size_vram": 0,
        "context_length": model.context_length,
    }


def encode_model(model: ModelInfo) -> dict[str, Any]:
    """The answer of `/api/show`."""
    return {
        "modelfile": f"FROM {model.id}",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "license": "",
        "details": _details(model),
        "model_info": {
            "general.architecture": "hub",
            "general.basename": model.display_name,
            "hub.context_length": model.context_length,
        },
        "capabilities": list(model.capabilities),
        "modified_at": timestamp(model.created),
    }
