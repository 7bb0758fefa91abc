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


def main(table: str, rules: str) -> None:
    columns = json.loads(Path(rules).read_text())
    contract = validated(Contract, {"columns": columns}, rules)
    started, cpu = time.perf_counter(), time.process_time()
    results = check_source(table, DataSettings(source=table, target="y"), contract)
    times = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    broken = sum(one.rows for one in results if not one.passed)
    print(json.dumps(times | {"broken_rows": broken}))


if __name__ == "__main__":
    main(*sys.argv[1:])
