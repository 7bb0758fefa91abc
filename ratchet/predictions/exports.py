"""Exports of the log: a CSV or Parquet file, or a service's /log.csv. See reading.py."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import TYPE_CHECKING

from ratchet.errors import InputError
from ratchet.predictions.window import Assumed, Window

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

LOG_NAMES = {"timestamp": "time", "variant": "arm"}  # the names in /log.csv: the names in the log
REQUIRED = ("time", "user_id", "arm", "model_version", "prediction", "label")
LOG_COLUMNS = (
    "request_id",
    "time",
    "user_id",
    "arm",
    "model",
    "model_version",
    "prod_version",
    "staging_version",
    "assigned_arm",
    "split",
    "prediction",
    "probabilities",
    "latency_ms",
    "error",
    "fallback",
    "label",
    "label_time",
    "shadow_version",
    "shadow_prediction",
    "shadow_probabilities",
    "shadow_error",
    "other_features",
)  # every other column of an export is a feature
TYPES = {
    "time": "DOUBLE",
    "label_time": "DOUBLE",
    "split": "DOUBLE",
    "latency_ms": "DOUBLE",
    "fallback": "BOOLEAN",
}
SECONDS_TO_ANSWER = 30
# The last line of an export that lacks something:
BROKEN_OFF = "The database failed; this file is not complete.\n"
LACKS_FEATURES = "This file is not complete: it lacks rare features; details=true has them.\n"


def read_service(
    address: str, window: Window, columns: Sequence[str], assumed: Assumed | None
) -> "tuple[pd.DataFrame, float]":
    """Download a service's /log.csv and read it."""
    address = address if "/log.csv" in address else address.rstrip("/") + "/log.csv"
    url = address if "?" in address else f"{address}?details=true"
    known_until = time()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "log.csv"
        with file.open("w", newline="") as copy, open_service_log(url) as parts:
            copy.writelines(parts)
        return _read(str(file), window, columns, assumed, name=url)[0], known_until


@contextmanager
def open_service_log(url: str, **parameters: str) -> Iterator[Iterator[str]]:
    """Open a service's /log.csv and give its text in parts."""
    import httpx

    headers = {"Authorization": f"Bearer {os.environ.get('RATCHET_ADMIN_TOKEN', '')}"}
    address = url.split("?")[0]
    try:
        with httpx.stream(
            "GET", url, params=parameters or None, headers=headers, timeout=SECONDS_TO_ANSWER
        ) as reply:
            reply.raise_for_status()
            yield reply.iter_text()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"log={address} does not answer ({reason}); is the address right, and is"
            " RATCHET_ADMIN_TOKEN the service's?"
        ) from None


def read_file(
    file: str, window: Window, columns: Sequence[str], assumed: Assumed | None
) -> "tuple[pd.DataFrame, float]":
    if not Path(file).is_file():
        raise InputError(
            f"log={file}: no such file; expected a CSV or Parquet export, an address of the log"
            " (sqlite:///..., postgresql://...) or a service's http://.../log.csv"
        )
    return _read(file, window, columns, assumed, name=file)


def _read(
    file: str, window: Window, columns: Sequence[str], assumed: Assumed | None, name: str
) -> "tuple[pd.DataFrame, float]":
    """Return the rows, and the newest time that occurs in them."""
    import duckdb
    import pandas as pd

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    try:
        relation = _relation(file, connection)
        rows = _select(relation, window, columns, assumed or Assumed(0.5, 0.0), name)
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"log={name} cannot be read: {reason}") from None
    times = pd.concat([rows["time"], rows["label_time"]])
    return rows, float(times.max()) if len(rows) else 0.0


def _relation(file: str, connection: "duckdb.DuckDBPyConnection") -> "duckdb.DuckDBPyRelation":
    if file.endswith((".parquet", ".pq")):
        return connection.read_parquet(file)
    with Path(file).open("rb") as text:
        text.seek(max(0, Path(file).stat().st_size - 200))
        end = text.read().decode(errors="replace")
    for line in (BROKEN_OFF, LACKS_FEATURES):
        if end.endswith(line):
            raise InputError(f"log={file} cannot be read: {line.strip()} Export it again")
    return connection.read_csv(file, all_varchar=True, header=True)


def _select(
    relation: "duckdb.DuckDBPyRelation",
    window: Window,
    columns: Sequence[str],
    assumed: Assumed,
    name: str,
) -> "pd.DataFrame":
    import pandas as pd

    names = {LOG_NAMES.get(column, column): column for column in relation.columns}
    missing = [column for column in REQUIRED if column not in names]
    if missing:
        raise InputError(
            f"log={name} has no column '{missing[0]}'; expected at least {', '.join(REQUIRED)}"
        )
    selected = list(dict.fromkeys([*columns, "time", "label_time", "model_version"]))
    expressions = [_expression(column, names, assumed.split) for column in selected]
    keys = ("model", "prod_version", "staging_version")
    expressions += [_quoted(names[key]) for key in keys if key in names and key not in selected]
    order = _quoted(names["request_id"]) if "request_id" in names else "0"
    chosen = relation.project(", ".join([f'{order} AS "order"', *expressions]))
    condition = _condition(names, window, assumed)
    rows: pd.DataFrame = chosen.filter(condition).order('"order", time').df()
    # A column of nothing but NULL arrives as objects.
    numbers = [column for column in selected if TYPES.get(column) == "DOUBLE"]
    rows = rows.assign(**{column: pd.to_numeric(rows[column]) for column in numbers})
    if "request_id" in names:  # the log has a request once, an export may repeat it
        rows = rows[~rows["order"].duplicated() | rows["order"].isna()]
    return rows.drop(columns="order").reset_index(drop=True)


def _expression(column: str, names: dict[str, str], split: float) -> str:
    """Return SQL for a column of the log, with its type."""
    if column == "features":
        features = [original for name, original in names.items() if name not in LOG_COLUMNS]
        pairs = ", ".join(f"{_literal(name)}: {_quoted(name)}" for name in features)
        return f"{{{pairs}}} AS features" if pairs else "NULL AS features"
    defaults = {"assigned_arm": _quoted(names["arm"]), "split": f"{split}", "fallback": "false"}
    value = _quoted(names[column]) if column in names else defaults.get(column, "NULL")
    if column in ("time", "label_time"):  # seconds since 1970, or ISO 8601
        seconds = f"epoch(try_cast({value} AS TIMESTAMPTZ))"
        value = f"coalesce(try_cast({value} AS DOUBLE), {seconds})"
    if column == "shadow_prediction":  # /log.csv has it as JSON
        value = f"coalesce(json_extract_string(try_cast({value} AS JSON), '$'), {value})"
    return f"CAST({value} AS {TYPES.get(column, 'VARCHAR')}) AS {column}"


def _condition(names: dict[str, str], window: Window, assumed: Assumed) -> str:
    """Return SQL for the window. Without the versions of the test, its begin stands for them."""
    since = window.since or 0.0
    versions = {
        "model": window.model,
        "prod_version": window.prod_version,
        "staging_version": window.staging_version,
        "model_version": window.model_version,
    }
    conditions = [
        f"{_quoted(names[name])} = {_literal(value)}"
        for name, value in versions.items()
        if value is not None and name in names
    ]
    pair = [one for one in (window.prod_version, window.staging_version) if one is not None]
    if pair and not {"prod_version", "staging_version"} <= set(names):
        since = max(since, assumed.since)
        conditions.append(f"model_version IN ({', '.join(map(_literal, pair))})")
    if window.until is not None:
        conditions.append(f"time < {window.until}")
    return " AND ".join([f"time >= {since}", *conditions])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
