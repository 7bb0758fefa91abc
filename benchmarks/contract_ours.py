"""The check of a contract by this project, which benchmarks.contract runs in a new process.

python -m benchmarks.contract_ours table.parquet rules.json
"""

import json
import sys
import time
from pathlib import Path

from ratchet.contract.rules import Contract
from ratchet.contract.source import check_source
from ratchet.settings import DataSettings, validated


def peak_mb() -> float:
    """Return the peak memory of this process; getrusage would count the memory of its parent."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1000


def main(table: str, rules: str) -> None:
    columns = json.loads(Path(rules).read_text())
    contract = validated(Contract, {"columns": columns}, rules)
    warm = str(Path(table).with_name("small.parquet"))
    check_source(warm, DataSettings(source=warm, target="y"), contract)  # the imports
    started, cpu = time.perf_counter(), time.process_time()
    results = check_source(table, DataSettings(source=table, target="y"), contract)
    times = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    times["peak MB"] = peak_mb()
    broken = sum(one.rows for one in results if not one.passed)
    print(json.dumps(times | {"broken_rows": broken}))


if __name__ == "__main__":
    main(*sys.argv[1:])
