"""The size of a store, the recommended limits for a git ref, and the limits of GitHub."""

from typing import NamedTuple

from ratchet.store.remote import Remote


class Limits(NamedTuple):
    mb_per_file: int
    mb: int


RECOMMENDED = Limits(50, 500)
GITHUB = Limits(100, 2000)
TOO_LARGE = (
    "The store is too large for a git ref: {what}. Delete artifacts that nothing needs: start the"
    " workflow maintenance, or run the step store with action=lock size_limit=false, action=prune"
    " and action=put. Or move the store to a server: action=move to=postgresql://..."
    " server=http://..., then set MLFLOW_TRACKING_URI. docs/workflows.md says more"
)


def too_large(remote: Remote, tree: str, limits: Limits) -> str | None:
    """Return a message if a file of the tree or the whole tree is too large, otherwise None.

    `tree` is the hash of a tree or of a commit.
    """
    listing = remote.git("ls-tree", "-r", "-l", "-z", tree)
    lines = [line.split("\t", 1) for line in listing.split("\0") if line]
    what = size_problem({name: int(columns.split()[3]) for columns, name in lines}, limits)
    return TOO_LARGE.format(what=what) if what else None


def size_problem(sizes: dict[str, int], limits: Limits) -> str | None:
    """
    >>> size_problem({"mlflow.db": 61_000_000, "a": 1}, RECOMMENDED)
    'mlflow.db has 61 MB, more than 50 MB for one file'
    >>> size_problem({"a": 3, "b": 5}, RECOMMENDED) is None
    True
    """
    largest, total = max(sizes, key=sizes.__getitem__, default=""), sum(sizes.values())
    if sizes and sizes[largest] > limits.mb_per_file * 1e6:
        megabytes = f"{sizes[largest] / 1e6:.0f} MB"
        return f"{largest} has {megabytes}, more than {limits.mb_per_file} MB for one file"
    if total > limits.mb * 1e6:
        return f"it has {total / 1e6:.0f} MB, more than {limits.mb} MB in total"
    return None
