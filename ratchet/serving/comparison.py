"""Rows on which a form of a model is compared with its pipeline, before it answers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np

from ratchet.columns import Column, parse_date
from ratchet.serving.card import Card

CHECKED_ROWS = 200
SEED = 7


def rows_to_compare(card: Card, pipeline: Any) -> list[tuple[Any, ...]]:
    """Return the example, and rows with values around it, known categories and gaps."""
    rng, example = np.random.default_rng(SEED), card.example_rows()
    cells = zip(card.columns, zip(*example, strict=True), strict=True)
    categories = _categories(pipeline)
    columns = [
        _random_cells(
            column,
            [cell for cell in known if cell is not None],
            categories.get(column.name, []),
            rng,
        )
        for column, known in cells
    ]
    return [*example, *zip(*columns, strict=True)]


def _categories(pipeline: Any) -> dict[str, list[Any]]:
    """Return the categories that the preparation knows, by column."""
    by_column: dict[str, list[Any]] = {}
    for _, transformer, columns in getattr(pipeline[0], "transformers_", []):
        encoder = transformer.steps[-1][1] if hasattr(transformer, "steps") else transformer
        for name, known in zip(columns, getattr(encoder, "categories_", []), strict=False):
            by_column[name] = [value for value in np.asarray(known).tolist() if value == value]
    return by_column


def _random_cells(
    column: Column, known: list[Any], categories: list[Any], rng: np.random.Generator
) -> Iterator[Any]:
    """Yield cells of the column's type; one in ten is missing, one in ten was never seen."""
    middle = float(np.mean(known)) if known and column.type == "double" else 0.0
    spread = max(float(np.std(known)) if known and column.type == "double" else 0.0, abs(middle), 1)
    for _ in range(CHECKED_ROWS):
        chance = rng.random()
        if chance < 0.1:
            yield None
        elif column.type == "boolean":
            yield bool(chance < 0.55)
        elif column.type == "datetime":
            base = known[int(rng.integers(len(known)))] if known else parse_date("2020-01-01")
            yield base + timedelta(days=float(rng.normal(0, 1000)))
        elif column.type == "string":
            usual = [*known, *(one for one in categories if isinstance(one, str))]
            yield usual[int(rng.integers(len(usual)))] if usual and chance < 0.9 else "never seen"
        elif categories and chance < 0.9:
            yield float(categories[int(rng.integers(len(categories)))])
        else:
            yield float(rng.normal(middle, (2 if chance < 0.9 else 1000) * spread))
