"""The steps in order, each a process of its own: they meet only through MLflow and files."""

import os
import subprocess
import sys
from collections.abc import Sequence


def run_steps(steps: Sequence[Sequence[str]]) -> str | None:
    """The step that failed, if one did."""
    env = {key: value for key, value in os.environ.items() if key != "MLFLOW_RUN_ID"}
    for step, *arguments in steps:
        print(f"\n== {step}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"steps.{step}", *arguments], env=env, check=False
        )
        if done.returncode:
            return step
    return None
