"""Both distributions of a column in a small SVG: the reference filled, the current data a line."""

from html import escape

import numpy as np

from ratchet.profile.profile import CategoryCounts, Counts, NumberCounts

WIDTH, HEIGHT = 168, 36
BARS = 24
TAIL = 0.01  # of the reference, on either side: beyond it values pile up in the outer bars


def picture(reference: Counts, current: Counts) -> str:
    if isinstance(reference, NumberCounts) and isinstance(current, NumberCounts):
        marks = _marks(reference)
        shares = [_between(marks, one) for one in (reference, current)]
        says = f"from {_said(marks[0], reference)} to {_said(marks[-1], reference)}"
    elif isinstance(reference, CategoryCounts):
        shares = [_by_name(one) for one in (reference, current)]
        says = ", ".join([*reference.bins.names[: BARS - 2], "others", "new"])
    before, now = (share / max(share.sum(), 1) for share in shares)
    return _svg(before, now, f"{says}, missing")


def _marks(reference: NumberCounts) -> np.ndarray:
    """Of bars of one width, over all but the tails."""
    edges = reference.bins.edges
    if not len(edges) or not reference.counts.sum():
        return np.zeros(1)
    below = np.cumsum(reference.counts)[:-1] / reference.counts.sum()
    first, last = edges[np.searchsorted(below, [TAIL, 1 - TAIL]).clip(max=len(edges) - 1)]
    with np.errstate(over="ignore", invalid="ignore"):
        marks = np.linspace(first, last, BARS - 1)
    return np.unique(np.nan_to_num(marks))


def _between(marks: np.ndarray, counts: NumberCounts) -> np.ndarray:
    """The values below the first mark, between each two, above the last; then the missing.

    Within a bin they are spread evenly. That holds for a picture; no statistic is taken from it.
    """
    below = np.cumsum(counts.counts)[:-1]
    at = np.interp(marks, counts.bins.edges, below) if len(below) else np.zeros(len(marks))
    parts = np.diff(at, prepend=0, append=counts.counts.sum())
    return np.append(parts, counts.missing)


def _by_name(counts: Counts) -> np.ndarray:
    *known, new = counts.counts.tolist()
    named = known[:-1][: BARS - 2]
    return np.array([*named, sum(known[len(named) :]), new, counts.missing], dtype=float)


def _said(value: float, counts: NumberCounts) -> str:
    if counts.kind == "date":
        return str(np.datetime64(0, "s") + np.timedelta64(int(value), "s"))[:10]
    return f"{value:.4g}"


def _svg(before: np.ndarray, now: np.ndarray, says: str) -> str:
    most = max(before.max(), now.max(), 1e-9)
    width = WIDTH / len(before)
    heights = [np.round(HEIGHT - 1 - (HEIGHT - 2) * one / most, 1) for one in (before, now)]
    places = [f"{(bar + 1) * width:.1f}" for bar in range(len(before))]
    filled, line = (
        f"M0 {HEIGHT}" + "".join(f"V{y:g}H{x}" for y, x in zip(ys, places, strict=True))
        for ys in heights
    )
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img"><title>{escape(says)}</title>'
        f'<path class="before" d="{filled}V{HEIGHT}Z"/><path class="now" d="{line}"/></svg>'
    )
