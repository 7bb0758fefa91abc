"""The kind of each column, and which columns no model can learn from as they are."""

import re

import pandas as pd

from ratchet.columns import Kind, kind_of_values
from ratchet.errors import InputError
from ratchet.progress import print_once
from ratchet.settings import DataSettings

FEW = 10  # up to so many different texts are categories, however few rows there are
UNNAMED = re.compile(r"unnamed_\d+|Unnamed: \d+|__index_level_\d+__")  # ours, pandas', Parquet's
NUMBER = re.compile(
    r"\s*[-+]?(\d+([.,]\d*)?|\d{1,3}([.,]\d{3})+([.,]\d+)?|[.,]\d+)([eE][-+]?\d+)?\s*"
)


def kinds_of(features: dict[str, pd.Series], settings: DataSettings) -> dict[str, Kind]:
    """Return the kind of each column that a model is trained on, and print what is unusual.

    Row numbers without a name, and ids and free text, are left out unless the settings keep them.
    """
    kinds: dict[str, Kind] = {}
    ids = []
    for name, column in features.items():
        choice = settings.text.get(name)
        if name in settings.kinds:
            kinds[name] = settings.kinds[name]
        elif choice is not None:
            _require_text(name, column, settings)
            if choice != "drop":
                kinds[name] = choice
        elif _numbers_the_rows(name, column):
            print_once(f"{settings.source}: '{name}' numbers the rows and is left out")
        else:
            kind = _kind(name, column, settings)
            if kind == "categorical" and _is_text(column):
                ids.append(name)
            else:
                kinds[name] = kind
    if ids:
        _print_ids(ids, features, settings)
    _print_partly_numbers({n: features[n] for n in kinds if n not in settings.kinds}, settings)
    return kinds


def _kind(name: str, column: pd.Series, settings: DataSettings) -> Kind:
    if pd.api.types.is_timedelta64_dtype(column):
        raise InputError(
            f"{settings.source}: column '{name}' holds durations; give them as numbers"
        )
    return kind_of_values(column)


def _require_text(name: str, column: pd.Series, settings: DataSettings) -> None:
    kind = _kind(name, column, settings)
    if kind != "categorical" and settings.text[name] != "drop":
        raise InputError(
            f"{settings.source}: column '{name}' (data.text) holds {kind} values, expected text;"
            " name it under data.kinds or data.drop instead"
        )


def _numbers_the_rows(name: str, column: pd.Series) -> bool:
    """Return whether a column without a name has another whole number in each row."""
    unnamed = UNNAMED.fullmatch(name) is not None
    return unnamed and pd.api.types.is_integer_dtype(column) and column.is_unique


def _is_text(column: pd.Series) -> bool:
    """Return whether more than half of the values differ, as in ids and free text."""
    return column.nunique() > max(FEW, 0.5 * column.count())


def _print_ids(names: list[str], features: dict[str, pd.Series], settings: DataSettings) -> None:
    listed = ", ".join(f"'{name}' ({features[name].nunique()} texts)" for name in names)
    print_once(
        f"{settings.source}: left out as ids or free text, as more than half of the values differ:"
        f" {listed}. To use one, set data.text to {{{names[0]}: tfidf}} for its words or hash for"
        f" its whole values; data.kinds to {{{names[0]}: categorical}} keeps it as it is"
    )


def _print_partly_numbers(features: dict[str, pd.Series], settings: DataSettings) -> None:
    for name, column in features.items():
        if pd.api.types.is_numeric_dtype(column) or kind_of_values(column) != "categorical":
            continue
        counts = column.dropna().astype(str).value_counts()
        words = [text for text in counts.index if not NUMBER.fullmatch(text)]
        rows = int(counts[words].sum())
        if 0 < rows < 0.5 * counts.sum():
            print_once(
                f"{settings.source}: '{name}' is text, since {rows} of its {counts.sum()} values"
                f" are not numbers, such as {words[0]!r}. If these mean a missing value, add them"
                " to data.missing"
            )
        elif not rows and counts.index.str.contains(",").any():
            print_once(
                f"{settings.source}: '{name}' is text; if its values are numbers with commas, set"
                " data.csv.decimal or data.csv.thousands"
            )
