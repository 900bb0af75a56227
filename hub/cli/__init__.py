"""The command `hub`: one module per command, each imported only when it is used."""

import sys


def main() -> int:
    """The console script. Gives back the exit status: 0, 1 (it failed) or 2 (wrong use)."""
    from hub.cli.run import run

    return run(sys.argv[1:])
