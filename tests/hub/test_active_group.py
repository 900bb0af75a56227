from __future__ import annotations

from pathlib import Path

import pytest

from hub.active_group import ActiveGroup

SETTINGS = Path("/somewhere/hub.yaml")


def active(file: Path, groups: tuple[str, ...] = ("a", "b"), default: str | None = "a") -> ActiveGroup:
    group = ActiveGroup(SETTINGS, file)
    group.follow(groups, default)
    return group


def test_the_default_until_switched(tmp_path: Path) -> None:
    group = active(tmp_path / "state.json")
    assert group.name == "a"
    group.switch("b")
    assert group.name == "b"


def test_a_switch_outlives_a_restart(tmp_path: Path) -> None:
    active(tmp_path / "deep" / "state.json").switch("b")
    assert active(tmp_path / "deep" / "state.json").name == "b"


def test_each_settings_file_has_its_own(tmp_path: Path) -> None:
    active(tmp_path / "state.json").switch("b")
    other = ActiveGroup(Path("/elsewhere/hub.yaml"), tmp_path / "state.json")
    other.follow(("a", "b"), "a")
    assert other.name == "a"


def test_a_changed_default_wins_over_an_old_switch(tmp_path: Path) -> None:
    group = active(tmp_path / "state.json")
    group.switch("b")
    group.follow(("a", "b", "c"), "c")
    assert group.name == "c"
    assert active(tmp_path / "state.json", ("a", "b", "c"), "c").name == "c"


def test_a_group_that_is_gone_gives_way_to_the_default(tmp_path: Path) -> None:
    group = active(tmp_path / "state.json")
    group.switch("b")
    group.follow(("a",), "a")
    assert group.name == "a"


def test_unknown_groups_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        active(tmp_path / "state.json").switch("c")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"/somewhere/hub.yaml": 3}'])
def test_a_broken_state_file_is_no_obstacle(tmp_path: Path, content: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    group = active(file)
    assert group.name == "a"
    group.switch("b")
    assert active(file).name == "b"


def test_no_groups_no_name() -> None:
    group = ActiveGroup(None)
    group.follow((), None)
    assert group.name is None
