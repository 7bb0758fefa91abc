"""Text columns that are probably numbers or dates, and what to do about each."""

import re

import pandas as pd

from ratchet.columns import as_kind

PLAIN = r"[-+]?(\d+([.,]\d*)?|\d{1,3}([.,]\d{3})+([.,]\d+)?|[.,]\d+)([eE][-+]?\d+)?"
NUMBER = re.compile(rf"\s*{PLAIN}\s*")
WITH_UNIT = re.compile(rf"\s*([$€£¥]\s*{PLAIN}|{PLAIN}\s*[%$€£¥])\s*")
VALUES_TRIED = 200  # as dates


def explanation(name: str, column: pd.Series) -> str | None:
    """Return one sentence or two that say what the values are, or None if they are plain text."""
    counts = column.dropna().astype(str).value_counts()
    words = [text for text in counts.index if not NUMBER.fullmatch(text)]
    rows, total = int(counts[words].sum()), int(counts.sum())
    if 0 < rows < 0.5 * total:
        return (
            f"{rows} of its {total} values are not numbers, such as {words[0]!r}. If these mean a"
            " missing value, add them to data.missing"
        )
    if not rows and counts.index.str.contains(",").any():
        return "if its values are numbers with commas, set data.csv.decimal or data.csv.thousands"
    with_unit = [text for text in words if WITH_UNIT.fullmatch(text)]
    if counts[with_unit].sum() > 0.5 * total:
        return f"its values are numbers with a sign, such as {with_unit[0]!r}. Write plain numbers"
    if _are_dates(counts.index[:VALUES_TRIED]):
        return (
            f"its values look like dates. To use it as a date, set data.kinds to {{{name}: date}}"
        )
    return None


def _are_dates(texts: "pd.Index[str]") -> bool:
    """Return whether all texts have a day, a month and a year that pandas can read."""
    if not all(len(re.findall(r"\d+|[A-Za-z]{3,}", text)) >= 3 for text in texts):
        return False
    try:
        as_kind(texts.to_series(), "date")
    except (ValueError, TypeError, OverflowError):
        return False
    return True
