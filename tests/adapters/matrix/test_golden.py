"""Every pair and feature gives what its golden file says."""

from __future__ import annotations

import pytest

from tests.adapters.matrix import golden
from tests.adapters.matrix.cases import PAIRS


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_golden(client: str, target: str, update_golden: bool) -> None:
    found, path = golden.golden(client, target), golden.path(client, target)
    if update_golden:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8"), "see the difference; --update-golden accepts it"


def test_there_is_no_golden_file_of_a_former_pair() -> None:
    assert {path.name for path in golden.FOLDER.iterdir()} == {golden.path(*pair).name for pair in PAIRS}
