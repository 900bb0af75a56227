"""A hub that was started without settings takes the first ones that are saved."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from tests.hub.cli.conftest import Cli, serving

SECONDS = 10


def groups(url: str, wanted: set[str]) -> set[str]:
    """The groups that the hub has, as soon as they are `wanted` or the time is over."""
    deadline = time.monotonic() + SECONDS
    while True:
        models = {model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]}
        if models == wanted or time.monotonic() > deadline:
            return models
        time.sleep(0.02)


@pytest.mark.parametrize("place", ["hub.yaml", "home/.config/ccproxy-hub/hub.yaml"])
def test_a_file_that_is_saved_later(cli: Cli, place: str) -> None:
    cli.extra["OPENROUTER_API_KEY"] = "k"
    path = Path(cli.folder) / place
    with serving(cli) as hub:
        assert "openrouter" in groups(hub.url, {"openrouter"})
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in ("first", "second", "third"):
            path.write_text(f"groups: {{{name}: {{model: m, provider: openrouter}}}}\n")
            assert groups(hub.url, {name}) == {name}
            path.unlink()
