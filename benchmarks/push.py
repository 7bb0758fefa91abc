"""The time of a push to main that changes one config, by job and step.

python -m benchmarks.push

act runs train.yml, and package.yml if `staging` moved, in a clone of this repository's last commit.
The package cache is warm; the environment is created again, as on a fresh runner.
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
MAX_SECONDS_WITHOUT_TRAINING = 60


def main() -> None:
    if ACT is None:
        print(MISSING)
        return
    with TemporaryDirectory() as folder, serving() as github:
        fork = new_fork(Path(folder), github)
        first = fork.act("push", "train", fork.checkout("first"), job="train")
        tree = fork.checkout("second")
        shutil.copy(REPOSITORY / "configs/models/neighbours.json", tree / "configs/models")
        fork.push(tree, "A second model")
        acted = fork.act("push", "train", tree, WARM_ENVIRONMENT="")
        if first.code or acted.code:
            sys.exit(acted.output)
    report(acted)


def report(acted: Acted) -> None:
    took = [(job, step, s) for job in acted.jobs for step, s in acted.seconds(job).items()]
    print_table([{"job": job, "step": step[:70], "seconds": s} for job, step, s in took])
    jobs = {job: sum(s for one, _, s in took if one == job) for job in acted.jobs}
    training = sum(s for _, step, s in took if step.startswith(TRAINING))
    others = jobs["train"] - training
    print(
        json.dumps(
            {"jobs_seconds": {job: round(s, 1) for job, s in jobs.items()}}
            | {"training_seconds": round(training, 1), "without_training": round(others, 1)}
            | {"limit": MAX_SECONDS_WITHOUT_TRAINING}
            | {"holds": others <= MAX_SECONDS_WITHOUT_TRAINING}
        )
    )


if __name__ == "__main__":
    main()
