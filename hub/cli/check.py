"""`hub check`: every problem of the settings at once."""

from __future__ import annotations

from pathlib import Path

from hub.cli.errors import CommandError
from hub.cli.options import Config, Json
from hub.cli.output import note, print_json
from hub.cli.settings import describe, settings_path
from hub.settings import LoadedSettings, SettingsError, load_settings, user_settings_path


def check(*, config: Config = None, json: Json = False) -> int:
    """Check the settings file and print every problem, with its line.

    Exit status 0 if the hub could start with it, else 1.
    """
    path = settings_path(config)
    try:
        loaded = load_settings(path)
        _build(loaded)
    except SettingsError as error:
        return _refused(path, error, json)
    if json:
        print_json({"path": _text(path), "problems": [], "notes": loaded.notes, **_counts(loaded)})
        return 0
    for remark in loaded.notes:
        note(remark)
    if path is None:
        print(
            f"no settings file: neither ./hub.yaml nor {user_settings_path()}; hub serve uses what it finds"
        )
        return 0
    counts = ", ".join(f"{count} {_plural(name, count)}" for name, count in _counts(loaded).items())
    print(f"{path} is right: {counts}")
    return 0


def _build(loaded: LoadedSettings) -> None:
    """Try to make the routing table, as `serve` would."""
    from hub.snapshot import build_table, embedded_providers

    running = dict.fromkeys(embedded_providers(loaded.settings), "http://127.0.0.1/v1")
    build_table(loaded.settings, loaded.environ, embedded=running)


def _refused(path: Path | None, error: SettingsError, json: bool) -> int:
    if json:
        problems = [
            {"line": one.line, "where": one.where, "message": one.message, "hint": one.hint}
            for one in error.problems
        ]
        print_json({"path": _text(path), "problems": problems, "notes": []})
        return 1
    for problem in error.problems:
        print(describe(path, problem))
    count = len(error.problems)
    raise CommandError(f"{count} {_plural('problem', count)} in {path or 'the settings'}")


def _counts(loaded: LoadedSettings) -> dict[str, int]:
    settings = loaded.settings
    return {
        "provider": len(settings.providers),
        "group": len(settings.groups),
        "MCP server": len(settings.mcp_servers),
        "profile": len(settings.profiles),
        "key": len(settings.keys),
    }


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
