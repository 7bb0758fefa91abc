"""The time of one check without start-up: imports are done and the reference is loaded.

python -m benchmarks.drift_ours current.parquet, in a project whose prod has a profile.
"""

import json
import sys
import time

import pyarrow.parquet

from ratchet.drift.checks import Checks
from ratchet.drift.drift import find_drift
from ratchet.drift.page import page
from ratchet.drift.reference import reference_of
from ratchet.drift.report import content, markdown, metrics, table
from ratchet.registry.registry import Registry
from ratchet.registry.tracking import connect
from ratchet.report import markdown_table
from ratchet.settings import read_settings


def main(current: str) -> None:
    settings, client = read_settings(), connect()
    before = reference_of("prod", Registry(client, settings.model), settings.data)
    started = time.perf_counter()
    result = find_drift(current, before, Checks(client, settings.model), settings)
    report = (
        markdown(result, markdown_table(table(result))),
        page(result),
        json.dumps(content(result)),
        metrics(result.drift),
    )
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    pyarrow.parquet.read_table(current)
    decoding = time.perf_counter() - started
    assert all(report)
    print(
        json.dumps(
            {"seconds": seconds, "decoding": decoding, "drifted": sorted(result.drift.drifted)}
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
