"""The log of `hub serve`: one line per event on standard error."""

from __future__ import annotations

import logging

OWN = ("hub", "routing", "adapters")
"""Loggers that follow the settings' level; those of libraries only warn."""


def set_up_logging(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OWN:
        logging.getLogger(name).setLevel(level.upper())
