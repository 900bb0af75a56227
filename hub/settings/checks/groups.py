"""Whom the groups ask: targets, rules, fallbacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hub.settings.checks.protocols import known_protocol
from hub.settings.checks.words import texts
from hub.settings.document import Document
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.settings.problems import KeyPath
from hub.settings.words import nearest_hint


def targets(document: Document, environ: Mapping[str, str]) -> None:
    providers = document.section("providers")
    for path, target in all_targets(document):
        name = target.get("provider")
        if not isinstance(name, str):
            continue
        if name in providers:
            needs_key = isinstance(providers[name], dict) and _wants_built_in_key(name, providers[name])
        elif name in KNOWN_PROVIDERS:
            needs_key = not KNOWN_PROVIDERS[name].local
        else:
            hint = nearest_hint(name, {*providers, *KNOWN_PROVIDERS}, only_near=True)
            document.refuse(
                (*path, "provider"), f"unknown provider `{name}`", hint or "describe it under `providers`"
            )
            continue
        if needs_key and KNOWN_PROVIDERS[name].key(environ) is None:
            variables = " or ".join(KNOWN_PROVIDERS[name].key_variables)
            document.refuse(
                (*path, "provider"),
                f"`{name}` needs a key, and {variables} is not set",
                "set it in the environment or in `.env` beside the settings file",
            )


def all_targets(document: Document) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    for name, group in document.section("groups").items():
        if not isinstance(group, dict):
            continue
        path: KeyPath = ("groups", name)
        yield path, group
        targets, models = group.get("targets"), group.get("models")
        listed = enumerate(targets) if isinstance(targets, list) else ()
        mapped = models.items() if isinstance(models, dict) else ()
        yield from (((*path, "targets", step), value) for step, value in listed if isinstance(value, dict))
        yield from (((*path, "models", glob), value) for glob, value in mapped if isinstance(value, dict))
        for step, rule in _rules(group):
            own, several = rule.get("target"), rule.get("targets")
            if isinstance(own, dict):
                yield (*path, "rules", step, "target"), own
            for at, value in enumerate(several if isinstance(several, list) else ()):
                if isinstance(value, dict):
                    yield (*path, "rules", step, "targets", at), value


def _rules(group: object) -> Iterator[tuple[int, dict[str, Any]]]:
    """A group's rules that have the right shape, with their places."""
    rules = group.get("rules") if isinstance(group, dict) else None
    for step, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict):
            yield step, rule


def used_groups(document: Document, environ: Mapping[str, str]) -> None:
    """What rules name: groups that exist and do not use each other in a circle, and known protocols."""
    groups = document.section("groups")
    uses: dict[str, dict[str, KeyPath]] = {}
    for name, group in groups.items():
        for step, rule in _rules(group):
            path: KeyPath = ("groups", name, "rules", step)
            if isinstance(use := rule.get("use"), str):
                if use in groups:
                    uses.setdefault(name, {}).setdefault(use, (*path, "use"))
                else:
                    document.refuse((*path, "use"), f"unknown group `{use}`", nearest_hint(use, groups))
            when = rule.get("when")
            if not when and step + 1 < len(group["rules"]):
                document.refuse(path, "always holds, so no rule after it is asked", "give it a `when`")
            protocols = when.get("protocol") if isinstance(when, dict) else None
            for _, protocol in texts((*path, "when", "protocol"), protocols):
                if not any(mark in protocol for mark in "*?["):
                    known_protocol(document, (*path, "when", "protocol"), protocol)
    for name, used in uses.items():
        for use, place in used.items():
            if name in _reached(use, uses):
                document.refuse(place, f"`{use}` uses `{name}` itself, by rules", "leave out one of them")


def _reached(name: str, uses: Mapping[str, Mapping[str, KeyPath]]) -> set[str]:
    """The groups that `name` is or uses, and those use, and so on."""
    found, todo = {name}, [name]
    while todo:
        new = set(uses.get(todo.pop(), ())) - found
        found |= new
        todo += new
    return found


def _wants_built_in_key(name: str, provider: dict[str, Any]) -> bool:
    known = KNOWN_PROVIDERS.get(name)
    own = any(provider.get(key) for key in ("api_key", "api_keys", "headers", "embedded", "base_url"))
    return known is not None and not known.local and not own


def fallbacks(document: Document, environ: Mapping[str, str]) -> None:
    """Groups to fall back to exist, and the way through them ends."""
    groups = document.section("groups")
    named = {
        name: group["fallback"]
        for name, group in groups.items()
        if isinstance(group, dict) and isinstance(group.get("fallback"), str)
    }
    for name, fallback in named.items():
        path = ("groups", name, "fallback")
        if fallback not in groups:
            document.refuse(path, f"unknown group `{fallback}`", nearest_hint(fallback, groups))
            continue
        chain = [name]
        while fallback in named and fallback not in chain:
            chain.append(fallback)
            fallback = named[fallback]
        if fallback == name:
            circle = " -> ".join((*chain, name))
            document.refuse(path, f"goes in a circle: {circle}", "leave out one of these fallbacks")
