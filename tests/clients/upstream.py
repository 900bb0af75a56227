"""A model server of five protocols that follows the plan whose tag a request holds."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any, cast

from tests.clients.script import TAG, TITLE, Json, Plan, Reply
from tests.clients.wire import anthropic, chat, gemini, ollama, responses

ROUTES: dict[str, ModuleType] = {
    r"/v1/chat/completions$": chat,
    r"/v1/responses$": responses,
    r"/v1/messages$": anthropic,
    r"/v1beta/models/[^/]+:(?:streamG|g)enerateContent$": gemini,
    r"/api/chat$": ollama,
}
PROVIDERS: dict[str, Json] = {
    "chat": {"protocol": "openai", "base_url": "{url}/v1", "model": "model-c"},
    "responses": {"protocol": "openai-responses", "base_url": "{url}/v1", "model": "model-r"},
    "anthropic": {"protocol": "anthropic", "base_url": "{url}", "model": "model-a"},
    "gemini": {"protocol": "gemini", "base_url": "{url}", "model": "model-g"},
    "ollama": {"protocol": "ollama", "base_url": "{url}", "model": "model-o"},
}


class Upstream(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plans: dict[str, Plan] = {}
        self.faults: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no fault; faults in requests are told by the handler."""

    def settings(self) -> Json:
        """Providers and groups of the hub, a group for each target protocol."""
        providers = {
            name: {
                "protocol": one["protocol"],
                "base_url": one["base_url"].format(url=self.url),
                "api_key": "k",
            }
            for name, one in PROVIDERS.items()
        }
        groups = {name: {"provider": name, "model": one["model"]} for name, one in PROVIDERS.items()}
        return {"providers": providers, "groups": groups}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def upstream(self) -> Upstream:
        return cast("Upstream", self.server)

    def log_request(self, *arguments: Any) -> None:
        """Nothing: the plan keeps what a test wants to know."""

    def do_GET(self) -> None:
        self.send_document(404, {"error": {"message": f"nothing at {self.path}"}})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        text = raw.decode()
        path = self.path.partition("?")[0]
        wire = next((module for pattern, module in ROUTES.items() if re.fullmatch(pattern, path)), None)
        if wire is None:
            self.send_document(404, {"error": {"message": f"nothing at {path}"}})
            return
        body = json.loads(text)
        streamed = body.get("stream", wire is ollama) if wire is not gemini else ":stream" in path
        tag = TAG.search(text)
        plan = self.upstream.plans.get(tag[0]) if tag else None
        try:
            asked = wire.read(body)
        except (KeyError, TypeError, IndexError) as error:
            # A real upstream refuses such a request as well: results without calls, unknown roles.
            fault = f"{path}: the request cannot be read: {error!r}"
            self.upstream.faults.append(fault)
            self.send_document(400, {"error": {"message": fault, "type": "invalid_request_error"}})
            return
        cut = False
        if plan is None:
            reply = Reply(TITLE)
        else:
            with self.upstream.lock:
                if plan.signature in text:
                    plan.replayed = True
                status = plan.refuse
                if asked.tools and plan.failures:
                    status = plan.failures.pop(0)
                if asked.tools and streamed and not status and plan.cut:
                    cut, plan.cut = True, plan.cut - 1
                if not status:
                    plan.asked.append(asked)
                    if asked.tools:
                        plan.wires.append(wire.__name__.rpartition(".")[2])
                    reply = plan.reply(asked)
                    plan.replies.append(reply)
            if status:
                self.send_document(status, wire.error(status))
                return
        model = body.get("model", "model-g")
        if streamed:
            self.send_stream(wire.MEDIA, list(wire.stream(reply, model)), cut)
        else:
            self.send_document(200, wire.whole(reply, model))

    def send_document(self, status: int, document: Json) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if status == 503:
            self.send_header("retry-after", "1")
        self.end_headers()
        self.wfile.write(data)

    def send_stream(self, media: str, pieces: list[str], cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", media)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces[: len(pieces) // 2] if cut else pieces:
            data = piece.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        if cut:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")


@contextmanager
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
