"""Who looks on while MCP requests are answered: traces."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from starlette.types import Scope


class Watch(Protocol):
    """Both are around the work, see what it raises, and change nothing."""

    def served(
        self, method: str, params: Mapping[str, Any], attributes: Mapping[str, Any], scope: Scope | None
    ) -> AbstractContextManager[None]:
        """A client's request. `attributes` are told as they are."""
        ...

    def asked(
        self, server: str, method: str, params: Mapping[str, Any], transport: str
    ) -> AbstractContextManager[None]:
        """A request to a server behind the hub."""
        ...


class _Nobody:
    def served(
        self, method: str, params: Mapping[str, Any], attributes: Mapping[str, Any], scope: Scope | None
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def asked(
        self, server: str, method: str, params: Mapping[str, Any], transport: str
    ) -> AbstractContextManager[None]:
        return nullcontext()


NOBODY = _Nobody()
