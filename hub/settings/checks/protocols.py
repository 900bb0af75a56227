"""The names of protocols, built in or installed."""

from __future__ import annotations

from adapters import registry
from hub.settings.document import Document
from hub.settings.problems import KeyPath
from hub.settings.words import nearest_hint


def known_protocol(document: Document, path: KeyPath, name: object) -> None:
    """Built in, or added by an installed distribution whose codec can be used."""
    if not isinstance(name, str) or name in registry.BUILT_IN:
        return
    known = registry.names()
    if name not in known:
        *others, last = (f"`{each}`" for each in known)
        said = "" if path in document.expanded else f", not `{name}`"
        hint = nearest_hint(name, known, only_near=True)
        document.refuse(path, f"must be one of {', '.join(others)} or {last}{said}", hint)
        return
    try:
        registry.codec(name)
    except registry.BrokenProtocol as broken:
        document.refuse(path, str(broken), "repair or remove that distribution")
