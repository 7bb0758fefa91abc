"""The time to take and put a store, compared with plain git; updates lost by concurrent writers.

python -m benchmarks.store

Stores of 10 and 200 MB are taken and put, including the lock. Plain git fetches the same ref, and
adds, commits and pushes the same change, in turns with it. A fifth of the bytes is the database;
the rest is artifacts that do not compress. Then three writers make ten changes each, concurrently.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from ratchet.report import print_table

REPOSITORY = Path(__file__).parent.parent
STORE = "refs/ratchet/store"
MEGABYTES = (10, 200)
TURNS = 3
WRITERS, CHANGES = 3, 10
MOST_TIMES_PLAIN_GIT = 1.5

WRITER = """
import sys
from pathlib import Path
from benchmarks.store import change
from ratchet.store import lock, state
from ratchet.store.remote import store_remote
lock.PAUSE = 0.1
for number in map(int, sys.argv[1:]):
    git = store_remote(Path.cwd())
    state.take(git, Path.cwd(), to_change=True)
    change(Path.cwd(), number)
    state.put(git, Path.cwd())
"""


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        timed = {size: in_turns(folder / str(size), size) for size in MEGABYTES}
        lost = updates_lost(folder / "writers")
    ratios = {
        f"{what}_{size}_mb": median(ours) / median(git)
        for size, turns in timed.items()
        for what, (ours, git) in turns.items()
    }
    rows = [
        {
            "store": f"{size} MB",
            "": what,
            "ours, seconds": median(ours),
            "plain git, seconds": median(git),
            "times": median(ours) / median(git),
        }
        for size, turns in timed.items()
        for what, (ours, git) in turns.items()
    ]
    print_table(rows)
    print(f"{WRITERS} concurrent writers, {WRITERS * CHANGES} changes: {lost} lost")
    holds = lost == 0 and max(ratios.values()) <= MOST_TIMES_PLAIN_GIT
    print(
        json.dumps(
            {"times_plain_git": {name: round(value, 3) for name, value in ratios.items()}}
            | {"limit": MOST_TIMES_PLAIN_GIT, "changes": WRITERS * CHANGES, "lost": lost}
            | {"holds": holds}
        )
    )


def in_turns(folder: Path, megabytes: int) -> dict[str, tuple[list[float], list[float]]]:
    remote = published(folder, megabytes)
    turns = []
    for number in range(1 + TURNS):  # the first turn fills the disk cache
        ours, theirs = folder / f"ours{number}", folder / f"git{number}"
        turns.append((*take_and_put(ours, remote, number), *fetch_and_push(theirs, remote, number)))
        shutil.rmtree(ours)
        shutil.rmtree(theirs)
    take, put, clone, push = ([*one] for one in zip(*turns[1:], strict=True))
    return {"take": (take, clone), "put": (put, push)}


def take_and_put(folder: Path, remote: Path, number: int) -> tuple[float, float]:
    from ratchet.store import state
    from ratchet.store.remote import store_remote

    os.chdir(checkout(folder, remote))
    git = store_remote(folder)
    took = seconds(lambda: state.take(git, folder, to_change=True))
    change(folder, number)
    return took, seconds(lambda: state.put(git, folder))


def fetch_and_push(folder: Path, remote: Path, number: int) -> tuple[float, float]:
    source = f"file://{remote}"  # by path, git would link the files and copy nothing
    folder.mkdir()
    git(folder, "init")

    def fetch() -> None:
        git(folder, "fetch", "--depth=1", source, STORE)
        git(folder, "checkout", "FETCH_HEAD")

    took = seconds(fetch)
    change(folder, number)

    def push() -> None:
        git(folder, "add", "--all")
        git(folder, "commit", "--amend", "--message=The store")
        git(folder, "push", "--force", source, f"HEAD:{STORE}")

    return took, seconds(push)


def published(folder: Path, megabytes: int) -> Path:
    """Create a remote that holds a store of this size."""
    remote, first = folder / "remote.git", folder / "first"
    remote.mkdir(parents=True)
    git(remote, "init", "--bare")
    checkout(first, remote)
    fill(first, megabytes)
    git(first, "add", "--all")
    git(first, "commit", "--message=The store")
    git(first, "push", "origin", f"HEAD:{STORE}")
    return remote


def checkout(folder: Path, remote: Path) -> Path:
    folder.mkdir()
    git(folder, "init")
    git(folder, "remote", "add", "origin", f"file://{remote}")
    return folder


def fill(folder: Path, megabytes: int) -> None:
    """Write a database of runs with five metrics each, and artifacts of 1 MB each."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE runs (run_uuid TEXT, artifact_uri TEXT)")
        connection.execute("CREATE TABLE metrics (run_uuid TEXT, key TEXT, value REAL, step INT)")
        while (folder / "mlflow.db").stat().st_size < megabytes * 1e6 / 5:
            names = [os.urandom(16).hex() for _ in range(2000)]
            connection.executemany(
                "INSERT INTO runs VALUES (?, 'mlruns/0/' || ? || '/artifacts')",
                [(one, one) for one in names],
            )
            connection.executemany(
                "INSERT INTO metrics VALUES (?, ?, ?, 0)",
                [(one, f"metric{n}", hash((one, n)) / 2**63) for one in names for n in range(5)],
            )
            connection.commit()
    for number in range(int(megabytes * 0.8)):
        artifact(folder, f"old{number}")


def change(folder: Path, number: int) -> None:
    """Add a row and an artifact, as a run does."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        connection.execute("INSERT INTO runs VALUES (?, '')", (f"new{number}",))
    artifact(folder, f"new{number}-{os.urandom(4).hex()}")


def artifact(folder: Path, name: str) -> None:
    file = folder / "mlruns" / "0" / name / "model.skops"
    file.parent.mkdir(parents=True)
    file.write_bytes(os.urandom(1_000_000))


def updates_lost(folder: Path) -> int:
    remote = published(folder, 1)
    writers = []
    for writer in range(WRITERS):
        numbers = map(str, range(writer * CHANGES, (writer + 1) * CHANGES))
        command = [sys.executable, "-c", WRITER, *numbers]
        here = checkout(folder / f"writer{writer}", remote)
        writers.append(subprocess.Popen(command, cwd=here, stdout=subprocess.DEVNULL))
    failed = sum(writer.wait() != 0 for writer in writers)
    result = checkout(folder / "result", remote)
    git(result, "fetch", "origin", STORE)
    git(result, "checkout", "FETCH_HEAD")
    with closing(sqlite3.connect(result / "mlflow.db")) as connection:
        (kept,) = connection.execute(
            "SELECT count(DISTINCT run_uuid) FROM runs WHERE run_uuid LIKE 'new%'"
        ).fetchone()
    return WRITERS * CHANGES - int(kept) if not failed else WRITERS * CHANGES


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Bench", "-c", "user.email=bench@localhost")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


if __name__ == "__main__":
    main()
