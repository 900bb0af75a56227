"""The child process: `python -m hub.embedded --model smollm2 --port 49152 --context 8192`.

It lives as long as its standard input is open: the hub holds the other end, so the child ends
with the hub even when the hub is killed. Events go to standard output, llama.cpp's log to
standard error.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.embedded.events import Event, Failed, Fetching, Loading, Ready, encode
from hub.embedded.weights import WeightsError, locate

_PR_SET_PDEATHSIG = 1
_CACHE_MIB = 256
_SLOTS = 4
"""Chats answered at once; they share the context."""


def main() -> int:
    options = _parse()
    emit = _claim_stdout()
    _die_with_parent()
    try:
        llama = importlib.import_module("xllamacpp")  # an optional extra, and untyped
    except ImportError:
        emit(Failed('llama.cpp is not installed: pip install "ccproxy-hub[embedded]"', permanent=True))
        return 1
    try:
        path = locate(options.model, lambda done, total: emit(Fetching(done, total)))
    except WeightsError as error:
        emit(Failed(str(error), permanent=error.permanent))
        return 1
    emit(Loading(str(path)))
    _let_kernel_watch()
    try:
        server = llama.Server(_parameters(llama.CommonParams(), options, path))
    except RuntimeError as error:
        emit(Failed(f"llama.cpp cannot serve {path}: {error}", permanent=False))
        return 1
    emit(Ready())
    threading.Event().wait()
    del server  # held until here: its destruction would end the server
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hub.embedded")
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


def _claim_stdout() -> Callable[[Event], None]:
    """Keep standard output for events: whatever a library prints goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: Event) -> None:
        try:
            channel.write(encode(event) + "\n")
        except BrokenPipeError:
            os._exit(0)

    return emit


def _die_with_parent() -> None:
    """End with everything this process started (pip) as soon as standard input ends."""
    threading.Thread(target=_exit_at_end_of_input, daemon=True).start()


def _exit_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    if os.name == "posix" and os.getpgrp() == os.getpid():  # a group of its own, made by the hub
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _let_kernel_watch() -> None:
    """Loading a model holds the interpreter's lock, so the thread cannot run: ask Linux as well."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _parameters(parameters: Any, options: argparse.Namespace, path: Path) -> Any:
    """llama.cpp's own parameter object, filled."""
    parameters.model.path = str(path)
    parameters.model_alias = {options.model if options.model != str(path) else path.stem}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = options.port
    parameters.reuse_port = True  # the hub holds the port until this process listens on it
    parameters.cors_origins = f"http://127.0.0.1:{options.port}"
    parameters.n_ctx = options.context
    parameters.n_parallel = _SLOTS
    parameters.kv_unified = True
    parameters.cache_ram_mib = _CACHE_MIB
    parameters.use_jinja = True
    parameters.ui = False
    if options.threads is not None:
        parameters.cpuparams.n_threads = options.threads
        parameters.cpuparams_batch.n_threads = options.threads
    return parameters


if __name__ == "__main__":
    sys.exit(main())
