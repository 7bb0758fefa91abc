"""The report of a collection, and its file."""

import os
from pathlib import Path

from ratchet.collect.requests import Collection
from ratchet.data.collected import TIME
from ratchet.report import Report, markdown_table


def write_table(collection: Collection, file: Path) -> None:
    """Write the file completely or not at all. Without rows, a file of before is kept."""
    if collection.table.empty:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    collection.table.to_parquet(temporary, index=False)
    temporary.replace(file)


def collect_report(collection: Collection, file: Path) -> Report:
    content = {
        "file": str(file),
        "rows": len(collection.table),
        "requests": collection.requests,
        "immature": collection.immature,
        "unlabelled": collection.unlabelled,
        "refused": collection.refused,
        "broken_rules": [one.sentence for one in collection.broken],
        "arms": collection.arms,
        "versions": collection.versions,
        "labelled_by_prediction": collection.labelled_by_prediction,
        "warnings": collection.warnings,
    }
    parts = ["## Collect", summary(collection, file), markdown_table(rows(collection))]
    parts += [*collection.warnings, *_broken(collection)]
    text = "\n\n".join(parts) + "\n"
    return Report("collect", content, text, {"collected": str(len(collection.table))})


def _broken(collection: Collection) -> list[str]:
    return [f"Broken rule of the contract: {one.sentence}" for one in collection.broken]


def summary(collection: Collection, file: Path) -> str:
    times = collection.table[TIME]
    if times.empty:
        return (
            f"No row was collected: of {collection.requests:,} requests,"
            f" {collection.unlabelled:,} have no label and {collection.immature:,} are too young"
            " for one (promotion.maturity_hours)."
        )
    return (
        f"Wrote {len(collection.table):,} of {collection.requests:,} requests to {file}, from"
        f" {times.min():%Y-%m-%d %H:%M} to {times.max():%Y-%m-%d %H:%M}. Left out:"
        f" {collection.unlabelled:,} without a label, {collection.immature:,} too young for one,"
        f" {collection.refused:,} that break the contract."
    )


def rows(collection: Collection) -> list[dict[str, object]]:
    groups = {
        "arm": collection.arms,
        "version": {f"v{name}": share for name, share in collection.versions.items()},
    }
    return [
        {"part": part, "value": value, "share": f"{share:.1%}"}
        for part, shares in groups.items()
        for value, share in shares.items()
    ]
