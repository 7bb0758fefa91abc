"""The column types of the whole project, and the conversions between their forms.

| kind in the settings | type in a model's signature | values in a table (pandas) |
| --- | --- | --- |
| numeric | double | float64 |
| categorical | string; double if the categories are numbers | object: text or None; float64 |
| boolean | boolean | bool; object if a value is missing: True, False or None |
| date | datetime | datetime64[us], in UTC, without a time zone |
| hash, tfidf (data.text) | string | object: text or None |
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from ratchet.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

GivenKind = Literal["numeric", "categorical", "boolean", "date"]  # the kinds in data.kinds
TextKind = Literal["hash", "tfidf"]  # the choices in data.text, for ids and free text
Kind = GivenKind | TextKind
ColumnType = Literal["double", "boolean", "datetime", "string"]

SQL_NUMBERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
)
SQL_DATES = ("DATE", "TIMESTAMP")
MAX_NUMBER = 3.4e38  # what scikit-learn's trees take; a larger number overflows on its way to a sum
WORDS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


class Column(NamedTuple):
    """A column of a model's signature."""

    name: str
    type: ColumnType


def column_type(kind: Kind, dtype: Any) -> ColumnType:
    """Return the type that a column of this kind and dtype has in a model's signature."""
    from pandas.api.types import is_numeric_dtype

    if kind == "categorical":
        return "double" if is_numeric_dtype(dtype) else "string"
    types: dict[Kind, ColumnType] = {"numeric": "double", "boolean": "boolean", "date": "datetime"}
    return types.get(kind, "string")


def signature_columns(mlmodel: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return the inputs that the content of an `MLmodel` file declares."""
    columns = json.loads(mlmodel["signature"]["inputs"])
    for column in columns:
        if column["type"] not in get_args(ColumnType):
            raise InputError(
                f"Column '{column['name']}' of the model's signature has the type"
                f" {column['type']}; expected one of {', '.join(get_args(ColumnType))}."
                " Train the model again: mlflow run . -e train"
            )
    return tuple(Column(column["name"], column["type"]) for column in columns)


def kind_of_sql_type(sql_type: str) -> GivenKind:
    if sql_type.startswith(SQL_NUMBERS):
        return "numeric"
    if sql_type.startswith(SQL_DATES):
        return "date"
    return "boolean" if sql_type == "BOOLEAN" else "categorical"


def kind_of_values(column: "Series") -> GivenKind:
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    if is_datetime64_any_dtype(column):
        return "date"
    if is_boolean(column):
        return "boolean"
    return "numeric" if is_numeric_dtype(column) else "categorical"


def is_boolean(column: "Series") -> bool:
    """Return whether all values are booleans, or the texts "true" and "false" in any case."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(column) and not is_bool_dtype(column):
        return False
    present = column.dropna().unique()
    if not 0 < len(present) <= 6:  # two words, each in three spellings: true, True, TRUE
        return False
    return {str(value).lower() for value in present} <= {"true", "false"}


def as_kind(column: "Series", kind: Kind) -> "Series":
    """Return the column with the pandas type of its kind; raise ValueError if a value does not fit.

    Because of this conversion, a model gets the same types from every file format and request.
    """
    from pandas.api.types import is_numeric_dtype

    if kind == "date":
        return _as_dates(column)
    if kind == "boolean":
        return as_booleans(column)
    if kind == "numeric" or is_numeric_dtype(column) or is_boolean(column):
        return _as_numbers(column)
    return _as_texts(column)


def _as_texts(column: "Series") -> "Series":
    """Return the values as texts, and missing values as None. Equal texts share one object."""
    import numpy as np
    import pandas as pd

    codes, distinct = pd.factorize(column)
    texts = np.array([*map(str, distinct), None], dtype=object)
    return pd.Series(texts[codes], index=column.index, name=column.name, dtype=object)


def _as_dates(column: "Series") -> "Series":
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        raise ValueError(
            f"the number {column.dropna().iloc[0]} could mean seconds, days or a year; expected"
            " dates, such as 2024-03-01"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns if it must guess the format of each value
        try:
            moments = pd.to_datetime(column, utc=True)
        except ValueError:
            if not column.dropna().astype(str).str.contains("[A-Za-z]{3}").all():
                raise
            # pandas takes "5 May" for a format of whole names of months, which "5 Jan" has not.
            moments = pd.to_datetime(column, utc=True, format="mixed")
    return moments.dt.tz_localize(None).astype("datetime64[us]")


def _as_numbers(column: "Series") -> "Series":
    import numpy as np
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        raise ValueError("it contains dates, expected numbers")
    numbers = as_booleans(column) if is_boolean(column) else pd.to_numeric(column)
    numbers = numbers.astype("float64")
    return numbers.where(np.isfinite(numbers)) if np.isinf(numbers).any() else numbers


def as_booleans(column: "Series") -> "Series":
    values = column.astype(object)
    unknown = {str(value) for value in values.dropna() if str(value).lower() not in WORDS}
    if unknown:
        raise ValueError(f"it contains {min(unknown)!r}, expected true or false")
    words = values.map(lambda value: WORDS[str(value).lower()], na_action="ignore")
    if values.notna().all():
        return words.astype(bool)
    return words.astype(object).where(values.notna(), None)


def parse_date(text: str) -> datetime:
    """Return the date in UTC, without a time zone: models are trained on such dates.

    >>> parse_date("2024-03-01T12:00:00+02:00")
    datetime.datetime(2024, 3, 1, 10, 0)
    """
    parsed = datetime.fromisoformat(text)
    return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed


def from_json(values: Sequence[Any], type_: ColumnType) -> "Series":
    """Return values of a request as a column of a table. Dates must be datetimes already."""
    import pandas as pd

    dtypes = {"double": "float64", "datetime": "datetime64[us]"}
    return pd.Series(list(values), dtype=dtypes.get(type_, "object"))


def from_text(values: "Series", type_: ColumnType) -> "Series":
    """Return values of an exported prediction log, which may all be texts, as a column."""
    import pandas as pd

    if type_ == "double":
        return pd.to_numeric(values).astype("float64")
    if type_ == "datetime":
        moments = pd.to_datetime(values, utc=True, format="ISO8601")
        return moments.dt.tz_localize(None).astype("datetime64[us]")
    if type_ == "boolean":
        return as_booleans(values)
    return values.astype(object).where(values.notna(), None)
