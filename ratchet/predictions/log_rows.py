"""The prediction log as a table: a column per feature, the prediction, the label.

It is streamed into DuckDB, which takes the JSON apart; a log of millions is never held whole.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.data.source import Rows, connect
from ratchet.errors import InputError

if TYPE_CHECKING:
    import pyarrow
    from sqlalchemy import Connection, Select

NEWEST = 1000  # requests that show which features there are
BATCH = 20_000
COLUMNS = ("features", "prediction", "label", "model_version")


@contextmanager
def log_rows(url: str, model: str, days: float, answered_by: str | None) -> Iterator[Rows]:
    """The requests of so many days. Predictions count where that version answered; None: any."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from ratchet.predictions.reading import read_engine, window

    called = make_url(url).render_as_string(hide_password=True)
    _require_file(make_url(url).database or "", called)
    statement = window(COLUMNS, since=time.time() - days * 24 * 3600, model=model)
    try:
        with read_engine(url).connect() as connection:
            names = _feature_names(connection, statement)
            if names is None:
                raise InputError(
                    f"{called} (current) holds no request to model '{model}' of the last {days:g}"
                    " days (drift.log_days); serve the model and send some: make serve"
                )
            yield _rows(_batches(connection, statement), names, answered_by)
    except SQLAlchemyError as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{called} (current) cannot be read as a prediction log: {reason};"
            " is RATCHET_LOG_URL right?"
        ) from None


def _require_file(path: str, called: str) -> None:
    if called.startswith("sqlite") and not Path(path).is_file():
        raise InputError(
            f"No prediction log at {called} (RATCHET_LOG_URL); serve the model and send requests,"
            " or give a file: -P current=new.csv"
        )


def _feature_names(connection: "Connection", statement: "Select[Any]") -> list[str] | None:
    import json

    from ratchet.predictions.tables import predictions

    newest = statement.order_by(predictions.c.request_id.desc()).limit(NEWEST)
    texts = [row.features for row in connection.execute(newest)]
    return list(dict.fromkeys(key for text in texts for key in json.loads(text))) if texts else None


def _batches(connection: "Connection", statement: "Select[Any]") -> "pyarrow.RecordBatchReader":
    import pyarrow

    schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])
    found = connection.execution_options(stream_results=True, yield_per=BATCH).execute(statement)
    return pyarrow.RecordBatchReader.from_batches(
        schema,
        (
            pyarrow.RecordBatch.from_arrays(
                [pyarrow.array(values, pyarrow.string()) for values in zip(*part, strict=True)],
                schema=schema,
            )
            for part in found.partitions()
        ),
    )


def _rows(reader: "pyarrow.RecordBatchReader", names: list[str], answered_by: str | None) -> Rows:
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
    said = "json_extract_string(prediction, '$')"
    if answered_by is not None:
        said = f"CASE WHEN model_version = {_text(answered_by)} THEN {said} END"
    relation = connect().from_arrow(reader).project(
        f"json_extract_string(features, [{', '.join(map(_text, pointers))}]) AS found,"
        f" {said} AS prediction, json_extract_string(label, '$') AS label"
    )  # fmt: skip
    places = [f"found[{place}] AS f{place}" for place in range(1, len(names) + 1)]
    return Rows(
        relation.project(", ".join([*places, "prediction", "label"])),
        [*names, "prediction", "label"],
    )


def _text(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
