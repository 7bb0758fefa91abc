"""The kind of each column, and which columns no model can learn from as they are."""

import re

import pandas as pd

from ratchet.columns import Kind, kind_of_values
from ratchet.data.texts import explanation
from ratchet.errors import InputError
from ratchet.progress import print_once
from ratchet.settings import DataSettings

FEW = 10  # up to so many different texts are categories, however few rows there are
UNNAMED = re.compile(r"unnamed_\d+|Unnamed: \d+|__index_level_\d+__")  # ours, pandas', Parquet's


def kinds_of(features: dict[str, pd.Series], settings: DataSettings) -> dict[str, Kind]:
    """Return the kind of each column that a model is trained on, and print what is unusual.

    Row numbers without a name, and ids and free text, are left out unless the settings keep them.
    """
    kinds: dict[str, Kind] = {}
    ids, kept = [], []
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
        elif UNNAMED.fullmatch(name) and column.isna().all():
            print_once(f"{settings.source}: '{name}' has no name and no values, and is left out")
        else:
            kind = _kind(name, column, settings)
            if kind == "categorical" and _is_text(column):
                ids.append(name)
            else:
                kinds[name] = kind
                kept += [name] if kind == "categorical" else []
    _print_texts(ids, kept, features, settings)
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


def _print_texts(
    left_out: list[str], kept: list[str], features: dict[str, pd.Series], settings: DataSettings
) -> None:
    """Print what the text columns probably are, and how each could be used."""
    texts = []
    for name in left_out:
        if sentence := explanation(name, features[name]):
            print_once(
                f"{settings.source}: '{name}' is left out, because it is text and more than half of"
                f" its values differ; {sentence}"
            )
        else:
            texts.append(f"'{name}' ({features[name].nunique()} texts)")
    for name in kept:
        if sentence := explanation(name, features[name]):
            print_once(f"{settings.source}: '{name}' is text; {sentence}")
    if texts:
        example = texts[0].split("'")[1]
        print_once(
            f"{settings.source}: left out as ids or free text, as more than half of the values"
            f" differ: {', '.join(texts)}. To use one, set data.text to {{{example}: tfidf}} for"
            f" its words or hash for its whole values; data.kinds to {{{example}: categorical}}"
            " keeps it as it is"
        )
