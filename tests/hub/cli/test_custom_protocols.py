"""The codec of docs/custom-protocols.md, installed as a distribution and used by the real program."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hub.cli.conftest import HUB, Cli, RunningHub, ScriptedModel, serving

PAGE = (Path(__file__).parents[3] / "docs" / "custom-protocols.md").read_text()
TEXT = "One \x1b[2Jtwo"
"""What the scripted model answers."""


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def install(folder: Path, source: str | None = None) -> str:
    """The page's distribution as pip would lay it out below `folder`; what to put on PYTHONPATH."""
    project = tomllib.loads(block("toml"))["project"]
    site = folder / "site"
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    name, version = project["name"], project["version"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))
    (site / "hub_plain.py").write_text(block("python") if source is None else source)
    return str(site)


def settings(model: ScriptedModel, port: int) -> dict[str, Any]:
    """`lines` speaks plain: it is the hub itself, with its group `answers` behind it."""
    scripted = {
        "protocol": "openai",
        "base_url": f"http://127.0.0.1:{model.server_port}/v1",
        "api_key": "x",
    }
    plain = {"protocol": "plain", "api_key": "secret-of-lines"}
    return {
        "providers": {
            "scripted": scripted,
            "lines": {**plain, "base_url": f"http://127.0.0.1:{port}/answers"},
            "wrong": {**plain, "base_url": f"http://127.0.0.1:{port}/breaks"},
        },
        "groups": {
            **{name: {"provider": "scripted", "model": name} for name in ("answers", "breaks", "refuses")},
            "poet": {"provider": "lines", "model": "poet-1"},
            "strict": {"provider": "lines", "model": "poet-1", "losses": "refuse"},
            "broken": {"provider": "wrong", "model": "poet-1"},
        },
    }


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel) -> Iterator[tuple[Cli, RunningHub]]:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "home").mkdir()
    cli = Cli(folder, {"PYTHONPATH": install(folder)})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cli.write(settings(model, port))
    with serving(cli, port=str(port), errors=subprocess.DEVNULL) as running:
        yield cli, running


def lines(text: str) -> tuple[str, list[str]]:
    """The text of a plain stream, and its other lines."""
    told = text.splitlines()
    return "".join(json.loads(line[1:]) for line in told if line[0] == "+"), [
        line for line in told if line[0] != "+"
    ]


def test_a_plain_client_asks_a_model_of_another_protocol(
    hub: tuple[Cli, RunningHub], model: ScriptedModel
) -> None:
    body = {"model": "answers", "lines": ["system: Be brief.", "user: Hi: you"], "most": 9}
    answer = httpx.post(f"{hub[1].url}/plain/ask", json=body)
    assert (answer.status_code, answer.json()) == (200, {"line": TEXT, "end": "done"})
    assert answer.headers["x-hub-target"] == "scripted/answers"
    assert model.bodies[-1]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi: you"},
    ]
    assert model.bodies[-1]["max_tokens"] == 9


def test_a_plain_client_streams(hub: tuple[Cli, RunningHub]) -> None:
    answer = httpx.post(f"{hub[1].url}/answers/plain/ask", json={"lines": ["user: Hi"], "stream": True})
    assert answer.headers["content-type"] == "text/x-plain-lines"
    assert lines(answer.text) == (TEXT, ['.{"end": "done"}'])


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_of_another_protocol_asks_a_plain_model(hub: tuple[Cli, RunningHub], stream: bool) -> None:
    """Through the codec twice: to the plain target, which is the hub's own plain client."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "top_k": 3, "stream": stream}
    answer = httpx.post(f"{hub[1].url}/poet/v1/messages", json={"model": "x", **body})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-hub-losses"] == "top_k"
    assert answer.headers["x-hub-target"] == "lines/poet-1"
    if stream:
        events = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]
        assert "".join(event.get("delta", {}).get("text", "") for event in events) == TEXT
        assert events[-1]["type"] == "message_stop"
    else:
        assert answer.json()["content"][0]["text"] == TEXT
        assert answer.json()["stop_reason"] == "end_turn"


def test_plain_to_plain_passes_through(hub: tuple[Cli, RunningHub]) -> None:
    body = {"model": "poet", "lines": ["user: Hi"], "stream": True}
    answer = httpx.post(f"{hub[1].url}/plain/ask", json=body)
    assert "x-hub-losses" not in answer.headers
    assert lines(answer.text) == (TEXT, ['.{"end": "done"}'])


def test_losses_are_refused_where_the_group_says_so(hub: tuple[Cli, RunningHub]) -> None:
    body = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "seed": 1}
    answer = httpx.post(f"{hub[1].url}/strict/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert "`seed` at seed" in answer.json()["error"]["message"]


def test_errors_have_its_shape(hub: tuple[Cli, RunningHub]) -> None:
    url = hub[1].url
    bad = httpx.post(f"{url}/answers/plain/ask", json={"lines": ["Hi"]})
    assert bad.status_code == 400
    assert bad.json()["wrong"].startswith("lines[0]: must be a text such as")
    none = httpx.post(f"{url}/nobody/plain/ask", json={"lines": ["user: Hi"]})
    assert none.status_code == 404
    assert "there is no group `nobody`" in none.json()["wrong"]
    refused = httpx.post(f"{url}/refuses/plain/ask", json={"lines": ["user: Hi"]})
    assert (refused.status_code, refused.json()["wrong"]) == (400, "no such model here")
    broken = httpx.post(f"{url}/breaks/plain/ask", json={"lines": ["user: Hi"], "stream": True})
    text, others = lines(broken.text)
    assert text == "One"
    assert others[-1].startswith('!{"wrong": ')


def test_a_plain_stream_that_fails_is_a_failure_elsewhere(hub: tuple[Cli, RunningHub]) -> None:
    body = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    answer = httpx.post(f"{hub[1].url}/broken/v1/chat/completions", json=body)
    assert '"error"' in answer.text
    assert "[DONE]" not in answer.text


def test_its_list_of_models(hub: tuple[Cli, RunningHub]) -> None:
    listed = httpx.get(f"{hub[1].url}/plain/models").json()
    assert listed == {"models": ["answers", "breaks", "refuses", "poet", "strict", "broken"]}
    assert httpx.get(f"{hub[1].url}/plain/models/poet").json() == {"model": "poet"}


def test_the_page_explains(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    cli = Cli(tmp_path, {"PYTHONPATH": install(tmp_path)})
    (tmp_path / "hub.yaml").write_text(block("yaml"))
    command, printed = block("console").split("\n", 1)
    environ = {**cli.environ, "PATH": f"{Path(HUB).parent}:{cli.environ['PATH']}"}
    done = subprocess.run(
        command.removeprefix("$ "),
        shell=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environ,
        timeout=60,
    )
    assert done.stdout == printed, done.stderr
    misspelled = block("yaml").replace("protocol: plain", "protocol: plian")
    (tmp_path / "hub.yaml").write_text(misspelled)
    checked = cli("check")
    assert checked.status == 1
    assert "`ollama` or `plain`, not `plian`: did you mean `plain`?" in checked.out


def test_without_the_distribution_the_settings_are_refused(cli: Cli) -> None:
    (cli.folder / "hub.yaml").write_text(block("yaml"))
    outcome = cli("check")
    assert outcome.status == 1
    assert "hub.yaml:4: providers.lines.protocol: must be one of" in outcome.out
    assert "not `plain`" in outcome.out


BROKEN = {
    "raise RuntimeError('out of ink')": "RuntimeError: out of ink",
    "import no_such_module": "ModuleNotFoundError",
    "class CODEC: name = 'plain'": "is no codec: it has no authorization, decode_error, ",
    block("python").replace('PROTOCOL = "plain"', 'PROTOCOL = "other"'): "calls itself `other`",
}


@pytest.mark.parametrize("source", BROKEN, ids=list(BROKEN.values()))
def test_a_broken_codec_is_named_and_harms_nobody_else(
    tmp_path: Path, source: str, model: ScriptedModel
) -> None:
    (tmp_path / "home").mkdir()
    cli = Cli(tmp_path, {"PYTHONPATH": install(tmp_path, source)})
    cli.write(settings(model, 9))
    checked = cli("check")
    assert checked.status == 1
    assert BROKEN[source] in checked.out
    assert "of hub-plain" in checked.out
    others = settings(model, 9)
    others["providers"] = {"scripted": others["providers"]["scripted"]}
    others["groups"] = {"answers": others["groups"]["answers"]}
    cli.write(others)
    explained = cli("explain", "answers", "--json", stdin='{"model": "x", "messages": []}')
    assert explained.status == 0
    assert "the protocol `plain` is left out" in explained.err


def test_its_events_are_in_order_however_they_are_cut(tmp_path: Path) -> None:
    """The page's rule, kept by the page's example: in a process of its own, for the module's sake."""
    program = """
import sys
from adapters.grammar import check
from adapters.registry import codec
from adapters.canonical import Failure
data = b'+"Hel"\\n+"lo \\xc3\\xbc"\\n.{"end": "limit", "read": 7, "written": 3}\\n'
whole = None
for size in range(1, len(data) + 1):
    decoder = codec("plain").stream_decoder()
    events = [event for at in range(0, len(data), size) for event in decoder.feed(data[at:at + size])]
    events = check(events + decoder.close())
    assert whole is None or events == whole
    whole = events
for end in range(len(data) - 1):
    decoder = codec("plain").stream_decoder()
    events = check(decoder.feed(data[:end]) + decoder.close())
    assert isinstance(events[-1], Failure), end
print(len(whole))
"""
    environ = {"PYTHONPATH": f"{install(tmp_path)}:{Path(__file__).parents[3]}"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environ, timeout=60
    )
    assert (done.stdout.strip(), done.returncode) == ("8", 0), done.stderr
