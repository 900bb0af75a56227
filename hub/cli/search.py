"""`hub search`: MCP servers in a registry, with the command that adds each to the settings.

The format is the official MCP registry's: a list of `server.json` documents, each bare or in `server`.
API of 2025-12-01: https://github.com/modelcontextprotocol/registry, docs/reference/api/openapi.yaml
"""

from __future__ import annotations

import json as json_module
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
from cyclopts import Parameter

from hub.cli.errors import CommandError, UsageError
from hub.cli.options import Json
from hub.cli.output import note, on_terminal, one_line, print_json

REGISTRY_VARIABLE = "HUB_REGISTRY"
_PATHS = ("/v0.1/servers", "/v0/servers")
"""Of the API's versions, newest first."""
_PAGE = 100
_MOST_PAGES = 20
_LARGEST = 32 * 1024 * 1024
_TIMEOUT = httpx.Timeout(15, connect=5)
_TRANSPORTS = {"streamable-http": "http", "streamable_http": "http", "http": "http", "sse": "sse"}
_VARIABLE = re.compile(r"\{([A-Za-z_][\w.-]*)\}")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run or reach a server. `needs` are variables to set before, each with what it is for."""

    kind: str
    """npm, pypi, oci, …, or http or sse for a remote one."""
    command: str | None
    """The `hub add` line; None: the hub cannot start such a package."""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    name: str
    version: str
    description: str
    ways: tuple[Way, ...]


def search(
    word: str,
    /,
    *,
    registry: Annotated[
        str | None, Parameter(help="URL or file of a registry; else the variable HUB_REGISTRY.")
    ] = None,
    limit: Annotated[int, Parameter(help="Show at most so many.")] = 20,
    json: Json = False,
) -> int:
    """Look for MCP servers in a registry, and show the `hub add` line for each. Nothing is installed.

    Only the registry that you name is asked; there is none by default.

    Parameters
    ----------
    word
        Part of the server's name, title or description.
    """
    place = registry or os.environ.get(REGISTRY_VARIABLE)
    if not place:
        raise UsageError(f"name a registry: --registry URL, or a file; or set {REGISTRY_VARIABLE}")
    if limit < 1:
        raise UsageError("--limit is 1 or more")
    documents = _asked(place, word) if place.startswith(("http://", "https://")) else _read(Path(place))
    found = [_match(one) for one in _newest(documents) if _is_meant(one, word)]
    shown = found[:limit]
    if json:
        print_json(
            {"registry": _shown(place), "found": len(found), "servers": [asdict(one) for one in shown]}
        )
    else:
        _print(shown)
        if len(found) > len(shown):
            note(f"{len(found) - len(shown)} more: --limit {len(found)} shows them")
    if not found:
        if not json:
            note(f"nothing matches {word!r} in {_shown(place)}")
        return 1
    return 0


def _print(matches: Iterable[Match]) -> None:
    """For eyes a paragraph each; in a pipe a line for each way: name, version, kind, command, needs."""
    for match in matches:
        if on_terminal():
            print(f"{one_line(match.name)} {one_line(match.version)}: {one_line(match.description)}")
        for way in match.ways:
            command = way.command or f"({way.kind}: the hub cannot start such a package)"
            if on_terminal():
                print(f"  {one_line(command)}")
                for need in way.needs:
                    print(f"      {one_line(need)}")
            else:
                cells = (match.name, match.version, way.kind, command, "; ".join(way.needs))
                print("\t".join(one_line(cell) for cell in cells))


def _shown(place: str) -> str:
    """Without a password."""
    parts = urlsplit(place)
    return (
        parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl() if parts.netloc else place
    )


def _read(path: Path) -> list[Document]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CommandError(f"the registry {path} cannot be read: {error.strerror}") from None
    return list(_documents(_parsed(data, str(path)), str(path)))


def _asked(url: str, word: str) -> list[Document]:
    """All pages of what the registry has on `word`. Credentials in the URL go to it alone."""
    base = url.rstrip("/")
    paths = [""] if base.endswith("/servers") else list(_PATHS)
    try:
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as client:
            for path in paths:
                first = client.get(base + path, params=_parameters(word, None))
                if first.status_code != 404 or path == paths[-1]:
                    return list(_pages(client, base + path, word, first))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise CommandError(f"the registry {_shown(url)} cannot be asked: {reason}") from None
    raise AssertionError("there is always a last path")


def _pages(client: httpx.Client, url: str, word: str, answer: httpx.Response) -> Iterator[Document]:
    for _ in range(_MOST_PAGES):
        if answer.status_code != 200:
            raise CommandError(f"the registry {_shown(url)} answers with status {answer.status_code}")
        page = _parsed(answer.content, _shown(url))
        yield from _documents(page, _shown(url))
        metadata = page.get("metadata") if isinstance(page, dict) else None
        cursor = (metadata or {}).get("nextCursor") or (metadata or {}).get("next_cursor")
        if not cursor:
            return
        answer = client.get(url, params=_parameters(word, str(cursor)))
    note(f"the registry has more on {word!r} than {_MOST_PAGES * _PAGE} servers; a longer word finds fewer")


def _parameters(word: str, cursor: str | None) -> dict[str, str]:
    asked = {"search": word, "version": "latest", "limit": str(_PAGE)}
    return asked if cursor is None else {**asked, "cursor": cursor}


def _parsed(data: bytes, place: str) -> Any:
    if len(data) > _LARGEST:
        raise CommandError(f"what {place} gives is larger than {_LARGEST} bytes")
    try:
        return json_module.loads(data)
    except ValueError:
        raise CommandError(f"what {place} gives is not JSON, so it is no MCP registry") from None


def _documents(page: Any, place: str) -> Iterator[Document]:
    """`{"servers": […]}`, a list, or one `server.json`; each entry bare or in `server`."""
    entries = page.get("servers", [page]) if isinstance(page, dict) else page
    if not isinstance(entries, list):
        raise CommandError(f"what {place} gives has no list of servers")
    for entry in entries:
        inner = entry.get("server", entry) if isinstance(entry, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            yield inner
        else:
            raise CommandError(f"what {place} gives is no list of server.json documents: one has no name")


def _newest(documents: Iterable[Document]) -> list[Document]:
    """Each server once, with its highest version; that of a registry comes filtered already."""
    newest: dict[str, Document] = {}
    for one in documents:
        name = str(one["name"])
        if name not in newest or _version(one) > _version(newest[name]):
            newest[name] = one
    return list(newest.values())


def _version(document: Document) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", str(document.get("version", ""))))


def _is_meant(document: Document, word: str) -> bool:
    told = " ".join(str(document.get(key, "")) for key in ("name", "title", "description"))
    return word.casefold() in told.casefold()


def _match(document: Document) -> Match:
    name = str(document["name"])
    short = re.sub(r"[^A-Za-z0-9_-]+", "-", name.rpartition("/")[2]).strip("-")[:48] or "server"
    ways = [
        *(_package(short, one) for one in _objects(document.get("packages"))),
        *(_remote(short, one) for one in _objects(document.get("remotes"))),
    ]
    return Match(name, str(document.get("version", "")), str(document.get("description", "")), tuple(ways))


def _package(short: str, package: Document) -> Way:
    kind = str(package.get("registryType") or package.get("registry_type") or package.get("registry_name"))
    identifier = str(package.get("identifier") or package.get("name") or "")
    version = str(package.get("version") or "")
    transport = package.get("transport")
    if isinstance(transport, dict) and transport.get("type", "stdio") != "stdio":
        return Way(f"{kind}, {transport.get('type')}", None, ("start it yourself, then hub add NAME URL",))
    env = _objects(package.get("environmentVariables") or package.get("environment_variables"))
    needs = [need for one in env if (need := _need(str(one.get("name")), one)) is not None]
    before, more = _arguments(package.get("runtimeArguments") or package.get("runtime_arguments"))
    after, others = _arguments(package.get("packageArguments") or package.get("package_arguments"))
    command = _command(kind, identifier, version, before, env)
    if command is None or not identifier or identifier.startswith("-"):
        return Way(kind, None)
    options = [
        part for one in env for part in ("--env", f"{one.get('name')}={_value(str(one.get('name')), one)}")
    ]
    words = ["hub", "add", short, *options, "--", *command, *after]
    return Way(kind, shlex.join(words), (*needs, *more, *others))


def _command(
    kind: str, identifier: str, version: str, before: Sequence[str], env: Sequence[Document]
) -> list[str] | None:
    match kind:
        case "npm":
            extra = [one for one in before if one not in ("-y", "--yes")]
            return ["npx", "-y", *extra, f"{identifier}@{version}" if version else identifier]
        case "pypi":
            return ["uvx", *before, f"{identifier}=={version}" if version else identifier]
        case "oci" | "docker":
            tagged = ":" in identifier.rpartition("/")[2] or "@" in identifier
            image = identifier if tagged or not version else f"{identifier}:{version}"
            passed = [part for one in env for part in ("-e", str(one.get("name")))]
            return ["docker", "run", "-i", "--rm", *passed, *before, image]
        case _:
            return None


def _remote(short: str, remote: Document) -> Way:
    kind = _TRANSPORTS.get(str(remote.get("type") or remote.get("transport_type")), "")
    url = str(remote.get("url") or "")
    if not kind or not url:
        return Way(str(remote.get("type")), None)
    variables = remote.get("variables")
    known: Document = variables if isinstance(variables, dict) else {}
    needs = [need for name, one in known.items() if isinstance(one, dict) and (need := _need(name, one))]
    url = _VARIABLE.sub(lambda found: _value(found[1], known.get(found[1]) or {}), url)
    if not url.startswith(("http://", "https://")):
        return Way(kind, None, (*needs, f"its address is {url}: add it by hand"))
    headers = [one for one in _objects(remote.get("headers")) if one.get("name")]
    options: list[str] = ["--sse"] if kind == "sse" else []
    for one in headers:
        name = str(one["name"])
        variable = f"{short}_{name}"
        options += ["--header", f"{name}: {_value(variable, one)}"]
        inner = one.get("variables") if isinstance(one.get("variables"), dict) else None
        needs += [need for key, each in (inner or {variable: one}).items() if (need := _need(key, each))]
    return Way(kind, shlex.join(["hub", "add", short, url, *options]), tuple(needs))


def _arguments(written: Any) -> tuple[list[str], list[str]]:
    """The words of a command line, and what has to be filled in. Optional ones without a value are left."""
    words: list[str] = []
    needs: list[str] = []
    for one in _objects(written):
        label = str(one.get("name") or one.get("valueHint") or one.get("value_hint") or "value")
        fixed = one.get("value") or one.get("default")
        if fixed is None and not one.get("isRequired", one.get("is_required", False)):
            continue
        value = _value(label, one)
        words += [str(one["name"]), value] if one.get("type") == "named" and one.get("name") else [value]
        if (need := _need(label, one)) is not None:
            needs.append(need)
    return words, needs


def _value(name: str, written: Document) -> str:
    """What stands in the settings: the fixed value or default, else a variable of the environment."""
    fixed = written.get("value", written.get("default"))
    if fixed is None:
        return "${" + _variable(name) + "}"
    inner = written.get("variables")
    known = inner if isinstance(inner, dict) else {}

    def filled(found: re.Match[str]) -> str:
        return _value(found[1], known[found[1]]) if isinstance(known.get(found[1]), dict) else found[0]

    return _VARIABLE.sub(filled, str(fixed))


def _need(name: str, written: Document) -> str | None:
    """`VARIABLE: what it is for`, where the registry has no value for it."""
    if written.get("value") is not None or written.get("default") is not None:
        inner = written.get("variables")
        if not isinstance(inner, dict):
            return None
        parts = [need for key, one in inner.items() if isinstance(one, dict) and (need := _need(key, one))]
        return "; ".join(parts) or None
    required = written.get("isRequired", written.get("is_required", False))
    secret = written.get("isSecret", written.get("is_secret", False))
    marks = ", ".join(mark for mark, on in (("secret", secret), ("optional", not required)) if on)
    told = str(written.get("description") or "").strip()
    return f"set {_variable(name)}{f' ({marks})' if marks else ''}" + (f": {told}" if told else "")


def _variable(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper() or "VALUE"


def _objects(value: Any) -> list[Document]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
