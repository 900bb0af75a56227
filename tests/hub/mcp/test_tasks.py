"""Whose task it is: clients with different keys never see each other's."""

from __future__ import annotations

from typing import Any

import pytest

from hub.endpoints.tasks import Owners

OF_2025 = {"task": {"taskId": "t", "status": "working"}}
OF_2026 = {"resultType": "task", "taskId": "t", "status": "working"}


@pytest.mark.parametrize("answer", [OF_2025, OF_2026])
def test_a_task_is_its_makers_alone(answer: dict[str, Any]) -> None:
    owners = Owners()
    owners.learn("files", answer, "ann")
    assert owners.may_ask("files", "t", "ann")
    assert not owners.may_ask("files", "t", "bob")
    assert not owners.may_ask("files", "t", "")
    assert owners.may_ask("docs", "t", "bob"), "another server's task of that name"
    assert owners.may_ask("files", "older", "bob"), "made before the hub was started"


@pytest.mark.parametrize("answer", [{"content": []}, {"taskId": "t"}, {"task": "t"}, {"task": {}}])
def test_other_answers_are_no_tasks(answer: dict[str, Any]) -> None:
    owners = Owners()
    owners.learn("files", answer, "ann")
    assert owners.may_ask("files", "t", "bob")


def test_the_oldest_are_forgotten() -> None:
    owners = Owners()
    for number in range(10_001):
        owners.learn("files", {**OF_2026, "taskId": f"t{number}"}, "ann")
    assert owners.may_ask("files", "t0", "bob")
    assert not owners.may_ask("files", "t1", "bob")
