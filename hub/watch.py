"""Noticing that the settings were saved.

Editors save in many ways: in place (for a moment the file is empty), by a new file that takes the
old one's name, by removing and writing anew; Kubernetes swaps a symbolic link two folders up. So the
folders are watched, not the files, and what counts is that the content is another one and has
come to rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path

from watchfiles import awatch

Paths = Callable[[], Iterable[Path]]
Content = Mapping[Path, bytes | None]
"""The hash of each file's content; None for a file that is not there or not readable."""

STEP_MILLISECONDS = 20
"""Events that follow each other faster are taken together, for at most `DEBOUNCE_MILLISECONDS`."""
DEBOUNCE_MILLISECONDS = 100
POLL_MILLISECONDS = 1000
"""Where the system sends no events (network folders, a folder that was removed), this is the pace."""
REST_SECONDS = 0.03
"""A content is at rest when it is still the same after this time."""
RETURN_SECONDS = 0.5
"""A file that is gone or empty gets this time to come back."""

_EMPTY = sha256(b"").digest()


async def watch(
    paths: Paths, on_change: Callable[[], Awaitable[object]], *, known: Content | None = None
) -> None:
    """Call `on_change` after each change of the content of `paths()`, until cancelled.

    `paths` is asked again after every change, since new settings may name other files. `known` is
    the content that needs no call, that of now if not given. An exception of `on_change` ends the watch.
    """
    known = read_content(paths()) if known is None else known
    while True:
        folders = _folders(paths())
        events = awatch(
            *folders,
            watch_filter=None,
            step=STEP_MILLISECONDS,
            debounce=DEBOUNCE_MILLISECONDS,
            rust_timeout=POLL_MILLISECONDS,
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        )
        async with aclosing(events):
            async for _ in events:
                now = read_content(paths())
                if any(known.get(path) != content for path, content in now.items()):
                    known = await _at_rest(paths, known)
                    await on_change()
                    # What was just loaded may name further files: they count from here on.
                    known = {**read_content(paths()), **known}
                if _folders(paths()) != folders:
                    break


def read_content(paths: Iterable[Path]) -> Content:
    """What the files hold now."""
    return {path: _hash(path) for path in paths}


def _hash(path: Path) -> bytes | None:
    try:
        return sha256(path.read_bytes()).digest()
    except OSError:
        return None


async def _at_rest(paths: Paths, known: Content) -> Content:
    """Wait until the content stays as it is, and longer for a file that has just vanished or been emptied."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + RETURN_SECONDS
    before = read_content(paths())
    while True:
        await asyncio.sleep(REST_SECONDS)
        now = read_content(paths())
        in_between = any(
            now[path] in (None, _EMPTY) and known.get(path) not in (None, _EMPTY) for path in now
        )
        if now == before and (not in_between or clock() >= deadline):
            return now
        before = now


def _folders(paths: Iterable[Path]) -> frozenset[Path]:
    """The folders in which a change of `paths` shows: those of the links on the way, and of the files."""
    return frozenset(
        folder
        for path in paths
        for step in _link_steps(path)
        if (folder := _nearest_folder(step.parent)) is not None
    )


def _link_steps(path: Path) -> Iterable[Path]:
    """`path`, and each link's target on the way to the file itself."""
    yield path
    for _ in range(16):  # as many as the kernel would follow, and no endless loop
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
        yield path
    yield path.resolve()


def _nearest_folder(folder: Path) -> Path | None:
    """`folder`, or the first one above it that exists, where it could be created."""
    return next((one for one in (folder, *folder.parents) if one.is_dir()), None)
