"""The active group: what requests without a group use, as the last `hub switch` left it.

It outlives a restart in a small file of the user's state folder. The settings' `default_group` wins
again as soon as it is changed there, or when the switched-to group is gone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path

import platformdirs

log = logging.getLogger("hub.active_group")


def state_file() -> Path:
    """Where switches are remembered, for all settings files of this user."""
    return platformdirs.user_state_path("ccproxy-hub") / "active-group.json"


class ActiveGroup:
    """`name` is the active group, None where there are no groups."""

    def __init__(self, settings_path: Path | None, file: Path | None = None) -> None:
        self._key = str(settings_path.resolve()) if settings_path is not None else ""
        self._file = file
        self._default: str | None = None
        self._switched: str | None = None
        self._groups: Collection[str] = ()
        if file is not None and self._key:
            remembered = _read(file).get(self._key, {})
            self._default, self._switched = remembered.get("default"), remembered.get("group")

    @property
    def name(self) -> str | None:
        return self._switched if self._switched in self._groups else self._default

    def follow(self, groups: Collection[str], default: str | None) -> None:
        """Take over the groups of new settings."""
        if default != self._default:
            self._switched = None
        self._groups, self._default = groups, default

    def switch(self, group: str) -> None:
        """Make `group` the active one. Raises KeyError for an unknown one."""
        if group not in self._groups:
            raise KeyError(group)
        self._switched = group
        self._remember()

    def _remember(self) -> None:
        if self._file is None or not self._key:
            return
        remembered = _read(self._file)
        remembered[self._key] = {"default": self._default, "group": self._switched}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            written = self._file.with_suffix(".new")
            written.write_text(json.dumps(remembered, indent=1))
            written.replace(self._file)
        except OSError as error:
            log.warning("the switch holds until the hub's end: %s cannot be written: %s", self._file, error)


def _read(file: Path) -> dict[str, dict[str, str | None]]:
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {key: entry for key, entry in value.items() if isinstance(entry, dict)}
