"""Which group a request means. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from adapters.canonical import ChatError, ErrorKind
from adapters.errors import STATUS
from routing.table import Group, Table

SWITCH = "switch"
"""The prefix that stands for the active group."""


class RoutingError(Exception):
    """Nobody can answer; `error` is what the client is told."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.error = ChatError(kind, message, STATUS[kind])


def find_group(table: Table, prefix: str, model: str | None, active: str | None) -> Group:
    """The group for a path prefix ("", `switch` or a group's name) and the client's model name.

    Without a prefix: the group that the model names, or whose `models` map has exactly that name; else
    the active group, else the default, else the only one. Raises RoutingError (404).
    """
    return choose_group(table, prefix, model, active)[0]


def choose_group(table: Table, prefix: str, model: str | None, active: str | None) -> tuple[Group, str]:
    """As `find_group`, and why it is this one."""
    if not table.groups:
        raise RoutingError("not_found", "no groups are configured: add one under `groups:` in the settings")
    if prefix and prefix != SWITCH:
        if group := table.groups.get(prefix):
            return group, "the path names it"
        raise RoutingError("not_found", f"there is no group `{prefix}`. {known(prefix, table.groups)}")
    if not prefix and model:
        if group := table.groups.get(model):
            return group, "the request's model names it"
        if group := _with_alias(table, model):
            return group, "its `models` has the request's model"
    return _standing(table, active)


def _with_alias(table: Table, model: str) -> Group | None:
    """The first group that answers to that very name: what the model list shows can be asked."""
    return next((group for group in table.groups.values() if model in aliases(group)), None)


def _standing(table: Table, active: str | None) -> tuple[Group, str]:
    for name, reason in (
        (active, "it is the active group"),
        (table.default_group, "it is the default group"),
    ):
        if name is not None and (group := table.groups.get(name)):
            return group, reason
    if len(table.groups) == 1:
        return next(iter(table.groups.values())), "it is the only group"
    message = "the request names no group, and no `default_group` is set"
    raise RoutingError("not_found", f"{message}. {known(table.default_group or '', table.groups)}")


def known(wanted: str, groups: Iterable[str]) -> str:
    """The names of all groups as a sentence, those nearest to `wanted` first."""
    names = sorted(groups)
    near = get_close_matches(wanted, names, n=3, cutoff=0.5)
    return "Known groups: " + ", ".join(dict.fromkeys((*near, *names))) + "."


def aliases(group: Group) -> tuple[str, ...]:
    """The model names of a group's `models` map that are names, not patterns."""
    return tuple(pattern for pattern, _ in group.models if not is_glob(pattern))


def is_glob(pattern: str) -> bool:
    return any(mark in pattern for mark in "*?[")
