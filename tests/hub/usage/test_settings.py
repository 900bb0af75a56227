"""What may be written below `usage` and `prices`."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.settings import SettingsError, load_settings
from hub.usage.writer import database_url


def load(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text(text)
    load_settings(file, environ={"PASSWORD": "planted-secret"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("usage: {url: 'mysql://hub:planted-secret@db/hub'}", "usage.url: is no address of a database"),
        ("usage: {url: 'mysql://hub:${PASSWORD}@db/hub'}", "usage.url: is no address of a database"),
        ("usage: {keep: soon}", "`soon` is no length of time"),
        ("usage: {keep: 0}", "usage.keep"),
        ("usage: {max_size: big}", "`big` is no size"),
        ("usage: {kept: 3d}", "did you mean `keep`"),
        ("prices: {kimi: {input: 1}}", "write `provider/kimi`, or `*/kimi` for any"),
        ("prices: {'a/b': {output: 1}}", "input"),
        ("prices: {'a/b': {input: -1}}", "prices.a/b.input"),
        ("prices: {'a/b': {input: 1, long: {input: 2}}}", "above"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, text)
    told = "; ".join(
        f"{problem.where}: {problem.message} {problem.hint}" for problem in raised.value.problems
    )
    assert words in told
    assert "planted-secret" not in told


def test_units(tmp_path: Path) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text("usage: {keep: 2d, max_size: 1.5GB, url: null}")
    usage = load_settings(file, environ={}).settings.usage
    assert (usage.enabled, usage.url, usage.keep, usage.max_size) == (True, None, 172_800, 1_500_000_000)
    assert database_url(usage).endswith("usage.db")


def test_the_url_is_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text("usage: {url: 'postgresql+psycopg://hub:${PASSWORD}@db/hub'}")
    usage = load_settings(file, environ={"PASSWORD": "planted-secret"}).settings.usage
    assert "planted-secret" not in repr(usage)
    assert database_url(usage) == "postgresql+psycopg://hub:planted-secret@db/hub"
