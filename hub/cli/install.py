"""`hub install`: what to paste into an IDE's settings."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from cyclopts import Parameter

from hub.cli.client import find
from hub.cli.errors import CommandError, did_you_mean
from hub.cli.options import Json, Reach
from hub.cli.output import print_json

_KEY = "YOUR-HUB-KEY"


@dataclass(frozen=True, slots=True)
class Ide:
    """`entry` makes the block from the endpoint's URL and headers (empty: the hub asks for no key)."""

    title: str
    files: tuple[str, ...]
    entry: Callable[[str, Mapping[str, str]], Any]


def _remote(section: str, url_key: str = "url", **fixed: Any) -> Callable[[str, Mapping[str, str]], Any]:
    def entry(url: str, headers: Mapping[str, str]) -> Any:
        return {section: {"hub": {**fixed, url_key: url, **({"headers": dict(headers)} if headers else {})}}}

    return entry


def _stdio(url: str, headers: Mapping[str, str]) -> Any:
    address, _, path = url.partition("/mcp")
    arguments = ["connect", *([path.strip("/")] if path.strip("/") else []), "--url", address]
    environment = {"env": {"HUB_KEY": _KEY}} if headers else {}
    return {"mcpServers": {"hub": {"command": "hub", "args": arguments, **environment}}}


def _codex(url: str, headers: Mapping[str, str]) -> str:
    key = '\nbearer_token_env_var = "HUB_KEY"' if headers else ""
    return f'[mcp_servers.hub]\nurl = "{url}"{key}'


IDES: Mapping[str, Ide] = {
    "cursor": Ide("Cursor", ("~/.cursor/mcp.json", ".cursor/mcp.json"), _remote("mcpServers")),
    "vscode": Ide("VS Code", (".vscode/mcp.json", "the user's mcp.json"), _remote("servers", type="http")),
    "claude-code": Ide("Claude Code", (".mcp.json", "~/.claude.json"), _remote("mcpServers", type="http")),
    "claude-desktop": Ide("Claude Desktop", ("claude_desktop_config.json",), _stdio),
    "gemini-cli": Ide(
        "Gemini CLI", ("~/.gemini/settings.json", ".gemini/settings.json"), _remote("mcpServers", "httpUrl")
    ),
    "codex": Ide("Codex CLI", ("~/.codex/config.toml",), _codex),
    "opencode": Ide("opencode", ("opencode.json",), _remote("mcp", type="remote", enabled=True)),
    "windsurf": Ide("Windsurf", ("~/.codeium/windsurf/mcp_config.json",), _remote("mcpServers", "serverUrl")),
    "zed": Ide("Zed", ("settings.json of Zed",), _remote("context_servers")),
    "cline": Ide("Cline", ("cline_mcp_settings.json",), _remote("mcpServers", type="streamableHttp")),
}


def install(
    ide: str,
    /,
    *,
    profile: Annotated[str | None, Parameter(help="Register /mcp/PROFILE in place of /mcp.")] = None,
    reach: Reach = Reach(),  # noqa: B008 - frozen
    json: Json = False,
) -> int:
    """Print the lines that make an IDE use the hub, and the file to put them in.

    Parameters
    ----------
    ide
        cursor, vscode, claude-code, claude-desktop, gemini-cli, codex, opencode, windsurf, zed, cline.
    """
    known = IDES.get(ide)
    if known is None:
        raise CommandError(f'unknown IDE "{ide}"{did_you_mean(ide, IDES)}')
    address = find(reach)
    url = address.url + ("/mcp" if profile is None else f"/mcp/{quote(profile, safe='')}")
    entry = known.entry(url, {"Authorization": f"Bearer {_KEY}"} if address.key is not None else {})
    if json:
        print_json({"ide": ide, "files": known.files, "entry": entry})
        return 0
    print(f"# {known.title}: put this into {' or '.join(known.files)}, beside what is there")
    print(entry if isinstance(entry, str) else json_module.dumps(entry, indent=2))
    if address.key is not None:
        print(f"# {'set HUB_KEY to' if ide == 'codex' else f'{_KEY} stands for'} a key of the hub's settings")
    return 0
