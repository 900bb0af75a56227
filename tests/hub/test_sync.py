"""Live settings, with real files saved in the ways that editors save them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hub.settings import Settings, SettingsError, load_settings
from hub.snapshot import Snapshot
from hub.sync import LiveSettings

SECONDS = 2.0
"""The contract: a saved change takes effect within this time."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings" / "hub.yaml"
    path.parent.mkdir()
    path.write_text(port(1))
    return path


def port(number: int) -> str:
    return f"server: {{port: {number}}}\n"


@asynccontextmanager
async def watched(file: Path) -> AsyncIterator[tuple[LiveSettings, asyncio.Queue[int]]]:
    """Live settings that watch `file`, and the port numbers that were applied after the start."""
    live = LiveSettings(lambda: load_settings(file, environ={}))
    applied: asyncio.Queue[int] = asyncio.Queue()

    async def note(new: Snapshot, old: Snapshot | None) -> None:
        if old is not None:
            applied.put_nowait(new.settings.server.port)

    live.after_swap(note)
    await live.start()
    watching = asyncio.create_task(live.watch())
    try:
        yield live, applied
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - the status has no event of its own
            await asyncio.sleep(0.005)


def in_place(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def remove(file: Path, *, folder: bool = False) -> None:
    file.unlink()
    if folder:
        file.parent.rmdir()


def by_a_new_file(file: Path, text: str) -> None:
    new = file.with_name("hub.yaml.tmp")
    new.write_text(text)
    new.rename(file)


def by_removing(file: Path, text: str) -> None:
    file.unlink()
    file.write_text(text)


def with_a_backup(file: Path, text: str) -> None:
    file.rename(file.with_name("hub.yaml~"))
    file.write_text(text)


def by_a_link(file: Path, text: str) -> None:
    """Kubernetes: hub.yaml -> ..data/hub.yaml, ..data -> a folder that changes its name."""
    folder = file.parent / f"..{time.monotonic_ns()}"
    folder.mkdir()
    (folder / file.name).write_text(text)
    link = file.parent / "..new"
    link.symlink_to(folder.name)
    link.rename(file.parent / "..data")
    if not file.is_symlink():
        file.unlink()
        file.symlink_to("..data/hub.yaml")


def in_small_steps(file: Path, text: str) -> None:
    with file.open("w") as stream:
        for character in text:
            stream.write(character)
            stream.flush()
            os.fsync(stream.fileno())


WAYS = [in_place, by_a_new_file, by_removing, with_a_backup, by_a_link, in_small_steps]


@pytest.mark.parametrize("save", WAYS, ids=lambda way: way.__name__)
async def test_every_way_of_saving_is_noticed_once(file: Path, save: Callable[[Path, str], None]) -> None:
    async with watched(file) as (live, applied):
        for number in (2, 3):
            save(file, port(number))
            assert await asyncio.wait_for(applied.get(), SECONDS) == number
        assert applied.empty()
        assert (live.current.settings.server.port, live.current.revision) == (3, 3)


async def test_a_broken_save_changes_nothing_and_says_why(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(file) as (live, applied):
        before = live.current
        in_place(file, "server: {prot: 2}\n")
        await until(lambda: live.status.refused == 1)
        assert live.current is before
        assert applied.empty()
        (problem,) = live.status.last_problems
        assert str(problem) == "unknown key `prot` at server.prot (line 1): did you mean `port`?"
        assert f"settings refused: {problem}" in caplog.text
        in_place(file, port(4))
        assert await asyncio.wait_for(applied.get(), SECONDS) == 4
        assert live.status.last_problems == ()


async def test_a_removed_file_keeps_the_settings_until_it_is_back(file: Path) -> None:
    async with watched(file) as (live, applied):
        remove(file)
        await until(lambda: live.status.refused == 1)
        assert live.current.settings.server.port == 1
        in_place(file, port(5))
        assert await asyncio.wait_for(applied.get(), SECONDS) == 5


async def test_a_removed_folder_is_found_again(file: Path) -> None:
    async with watched(file) as (live, applied):
        remove(file, folder=True)
        await until(lambda: live.status.refused == 1)
        in_place(file, port(6))
        assert await asyncio.wait_for(applied.get(), 2 * SECONDS) == 6


async def test_saving_the_same_content_is_no_change(file: Path) -> None:
    async with watched(file) as (live, applied):
        in_place(file, port(1))
        in_place(file, "# a comment\n" + port(1))
        await until(lambda: live.status.unchanged == 1)
        assert applied.empty()
        assert live.current.revision == 1


async def test_a_momentarily_empty_file_is_not_taken_for_empty_settings(file: Path) -> None:
    async with watched(file) as (live, applied):
        in_place(file, "")
        await asyncio.sleep(0.15)  # an editor between truncating and writing; not a wait for a result
        assert live.current.settings.server.port == 1
        in_place(file, port(7))
        assert await asyncio.wait_for(applied.get(), SECONDS) == 7
        assert live.status.applied == 2


async def test_env_files_are_watched_too(file: Path) -> None:
    in_place(file, "server: {port: '${PORT:-1}'}\nmcpServers: {s: {command: x, envFile: sub/s.env}}\n")
    env_file = file.parent / "sub" / "s.env"
    in_place(env_file, "A=1\n")
    async with watched(file) as (live, applied):
        in_place(file.parent / ".env", "PORT=8\n")
        assert await asyncio.wait_for(applied.get(), SECONDS) == 8
        in_place(env_file, "A=2\n")
        assert await asyncio.wait_for(applied.get(), SECONDS) == 8
        assert live.current.settings.mcp_servers["s"].env["A"].get_secret_value() == "2"


async def test_a_file_that_a_refused_change_asks_for_is_waited_for(file: Path) -> None:
    async with watched(file) as (live, applied):
        in_place(file, port(9) + "mcpServers: {s: {command: x, envFile: later.env}}\n")
        await until(lambda: live.status.refused == 1)
        in_place(file.parent / "later.env", "A=1\n")
        assert await asyncio.wait_for(applied.get(), SECONDS) == 9


# --- without a watch


class Source:
    """Settings that a test sets."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.live = LiveSettings(lambda: load_settings(file, environ={}))
        self.calls: list[str] = []

    def listener(
        self, name: str, *, fails_at: int = 0
    ) -> Callable[[Snapshot, Snapshot | None], Awaitable[None]]:
        async def listen(new: Snapshot, old: Snapshot | None) -> None:
            before = old.settings.server.port if old is not None else None
            self.calls.append(f"{name} {before}->{new.settings.server.port}")
            if new.settings.server.port == fails_at:
                raise RuntimeError("cannot")

        return listen


async def test_listeners_are_called_in_order_around_the_swap(file: Path) -> None:
    source = Source(file)
    source.live.after_swap(source.listener("c"))
    source.live.before_swap(source.listener("a"))
    source.live.before_swap(source.listener("b"))
    await source.live.start()
    in_place(file, port(2))
    assert (await source.live.reload()).kind == "applied"
    assert source.calls == ["a None->1", "b None->1", "c None->1", "a 1->2", "b 1->2", "c 1->2"]
    assert (await source.live.reload()).kind == "unchanged"
    assert len(source.calls) == 6


async def test_a_listener_that_fails_takes_the_others_back(file: Path) -> None:
    source = Source(file)
    source.live.before_swap(source.listener("a"))
    source.live.before_swap(source.listener("b", fails_at=2))
    source.live.before_swap(source.listener("never"))
    first = await source.live.start()
    source.calls.clear()
    in_place(file, port(2))
    outcome = await source.live.reload()
    assert (outcome.kind, outcome.problems[0].message) == ("refused", "could not be applied: RuntimeError")
    assert source.live.current is first
    assert source.calls == ["a 1->2", "b 1->2", "b 2->1", "a 2->1"]


async def test_a_follower_that_fails_is_logged_and_no_more(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(file)
    source.live.after_swap(source.listener("a", fails_at=2))
    source.live.after_swap(source.listener("b"))
    await source.live.start()
    in_place(file, port(2))
    assert (await source.live.reload()).kind == "applied"
    assert source.calls[-1] == "b 1->2"
    assert "a listener of the settings failed" in caplog.text


async def test_another_address_needs_a_restart(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each of them says so once, and a change back to where the hub listens says nothing."""
    caplog.set_level(logging.WARNING)
    source = Source(file)
    await source.live.start()
    for text, warnings in (
        (port(1) + "default_group:\n", 0),
        (port(2), 1),
        (port(2) + "groups: {g: {model: m, provider: ollama}}\n", 1),
        (port(1), 1),
        ("server: {port: 1, host: localhost}\n", 2),
    ):
        in_place(file, text)
        assert (await source.live.reload()).kind in ("applied", "unchanged")
        assert caplog.text.count("needs a restart") == warnings


async def test_reloads_wait_for_each_other(file: Path) -> None:
    source = Source(file)
    running = 0

    async def slow(new: Snapshot, old: Snapshot | None) -> None:
        nonlocal running
        running += 1
        await asyncio.sleep(0)
        assert running == 1
        running -= 1

    source.live.before_swap(slow)
    await source.live.start()
    in_place(file, port(2))
    outcomes = await asyncio.gather(*(source.live.reload() for _ in range(5)))
    assert sorted(outcome.kind for outcome in outcomes) == ["applied", *["unchanged"] * 4]


async def test_a_bad_first_file_raises(file: Path) -> None:
    source = Source(file)
    in_place(file, "- 1\n")
    with pytest.raises(SettingsError):
        await source.live.start()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = source.live.current


async def test_embedded_servers_are_asked_before_the_swap(file: Path) -> None:
    in_place(file, "providers: {small: {embedded: {}}}\ngroups: {g: {model: m, provider: small}}\n")

    async def start_servers(settings: Settings) -> Mapping[str, str]:
        return dict.fromkeys(settings.providers, "http://127.0.0.1:5/v1")

    live = LiveSettings(lambda: load_settings(file, environ={}), embedded=start_servers)
    snapshot = await live.start()
    assert snapshot.table.groups["g"].targets[0].provider.base_url == "http://127.0.0.1:5/v1"


async def test_no_secret_in_the_log(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source = Source(file)
    await source.live.start()
    in_place(file, "keys: {a: {key: hush-hush, groups: [nope]}}\nproviders: {p: {api_key: hush-hush}}\n")
    assert (await source.live.reload()).kind == "refused"
    assert "settings refused" in caplog.text
    assert "hush-hush" not in caplog.text
