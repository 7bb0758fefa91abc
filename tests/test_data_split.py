"""The split, which is the same every time, and the sha256 of the training data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratchet.data.dataset import load
from ratchet.data.split import Split, split
from tests.tables import CLASSES, mixed_frame, mixed_table, settings, write, write_text


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_the_same_table_as_csv_and_as_parquet_has_the_same_sha256(
    tmp_path: Path, suffix: str
) -> None:
    frame = mixed_frame(200)
    tables = [load(settings(write(frame, tmp_path / f"a{s}"))) for s in (suffix, ".parquet")]
    assert tables[0].kinds == tables[1].kinds
    pd.testing.assert_frame_equal(tables[0].features, tables[1].features)
    digests = {split(table, 0.2, 42).sha256 for table in tables}
    assert len(digests) == 1


def test_the_sha256_changes_with_the_data_the_kinds_and_the_split(tmp_path: Path) -> None:
    frame = mixed_frame()
    path = write(frame, tmp_path / "a.parquet")
    plain = split(load(settings(path)), 0.2, 42).sha256
    assert split(load(settings(path)), 0.2, 42).sha256 == plain
    frame.loc[3, "visits"] += 1
    others = [
        split(load(settings(write(frame, tmp_path / "b.parquet"))), 0.2, 42),
        split(load(settings(path, kinds={"branch": "categorical"})), 0.2, 42),
        split(load(settings(path)), 0.2, 43),
        split(load(settings(path)), 0.3, 42),
    ]
    assert len({plain} | {other.sha256 for other in others}) == 5


def test_the_sha256_is_the_same_on_every_machine() -> None:
    digest = split(load(settings("iris", "target")), 0.2, 42).sha256
    assert digest == "7d8f116455c4bba90ebddd5b1ea531206f729348a6baddde699c29a8dc00fca0"


def _held_out(chosen: Split) -> set[int]:
    """Return the hashes of the holdout's rows, which do not depend on the order of the rows."""
    return set(chosen.table.row_hashes[chosen.in_holdout].tolist())


def test_the_split_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    frame = mixed_frame(300)
    frame = pd.concat([frame, frame.head(40)])  # with some rows twice
    mixed = frame.sample(frac=1, random_state=7)
    splits = [
        split(load(settings(write(f, tmp_path / "a.parquet"))), 0.2, 42) for f in (frame, mixed)
    ]
    assert sorted(splits[0].table.row_hashes[splits[0].in_holdout]) == sorted(
        splits[1].table.row_hashes[splits[1].in_holdout]
    )


def test_the_split_is_stratified_and_the_rest_is_for_training(tmp_path: Path) -> None:
    chosen = split(mixed_table(tmp_path, 300), 0.2, 42)
    assert {label: int((chosen.holdout[1] == label).sum()) for label in CLASSES} == {
        "leaves": 20,
        "stays": 20,
        "upgrades": 20,
    }
    assert (len(chosen.train[0]), len(chosen.train[1])) == (240, 240)
    assert list(chosen.holdout[0].index) == list(range(60))


@pytest.mark.parametrize("share", [0.001, 0.2, 0.999])
def test_every_class_keeps_a_row_on_each_side(tmp_path: Path, share: float) -> None:
    path = write_text(tmp_path / "a.csv", "x,y\n1,a\n2,a\n3,b\n4,b\n5,b\n6,c\n7,c\n8,c\n9,c\n")
    chosen = split(load(settings(path, "y")), share, 1)
    assert set(chosen.train[1]) == set(chosen.holdout[1]) == {"a", "b", "c"}


def test_rows_added_later_hardly_move_the_others(tmp_path: Path) -> None:
    frame = mixed_frame(2200)
    first, all_rows = [
        split(load(settings(write(f, tmp_path / "a.parquet"))), 0.2, 42)
        for f in (frame.head(2000), frame)
    ]
    known = set(first.table.row_hashes.tolist())
    moved = _held_out(first) ^ (_held_out(all_rows) & known)
    assert len(moved) < 0.02 * len(known)


def test_another_seed_is_another_split(tmp_path: Path) -> None:
    table = mixed_table(tmp_path, 1000)
    first, second = split(table, 0.2, 1), split(table, 0.2, 2)
    both = (first.in_holdout & second.in_holdout).mean()
    assert 0.02 < both < 0.07  # 0.04 by chance
    assert np.array_equal(first.in_holdout, split(table, 0.2, 1).in_holdout)
