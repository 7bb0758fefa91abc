"""The same rules by pandera and pointblank, which benchmarks.contract runs in an environment.

python benchmarks/contract_peers.py table.parquet rules.json pandera|pandera-polars|pointblank
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Rules = Mapping[str, Mapping[str, Any]]


def pandera_schema(pa: Any, rules: Rules) -> Any:
    """Return the rules as a schema of `pa`, which is pandera for pandas or for polars."""
    checks = {
        name: [pa.Check.isin(one["values"])]
        if "values" in one
        else [pa.Check.ge(one["min"]), pa.Check.le(one["max"])]
        for name, one in rules.items()
    }
    return pa.DataFrameSchema(
        {name: pa.Column(checks=check, nullable=True) for name, check in checks.items()}
    )


def pandera(table: str, rules: Rules) -> int:
    import pandas as pd
    import pandera.pandas as pa

    frame = pd.read_parquet(table)
    schema = pandera_schema(pa, rules)
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return len(error.failure_cases) + missing_beyond(frame.isna().mean(), rules)
    return 0


def missing_beyond(shares: Any, rules: Rules) -> int:
    """Return how many columns miss more values than allowed; pandera has no rule for it."""
    return sum(bool(shares[name] > one["missing"]) for name, one in rules.items())


def pandera_polars(table: str, rules: Rules) -> int:
    import pandera.polars as pa
    import polars as pl

    frame = pl.read_parquet(table)
    schema = pandera_schema(pa, rules)
    shares = frame.null_count().row(0, named=True)
    beyond = missing_beyond({name: n / len(frame) for name, n in shares.items()}, rules)
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return len(error.failure_cases) + beyond
    return beyond


def pointblank(table: str, rules: Rules) -> int:
    import pointblank as pb
    import polars as pl

    frame = pl.read_parquet(table)
    validation = pb.Validate(frame)
    for name, one in rules.items():
        if "values" in one:
            validation = validation.col_vals_in_set(name, set=[*one["values"], None])
        else:
            validation = validation.col_vals_ge(name, one["min"], na_pass=True)
            validation = validation.col_vals_le(name, one["max"], na_pass=True)
    validation = validation.interrogate()
    shares = frame.null_count().row(0, named=True)
    beyond = missing_beyond({name: n / len(frame) for name, n in shares.items()}, rules)
    return int(sum(validation.n_failed().values())) + beyond


def peak_mb() -> float:
    """Return the peak memory of this process; getrusage would count the memory of its parent."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1000


def main(table: str, rules: str, peer: str) -> None:
    content = json.loads(Path(rules).read_text())
    check = {"pandera": pandera, "pandera-polars": pandera_polars, "pointblank": pointblank}[peer]
    warm = Path(table).with_name("small.parquet")
    check(str(warm), content)  # the imports
    started, cpu = time.perf_counter(), time.process_time()
    broken = check(table, content)
    times = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    times["peak MB"] = peak_mb()
    print(json.dumps(times | {"broken_rows": broken}))


if __name__ == "__main__":
    main(*sys.argv[1:])
