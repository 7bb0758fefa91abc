"""The log as a table with a column per feature, the prediction and the label.

DuckDB reads it as a stream and parses the JSON, so the memory does not depend on its length.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ratchet.data.source import Rows, connect
from ratchet.errors import InputError
from ratchet.predictions.engine import without_password
from ratchet.predictions.pages import open_log, pages
from ratchet.predictions.window import Window

if TYPE_CHECKING:
    import pyarrow
    from sqlalchemy import Engine

ROWS_TO_FIND_FEATURES = 1000  # the newest ones
ROWS_PER_BATCH = 20_000
COLUMNS = ("features", "prediction", "label", "model_version", "user_id", "request_id")
RANDOM_PART_OF_ID = 25  # the last 12 characters of a request id; the first ones are its time


@contextmanager
def feature_table(
    url: str, model: str, days: float, answered_by: str | None, one_per_user: bool = False
) -> Iterator[Rows]:
    """Open the requests of the last days.

    `answered_by`: the version whose predictions count; other predictions are null. None: all count.
    `one_per_user`: one request of each user, chosen at random, because the requests of one user are
    alike and many of them are not as much evidence as requests of many users.
    """
    window = Window(model=model, since=time.time() - days * 24 * 3600)
    with open_log(url) as engine:
        names = _feature_names(engine, window)
        if names is None:
            raise InputError(
                f"{without_password(url)} (current) holds no request to model '{model}' of the last"
                f" {days:g} days (drift.log_days); serve the model and send some: make serve"
            )
        yield _rows(_batches(engine, window), names, answered_by, one_per_user)


def _feature_names(engine: "Engine", window: Window) -> list[str] | None:
    import json

    from sqlalchemy import select

    from ratchet.predictions.tables import predictions

    newest = select(predictions.c.features).where(*window.conditions())
    newest = newest.order_by(predictions.c.request_id.desc()).limit(ROWS_TO_FIND_FEATURES)
    with engine.connect() as connection:
        texts = list(connection.execute(newest).scalars())
    return list(dict.fromkeys(key for text in texts for key in json.loads(text))) if texts else None


def _batches(engine: "Engine", window: Window) -> "pyarrow.RecordBatchReader":
    import pyarrow

    schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])

    def batch(page: list[Any]) -> "pyarrow.RecordBatch":
        columns = list(zip(*page, strict=True))[: len(COLUMNS)]
        arrays = [pyarrow.array(values, pyarrow.string()) for values in columns]
        return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)

    read_pages = pages(engine, window, COLUMNS, ROWS_PER_BATCH)
    return pyarrow.RecordBatchReader.from_batches(schema, map(batch, read_pages))


def _rows(
    reader: "pyarrow.RecordBatchReader",
    names: list[str],
    answered_by: str | None,
    one_per_user: bool,
) -> Rows:
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
    prediction = "json_extract_string(prediction, '$')"
    if answered_by is not None:
        prediction = f"CASE WHEN model_version = {_literal(answered_by)} THEN {prediction} END"
    features = f"json_extract_string(features, [{', '.join(map(_literal, pointers))}])"
    relation = connect().from_arrow(reader)
    if one_per_user:
        key = f"substr(request_id, {RANDOM_PART_OF_ID})"
        kept = ", ".join(f"arg_min_null({name}, {key}) AS {name}" for name in COLUMNS[:4])
        relation = relation.aggregate(f"user_id, {kept}", "user_id").order("user_id")
    relation = relation.project(
        f"{features} AS features, {prediction} AS prediction,"
        " json_extract_string(label, '$') AS label"
    )
    columns = [f"features[{place}] AS f{place}" for place in range(1, len(names) + 1)]
    return Rows(
        relation.project(", ".join([*columns, "prediction", "label"])),
        [*names, "prediction", "label"],
    )


def _literal(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
