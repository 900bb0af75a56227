"""What the gateway is to do, it does on both upstream clients."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from routing.lean_upstream import LeanUpstream
from routing.upstream import AiohttpUpstream, Upstream
from tests.routing import serving


@pytest.fixture(params=[AiohttpUpstream, LeanUpstream], ids=["aiohttp", "lean"])
def upstream_client(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Upstream]:
    """The client of each gateway that is made within the test."""
    monkeypatch.setattr(serving, "upstream_client", request.param)
    made: Callable[[], Upstream] = request.param
    return made
