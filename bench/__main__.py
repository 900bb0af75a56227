"""`python -m bench [--quick]`: measure, print, and write the tables into bench/README.md."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path

from bench import chat, conversion, streams, tools

README = Path(__file__).parent / "README.md"

_TEXT = """\
# Benchmark

`make bench` measures the hub against what it stands between and writes this page; `make bench-quick` does
the same in about a minute and only prints. Everything runs on one machine, in turns, so the ratios
are worth more than the figures. Each chat answer is checked to be right and whole.

{machine}

## Chat

*Floor*: bare Starlette and aiohttp's client that forward bytes, or convert by hand and check nothing.
*Ratio*: the hub's answers per second over the floor's, 1 is as fast. The upstream is free, so all time is the
gateway's. CPU is that of the one process.

{chat}

## Tools

*Direct*: FastMCP's client on the server itself. *Ratio*: the hub's time over the direct one; 1 is as fast.
The server has ten tools.

{tools}

## Many streams

Streams that get a chunk every half second, all at once through one hub process: half of them passed
through, half converted from OpenAI to Anthropic. *Broken*: a stream that lacks a chunk or its end. *Delay*:
from the upstream's write of a chunk to the client's read; what the hub adds is the difference to the streams
that go directly. Memory is that of the process that is asked (the hub, or the upstream itself), before the
first stream and after these times.

{streams}

## Conversion

CPU time in microseconds in one process, without any network: a request parsed, decoded, encoded and written,
and one chunk of a {chunks}-chunk stream decoded and encoded. The large request has 40 tools and 60 messages
with calls of tools, as a coding agent sends. Within one protocol the hub passes bodies through: that figure
is what a group with parameters costs.

{conversion}
"""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def conversion_table(*, rounds: int, seconds: float) -> str:
    rows = list(conversion.run(rounds=rounds, seconds=seconds))
    named = [(f"{row.client} → {row.target}", row) for row in rows]
    return table(
        ("client → target", *(f"{size}, µs" for size in conversion.SIZES), "chunk, µs"),
        (
            (name, *(f"{each:,.0f}" for each in row.requests), f"{row.chunk:.1f}")
            for name, row in (*named, ("the most that a conversion takes", conversion.worst(rows)))
        ),
    )


def streams_table(*, count: int, seconds: float) -> str:
    rows = list(streams.run(streams=count, seconds=seconds))
    times = list(rows[0].memory)
    return table(
        (
            "",
            "streams",
            "broken",
            "chunks",
            *(f"{time}, MB" for time in times),
            "CPU",
            "delay, ms",
            "99 %, ms",
        ),
        (
            (
                row.name,
                f"{row.streams:,}",
                f"{row.broken}",
                f"{row.chunks:,}",
                *(f"{row.memory[time]:.0f}" for time in times),
                f"{row.cpu:.0%}",
                f"{row.median:.1f}",
                f"{row.p99:.1f}",
            )
            for row in rows
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute, and nothing is written")
    quick = parser.parse_args().quick
    rounds, seconds, count = (1, 1.0, 50) if quick else (3, 2.0, 300)
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
    print(tools_table, "\n")
    many = streams_table(count=100, seconds=8.0) if quick else streams_table(count=1000, seconds=60.0)
    print(many, "\n")
    rounds, seconds = (1, 0.01) if quick else (5, 0.1)
    converted = conversion_table(rounds=rounds, seconds=seconds)
    print(converted)
    if not quick:
        machine = (
            f"Measured on {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, "
            f"{platform.machine()}, Python {platform.python_version()}."
        )
        README.write_text(
            _TEXT.format(
                machine=machine,
                chat=chat_table,
                tools=tools_table,
                streams=many,
                conversion=converted,
                chunks=conversion.CHUNKS,
            )
        )


if __name__ == "__main__":
    main()
