"""The rows of one test: from the log itself, from an export of it, or from a service."""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import TYPE_CHECKING

import pandas as pd

from ratchet.errors import InputError

if TYPE_CHECKING:
    import duckdb

COLUMNS = (
    "request_id", "time", "user_id", "arm", "assigned_arm", "model_version", "split", "prediction",
    "label", "label_time", "latency_ms", "error", "fallback", "shadow_version",
    "shadow_prediction",
)  # fmt: skip
SHORT_NAMES = {"timestamp": "time", "variant": "arm"}  # as a service's /log.csv calls them
NEEDED = ("time", "user_id", "arm", "model_version", "prediction", "label")
OTHERS = (
    "model", "prod_version", "staging_version", "probabilities", "shadow_probabilities",
    "shadow_error",
)  # fmt: skip
SECONDS = 30


@dataclass(frozen=True)
class ABTest:
    """Which rows: those of these two versions, since an earlier test of the same two ended."""

    model: str
    prod: str
    staging: str
    since: float | None  # when an earlier test of the same two ended
    staged: float  # when the second of them came to its alias
    split: float  # for an export that does not hold it


def read_log(source: str, test: ABTest, features: bool) -> tuple[pd.DataFrame, float]:
    """In the order of the requests, with the time up to which the source knows everything."""
    if source.startswith(("http://", "https://")):
        return _fetched(source, test)
    if "://" in source:
        return _from_database(source, test, features), time()
    if not Path(source).is_file():
        raise InputError(
            f"log={source}: no such file; expected a CSV or Parquet export, an address of the log"
            " (sqlite:///..., postgresql://...) or a service's http://.../log.csv"
        )
    return _from_file(source, test)


def _from_database(url: str, test: ABTest, features: bool) -> pd.DataFrame:
    from sqlalchemy.exc import SQLAlchemyError

    from ratchet.predictions.reading import read_window
    from ratchet.predictions.tables import shown

    columns = (*COLUMNS, "features") if features else COLUMNS
    try:
        rows = read_window(
            url, test.prod, test.staging, test.since, None, columns=columns, model=test.model
        )
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise InputError(
            f"log={shown(url)} cannot be read: {reason}; is a service writing there?"
        ) from None
    return _typed(rows)


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Whole columns of None come as objects."""
    numbers = {name: pd.to_numeric(rows[name]) for name in ("time", "label_time", "latency_ms")}
    return rows.assign(**numbers, split=rows["split"].astype(float))


def _fetched(address: str, test: ABTest) -> tuple[pd.DataFrame, float]:
    import shutil
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    address = address if "/log.csv" in address else address.rstrip("/") + "/log.csv"
    url = address if "?" in address else f"{address}?details=true"
    token = os.environ.get("RATCHET_ADMIN_TOKEN", "")
    request = Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    asked = time()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "log.csv"
        try:
            with urlopen(request, timeout=SECONDS) as answer, file.open("wb") as copy:  # noqa: S310
                shutil.copyfileobj(answer, copy)
        except (URLError, OSError) as error:
            raise InputError(
                f"log={address} does not answer ({error}); is the address right, and is"
                " RATCHET_ADMIN_TOKEN the service's?"
            ) from None
        return _from_file(str(file), test, called=url)[0], asked


def _from_file(file: str, test: ABTest, called: str = "") -> tuple[pd.DataFrame, float]:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    try:
        rows = _select(_relation(file, connection), test, called or file)
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"log={called or file} cannot be read: {reason}") from None
    times = pd.concat([rows["time"], rows["label_time"]])
    return rows, float(times.max()) if len(rows) else 0.0


def _relation(file: str, connection: "duckdb.DuckDBPyConnection") -> "duckdb.DuckDBPyRelation":
    if file.endswith((".parquet", ".pq")):
        return connection.read_parquet(file)
    return connection.read_csv(file, all_varchar=True, header=True)


def _select(relation: "duckdb.DuckDBPyRelation", test: ABTest, called: str) -> pd.DataFrame:
    names = {SHORT_NAMES.get(name, name): name for name in relation.columns}
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(
            f"log={called} has no column '{missing[0]}'; expected at least {', '.join(NEEDED)}"
        )
    chosen = relation.project(", ".join([_order(names), *_columns(names, test.split)]))
    rows: pd.DataFrame = chosen.filter(_condition(names, test)).order('"order", time').df()
    return _typed(rows.drop(columns="order"))


def _order(names: dict[str, str]) -> str:
    return f'{_quoted(names["request_id"])} AS "order"' if "request_id" in names else '0 AS "order"'


KINDS = {
    "time": "DOUBLE", "label_time": "DOUBLE", "split": "DOUBLE", "latency_ms": "DOUBLE",
    "fallback": "BOOLEAN",
}  # fmt: skip


def _columns(names: dict[str, str], split: float) -> list[str]:
    """Each under its name, typed; every other column is a feature."""
    absent = {"assigned_arm": _quoted(names["arm"]), "split": f"{split}", "fallback": "false"}
    found = []
    for name in COLUMNS:
        value = _quoted(names[name]) if name in names else absent.get(name, "NULL")
        if name in ("time", "label_time"):  # seconds since 1970, or a moment in ISO 8601
            moment = f"epoch(try_cast({value} AS TIMESTAMPTZ))"
            value = f"coalesce(try_cast({value} AS DOUBLE), {moment})"
        if name == "shadow_prediction":  # JSON, where a service wrote it
            value = f"coalesce(json_extract_string(try_cast({value} AS JSON), '$'), {value})"
        found.append(f"CAST({value} AS {KINDS.get(name, 'VARCHAR')}) AS {name}")
    features = [original for name, original in names.items() if name not in (*COLUMNS, *OTHERS)]
    pairs = ", ".join(f"{_literal(name)}: {_quoted(name)}" for name in features)
    keys = ("model", "prod_version", "staging_version")
    return [
        *found,
        f"{{{pairs}}} AS features" if pairs else "NULL AS features",
        *[_quoted(names[name]) for name in keys if name in names],
    ]


def _condition(names: dict[str, str], test: ABTest) -> str:
    """An export without the pair's versions is cut at the test's beginning, by the ledger."""
    since = test.since or 0.0
    wanted = {"model": test.model, "prod_version": test.prod, "staging_version": test.staging}
    exact = [f"{_quoted(names[n])} = {_literal(v)}" for n, v in wanted.items() if n in names]
    if "prod_version" not in names or "staging_version" not in names:
        since = max(since, test.staged)
        exact.append(f"model_version IN ({_literal(test.prod)}, {_literal(test.staging)})")
    return " AND ".join([f"time >= {since}", *exact])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
