"""The published table says what was recorded, and what was recorded is what the hub claims."""

from __future__ import annotations

import json

from hub.doctor.conformance import MANIFEST, PACKAGE, REVISIONS, VERSION
from tests.conformance.table import PAGE, RESULTS, TITLES, page, recorded


def test_the_page_is_made_from_the_recorded_results() -> None:
    assert PAGE.read_text() == page(recorded()), "python -m tests.conformance.table"


def test_the_recorded_results_are_of_the_pinned_suite() -> None:
    lock = json.loads((MANIFEST / "package-lock.json").read_text())
    assert lock["packages"][f"node_modules/{PACKAGE}"]["version"] == VERSION == recorded()["suite"]
    assert all(entry.get("integrity") for path, entry in lock["packages"].items() if path)


def test_everything_required_passed_for_both_revisions_and_transports() -> None:
    runs = {(run["revision"], run["server"]): run["scenarios"] for run in recorded()["runs"]}
    assert {(revision, server) for revision in REVISIONS for server in ("http", "stdio")} <= runs.keys()
    assert {server for _, server in runs} <= TITLES.keys()
    for scenarios in runs.values():
        required = [one for one in scenarios if one["kind"] == "required"]
        assert len(required) >= 30
        assert all(one["passed"] and not one["failed"] for one in required), RESULTS
