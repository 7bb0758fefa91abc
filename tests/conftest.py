"""The order of the tests, and what makes all of them faster."""

import os
import sys

import pytest

from tests.empty_store import copy_tables

# The files that take longest; with --dist loadfile the workers begin with them.
LONGEST = (
    "test_line",
    "test_automl_search",
    "test_workflows_train",
    "test_reproduce",
    "test_documented",
    "test_steps",
    "test_service",
    "test_promote",
    "test_steps_drift",
    "test_workflows_promote",
    "test_workflows_monitor",
    "test_traffic",
    "test_store_state",
    "test_zoo",
    "test_deploy",
)


def pytest_xdist_auto_num_workers() -> int:
    """Return two workers per core, because the slow tests wait half of the time."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))
    if "mlflow" in sys.modules:
        copy_tables()
