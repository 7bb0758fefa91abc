"""Realistic random tables with a seed: text, dates, booleans, codes, missing values."""

from pathlib import Path
from xml.sax.saxutils import escape
from zipfile import ZipFile

import duckdb
import numpy as np
import pandas as pd

from ratchet.data.dataset import Table, load
from ratchet.settings import DataSettings

CLASSES = ("leaves", "stays", "upgrades")


def mixed_frame(rows: int = 120, classes: int = 3, seed: int = 0) -> pd.DataFrame:
    """Return every kind of column, with and without gaps; `outcome` follows age and city."""
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
    """Write the format that the suffix names: CSV, CSV with gzip, or Parquet."""
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


def write_xlsx(path: Path, **sheets: list[list[object]]) -> Path:
    """Write the least that a spreadsheet consists of."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    places = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{name}" sheetId="{place}" r:id="r{place}"/>'
        for place, name in zip(places, sheets, strict=True)
    )
    links = "".join(
        f'<Relationship Id="r{place}" Type="{office}/worksheet" Target="sheet{place}.xml"/>'
        for place in places
    )
    with ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1"'
            f' Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">{links}</Relationships>',
        )
        for place, rows in zip(places, sheets.values(), strict=True):
            cells = "".join(f"<row>{''.join(map(_xlsx_cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{place}.xml".replace("worksheets/", ""),
                f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
            )
    return path


def _xlsx_cell(value: object) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'
