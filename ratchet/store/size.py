"""The size of a store, and the limits of what a git ref should hold and of what GitHub takes."""

from typing import NamedTuple

from ratchet.store.remote import Remote


class Limits(NamedTuple):
    mb_per_file: int
    mb: int


RECOMMENDED = Limits(50, 500)
GITHUB = Limits(100, 2000)
TOO_LARGE = (
    "The store is too large for a git ref: {what}. Delete artifacts that nothing needs:"
    " mlflow run . -e store -P action=prune; or move the store to a server, with every run, version"
    " and alias: mlflow run . -e store -P action=move -P to=postgresql://... -P server=http://...,"
    " then set MLFLOW_TRACKING_URI. More in docs/workflows.md"
)


def too_large(remote: Remote, tree: str, limits: Limits) -> str | None:
    """Return what is too large in a tree, or in the tree of a commit, and what to do about it."""
    listing = remote.git("ls-tree", "-r", "-l", "-z", tree)
    lines = [line.split("\t", 1) for line in listing.split("\0") if line]
    what = size_problem({name: int(columns.split()[3]) for columns, name in lines}, limits)
    return TOO_LARGE.format(what=what) if what else None


def size_problem(sizes: dict[str, int], limits: Limits) -> str | None:
    """
    >>> size_problem({"mlflow.db": 61_000_000, "a": 1}, RECOMMENDED)
    'mlflow.db has 61 MB, and a file may have 50 MB'
    >>> size_problem({"a": 3, "b": 5}, RECOMMENDED) is None
    True
    """
    largest, total = max(sizes, key=sizes.__getitem__, default=""), sum(sizes.values())
    if sizes and sizes[largest] > limits.mb_per_file * 1e6:
        megabytes = f"{sizes[largest] / 1e6:.0f} MB"
        return f"{largest} has {megabytes}, and a file may have {limits.mb_per_file} MB"
    if total > limits.mb * 1e6:
        return f"it has {total / 1e6:.0f} MB, and may have {limits.mb} MB"
    return None
