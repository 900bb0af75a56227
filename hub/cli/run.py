"""From an argument list to an exit status.

Help, version and wrong command names are answered from the table of commands; the argument
parser and the command's own module are imported only once it is clear which command it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hub.cli.commands import COMMANDS
from hub.cli.errors import CommandError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cyclopts import App

_LEADING_OPTIONS = ("--config", "--url", "--host", "--port", "--key")
"""Options that may also stand before the command."""
_INTERRUPTED = 130


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Prints errors; raises nothing but `SystemExit`."""
    try:
        return _dispatch(arguments)
    except CommandError as error:
        _print_error(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: `hub tools | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("HUB_DEBUG"):
            raise
        name = type(error).__name__
        _print_error(f"internal error: {name}: {error}; HUB_DEBUG=1 shows where, please report it")
        return 1


def _print_error(message: str) -> None:
    print(f"hub: {' '.join(message.split())}", file=sys.stderr)


def _dispatch(arguments: Sequence[str]) -> int:
    leading, rest = _split(arguments)
    match rest:
        case []:
            print(help_page(), file=sys.stderr)
            return UsageError.exit_status
        case ["--help" | "-h" | "help"]:
            print(help_page())
            return 0
        case ["--version", *_]:
            print(f"hub {version()}")
            return 0
        case ["--install-completion", *_]:
            return _install_completion(rest)
        case ["help", name, *_]:
            return _run_command(name, ["--help"])
        case [name, *others]:
            end = others.index("--") if "--" in others else len(others)
            return _run_command(name, [*others[:end], *leading, *others[end:]])
        case _:
            raise AssertionError("a list is empty or not")


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options before the command, and everything from the command on."""
    position = 0
    while position < len(arguments):
        option, equals, _ = arguments[position].partition("=")
        if option not in _LEADING_OPTIONS:
            break
        position += 1 if equals else 2
    return list(arguments[:position]), list(arguments[position:])


def _run_command(name: str, arguments: list[str]) -> int:
    known = [command.name for command in COMMANDS]
    if name.startswith("-"):
        raise UsageError(f"unknown option {name}{did_you_mean(name, _LEADING_OPTIONS)}; see hub --help")
    if name not in known:
        raise UsageError(f'unknown command "{name}"{did_you_mean(name, known)}')
    from cyclopts import CycloptsError

    app = build_app()
    try:
        result = app([name, *arguments], exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(f"{name}: {str(error).strip().rstrip('.')}; see hub {name} --help") from error
    return result if isinstance(result, int) else 0


def build_app() -> App:
    """All commands, as the argument parser knows them."""
    from cyclopts import App

    app = App(
        name="hub", help=_SUMMARY, version=version, help_format="plaintext", suppress_keyboard_interrupt=False
    )
    for command in COMMANDS:
        if command.has_commands:  # its own `App` says its help
            app.command(command.function, name=command.name)
        else:
            app.command(command.function, name=command.name, help=command.summary)
    return app


def _install_completion(arguments: list[str]) -> int:
    app = build_app()
    app.register_install_completion_command()
    app(arguments, result_action="return_value")
    return 0


_SUMMARY = "One MCP endpoint for all your tools, and any model in any chat client."


def help_page() -> str:
    """`hub --help`, without the time that it takes to load an argument parser."""
    commands = "\n".join(f"  {command.name:<9} {command.summary}" for command in COMMANDS)
    return f"""Usage: hub COMMAND [OPTIONS]

{_SUMMARY}

Commands:
{commands}

Options of most commands:
  --config FILE   the settings file (default: ./hub.yaml, then that of your config folder)
  --url URL       where the hub runs, or --host and --port (default: as the settings say)
  --key KEY       the key that the hub asks for (or the variable HUB_KEY)
  --json          print one JSON document

hub COMMAND --help tells more. hub --install-completion sets up your shell. hub --version."""


def version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("ccproxy-hub")
    except PackageNotFoundError:
        return "0+source"
