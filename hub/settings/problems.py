"""What is wrong with settings, in words for the person who wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys of mappings and positions in lists, from the top."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to repair. `line` counts from 1 and is None where no file is at fault.

    `message` says what is wrong and `hint` what to do; neither holds a value that may be secret.
    """

    line: int | None
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        line = f" (line {self.line})" if self.line is not None else ""
        hint = f": {self.hint}" if self.hint else ""
        return f"{self.message}{place}{line}{hint}"


class SettingsError(Exception):
    """The settings cannot be used. `problems` are all of them, in the file's order.

    `files` are those that were read or looked for: a change of any may cure the problem.
    """

    def __init__(self, problems: Iterable[Problem], files: Iterable[Path] = ()) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        self.files = tuple(files)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(path: KeyPath) -> str:
    """`("groups", "best", "targets", 0)` as people write it: `groups.best.targets[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text
