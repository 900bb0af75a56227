"""Ollama's errors: `{"error": "text"}`, as an answer and as a line of a stream. https://docs.ollama.com/api/errors"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import ChatError
from adapters.error_documents import document_of, error_object, message_of, plain_text, true_status
from adapters.errors import kind_of_status


def decode_error(status: int, body: bytes) -> ChatError:
    """Never raises. Other servers at an Ollama's place have other shapes."""
    document = document_of(body)
    error = error_object(document)
    number = true_status(status, error, None)
    words = message_of(error) or ("" if document is not None else plain_text(body))
    return ChatError(kind_of_status(number), words or f"the upstream answered with status {status}", number)


def stream_error(line: Mapping[str, Any]) -> ChatError:
    """From a line with `error`: its status is an error's own, if it names one."""
    error = error_object(line)
    status = line.get("status_code")
    number = true_status(status if isinstance(status, int) else 0, error, None)
    return ChatError(kind_of_status(number), message_of(error) or "the upstream reports an error", number)
