"""Tables as people have them: text, dates, booleans, codes, gaps. Written with a seed."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from ratchet.data.dataset import Table, load
from ratchet.settings import DataSettings

CLASSES = ("leaves", "stays", "upgrades")


def mixed_frame(rows: int = 120, classes: int = 3, seed: int = 0) -> pd.DataFrame:
    """Every kind of column, each with and without gaps; `outcome` follows age and city."""
    rng = np.random.default_rng(seed)
    names = CLASSES if classes == 3 else [f"class {code:02d}" for code in range(classes)]
    code = np.arange(rows) % classes
    cities = np.array(["Oslo", "Bergen", "Å, with a comma", 'a "quoted" one'], dtype=object)
    days = pd.Timestamp("1955-03-01") + pd.to_timedelta(rng.integers(0, 30_000, rows), unit="D")
    frame = pd.DataFrame(
        {
            "age": np.round(20 + 10 * code + rng.normal(0, 3, rows), 3),
            "visits": rng.integers(0, 50, rows),
            "city": cities[(code + rng.integers(0, 2, rows)) % 4],
            "branch": rng.choice([101, 205, 307], rows),
            "member": rng.random(rows) < 0.5,
            "consent": rng.choice(np.array([True, False, None], dtype=object), rows),
            "joined": days.astype("datetime64[us]"),
            "last_seen": days.astype("datetime64[us]"),
            "newsletter": rng.choice(["yes", "no"], rows),
            "outcome": np.array(names, dtype=object)[code],
        }
    )
    for name in ("age", "city", "last_seen"):
        frame.loc[rng.random(rows) < 0.15, name] = None
    return frame


def write(frame: pd.DataFrame, path: Path, options: str = "") -> Path:
    """By the suffix: CSV, CSV with gzip, or Parquet."""
    connection = duckdb.connect()
    connection.register("frame", frame)
    how = "FORMAT parquet" if path.suffix == ".parquet" else "FORMAT csv, HEADER"
    connection.execute(f"COPY frame TO '{path}' ({how}{options})")
    return path


def write_text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def settings(path: Path | str, target: str = "outcome", **more: object) -> DataSettings:
    return DataSettings.model_validate({"source": str(path), "target": target} | more)


def mixed_table(folder: Path, rows: int = 120, classes: int = 3, seed: int = 0) -> Table:
    path = write(mixed_frame(rows, classes, seed), folder / "mixed.parquet")
    return load(settings(path, kinds={"branch": "categorical"}))
