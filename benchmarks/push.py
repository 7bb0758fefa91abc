"""What a push to main that changes one config takes, job by job and step by step.

python -m benchmarks.push

train.yml, and package.yml where staging moved, run by act in a clone of this repository's last
commit. The package cache is warm; the environment is made anew, as a fresh runner makes it.
"""

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet.report import print_table
from tests.acting import ACT, MISSING, Acted, new_fork
from tests.github import serving
from tests.projects import REPOSITORY

TRAINING = "python -m steps.train"
MOST_SECONDS_BESIDE_TRAINING = 60


def main() -> None:
    if ACT is None:
        print(MISSING)
        return
    with TemporaryDirectory() as folder, serving() as github:
        fork = new_fork(Path(folder), github)
        begun = fork.act("push", "train", fork.checkout("first"), job="train")
        tree = fork.checkout("second")
        shutil.copy(REPOSITORY / "configs/models/neighbours.json", tree / "configs/models")
        fork.push(tree, "A second model")
        acted = fork.act("push", "train", tree, WARM_ENVIRONMENT="")
        if begun.code or acted.code:
            sys.exit(acted.output)
    report(acted)


def report(acted: Acted) -> None:
    took = [(job, step, s) for job in acted.jobs for step, s in acted.seconds(job).items()]
    print_table([{"job": job, "step": step[:70], "seconds": s} for job, step, s in took])
    jobs = {job: sum(s for one, _, s in took if one == job) for job in acted.jobs}
    training = sum(s for _, step, s in took if step.startswith(TRAINING))
    beside = jobs["train"] - training
    print(
        json.dumps(
            {"jobs_seconds": {job: round(s, 1) for job, s in jobs.items()}}
            | {"training_seconds": round(training, 1), "beside_training": round(beside, 1)}
            | {"limit": MOST_SECONDS_BESIDE_TRAINING}
            | {"holds": beside <= MOST_SECONDS_BESIDE_TRAINING}
        )
    )


if __name__ == "__main__":
    main()
