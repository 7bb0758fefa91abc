"""Labels that differ only by white space or case."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ratchet.data.dataset import Table, load
from ratchet.errors import InputError
from tests.tables import settings, write_text


def labelled(folder: Path, labels: Sequence[str], **more: Any) -> Table:
    rows = "".join(f"{place},{label}\n" for place, label in enumerate(labels))
    return load(settings(write_text(folder / "a.csv", f"x,y\n{rows}"), "y", **more))


LABELS = ["yes"] * 4 + ["no"] * 4 + ["Yes "] * 2 + [" no"] * 2


def test_labels_that_differ_only_by_white_space_or_case_are_refused_and_named(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError) as refused:
        labelled(tmp_path, LABELS)
    assert "'yes' (4 rows), 'Yes ' (2 rows); 'no' (4 rows), ' no' (2 rows)" in str(refused.value)
    assert "Set data.merge_labels to true to make them one class, or to false" in str(refused.value)


def test_merged_labels_have_the_more_common_spelling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = labelled(tmp_path, LABELS, merge_labels=True)
    assert table.classes.tolist() == ["no", "yes"]
    assert (table.target == "yes").sum() == 6
    assert "merged labels that differ only by white space or case: 'yes'" in capsys.readouterr().out


def test_labels_that_differ_only_by_case_can_be_kept_as_classes(tmp_path: Path) -> None:
    table = labelled(tmp_path, LABELS, merge_labels=False)
    assert table.classes.tolist() == [" no", "Yes ", "no", "yes"]
