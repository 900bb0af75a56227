"""`python -m bench [--quick]`: measure, print, and write the tables into bench/README.md."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path

from bench import chat, tools

README = Path(__file__).parent / "README.md"

_TEXT = """\
# Benchmark

`make bench` measures the hub against what it stands between and writes this page; `make bench-quick` does
the same in less than a minute and only prints. Everything runs on one machine, in turns, so the ratios
are worth more than the figures. Each chat answer is checked to be right and whole.

{machine}

## Chat

*Floor*: bare Starlette and aiohttp's client that forward bytes. *Ratio*: the hub's answers per second over
the floor's, 1 is as fast. The upstream is free, so all time is the gateway's. CPU is that of the one process.

{chat}

## Tools

*Direct*: FastMCP's client on the server itself. *Ratio*: the hub's time over the direct one; 1 is as fast.
The server has ten tools.

{tools}
"""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute, and nothing is written")
    quick = parser.parse_args().quick
    rounds, seconds, count = (1, 1.0, 50) if quick else (5, 3.0, 300)
    chat_table = table(
        ("scenario", "hub, answers/s", "floor, answers/s", "ratio", "hub, CPU µs", "floor, CPU µs"),
        (
            (
                row.name,
                f"{row.hub:,.0f}",
                f"{row.floor:,.0f}",
                f"{row.ratio:.2f}",
                f"{row.hub_cpu:,.0f}",
                f"{row.floor_cpu:,.0f}",
            )
            for row in chat.run(rounds=rounds, seconds=seconds)
        ),
    )
    print(chat_table, "\n")
    tools_table = table(
        ("request", "hub, ms", "direct, ms", "ratio"),
        (
            (row.name, f"{row.hub:.2f}", f"{row.direct:.2f}", f"{row.ratio:.2f}")
            for row in tools.run(count=count)
        ),
    )
    print(tools_table)
    if not quick:
        machine = (
            f"Measured on {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, "
            f"{platform.machine()}, Python {platform.python_version()}."
        )
        README.write_text(_TEXT.format(machine=machine, chat=chat_table, tools=tools_table))


if __name__ == "__main__":
    main()
