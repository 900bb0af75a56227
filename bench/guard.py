"""`python -m bench.guard [--write]`: what a request costs, in figures that no busy machine changes.

For each scenario of `bench.guarded`: the bytecode instructions that one request takes, its calls into C, and
the most memory that it holds. They are compared with `bench/guard.json`; more than the allowed growth fails.
After a change that is worth its price, `--write` records the new figures.

Counted by the interpreter itself and not by `valgrind --tool=callgrind`: there the start of Python and
its imports alone take a minute of CPU for each run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from bench import guarded

RECORDED = Path(__file__).parent / "guard.json"
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_WARM = 20
_COUNTED = 5
_ALLOWED = {"instructions": 0.05, "c_calls": 0.05, "bytes": 0.10}
"""Growth, as a part of what is recorded."""

Figures = dict[str, int]


def measure(name: str) -> Figures:
    """Of one request, once everything is warm."""
    return asyncio.run(_measure(name))


async def _measure(name: str) -> Figures:
    ask = guarded.asking(name)
    for _ in range(_WARM):
        await ask()
    gc.collect()
    gc.disable()
    try:
        instructions = await _counted(ask, _Instructions())
        c_calls = await _counted(ask, _Calls())
        return {"instructions": instructions, "c_calls": c_calls, "bytes": await _held(ask)}
    finally:
        gc.enable()


class _Instructions:
    """Each bytecode instruction of each frame that begins while this counts."""

    def __init__(self) -> None:
        self.count = 0

    def start(self) -> None:
        sys.settrace(self._frame)

    def stop(self) -> None:
        sys.settrace(None)

    def _frame(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        self.count += event == "opcode"
        return self._step


class _Calls:
    """Each call of a function that is written in C."""

    def __init__(self) -> None:
        self.count = 0

    def start(self) -> None:
        sys.setprofile(self._call)

    def stop(self) -> None:
        sys.setprofile(None)

    def _call(self, frame: FrameType, event: str, _: Any) -> None:
        self.count += event == "c_call"


async def _counted(ask: guarded.Ask, counter: _Instructions | _Calls) -> int:
    counter.start()
    try:
        for _ in range(_COUNTED):
            await ask()
    finally:
        counter.stop()
    return counter.count // _COUNTED


async def _held(ask: guarded.Ask) -> int:
    tracemalloc.start()
    try:
        await ask()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        await ask()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def grown(name: str, now: Figures, recorded: Figures) -> list[str]:
    """What is more than it may be."""
    return [
        f"{name}: {figure} grew by {now[figure] / recorded[figure] - 1:.0%} to {now[figure]:,} "
        f"(recorded {recorded[figure]:,}, allowed {allowed:.0%})"
        for figure, allowed in _ALLOWED.items()
        if now[figure] > recorded[figure] * (1 + allowed)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("--write", action="store_true", help="record the figures as they are now")
    write = parser.parse_args().write
    found = {name: measure(name) for name in guarded.NAMES}
    all_recorded: dict[str, dict[str, Figures]] = (
        json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    )
    for name, figures in found.items():
        told = ", ".join(f"{figure} {value:,}" for figure, value in figures.items())
        print(f"{name}: {told}")
    if write:
        RECORDED.write_text(json.dumps({**all_recorded, _VERSION: found}, indent=2) + "\n")
        return 0
    recorded = all_recorded.get(_VERSION)
    if recorded is None:
        print(f"nothing is recorded for Python {_VERSION}: `python -m bench.guard --write` does it")
        return 1
    problems = [told for name, figures in found.items() for told in grown(name, figures, recorded[name])]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
