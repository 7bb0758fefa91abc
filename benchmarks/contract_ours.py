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
    started = time.perf_counter()
    results = check_source(table, DataSettings(source=table, target="y"), contract)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "broken_rows": sum(one.rows for one in results)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
