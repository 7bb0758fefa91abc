"""The record of a split: how it was made, how many rows and groups, and from when to when."""

from typing import Any

import numpy as np

from ratchet.data.split import Split

Record = dict[str, Any]


def record_of(split: Split) -> Record:
    rule, rows = split.rule, len(split.in_holdout)
    sides = {"training": split.in_training, "holdout": split.in_holdout}
    record: Record = {
        "by": rule.by,
        "rows": {name: int(side.sum()) for name, side in sides.items()},
    }
    record["rows"]["left_out"] = rows - sum(record["rows"].values())
    if split.table.times is not None:
        record |= {"time": rule.time_column, "gap": rule.gap}
        record["times"] = {name: _span(split.table.times[side]) for name, side in sides.items()}
    if split.table.groups is not None:
        record |= {"group": rule.group_column}
        record["groups"] = {
            name: len(np.unique(split.table.groups[side])) for name, side in sides.items()
        }
    if split.table.collected is not None:
        record["collected"] = split.table.collected.as_dict()
    return record


def _span(times: np.ndarray) -> list[str]:
    return [str(moment).removesuffix(".000000") for moment in (times.min(), times.max())]


def sentence(record: Record) -> str:
    rows = record["rows"]
    parts = [f"Split by {record['by']}" if record["by"] != "random" else "Split at random"]
    parts[0] += f": {rows['training']:,} rows for training, {rows['holdout']:,} in the holdout"
    if rows["left_out"]:
        parts.append(f"{rows['left_out']:,} rows between them are left out")
    if "times" in record:
        spans = {side: " to ".join(span) for side, span in record["times"].items()}
        parts.append(f"training {spans['training']}, holdout {spans['holdout']}")
    if "groups" in record:
        groups = record["groups"]
        parts.append(
            f"{groups['training']:,} and {groups['holdout']:,} groups of '{record['group']}'"
        )
    if "collected" in record:
        parts.append(f"{record['collected']['rows']:,} rows are collected from the prediction log")
    return "; ".join(parts)
