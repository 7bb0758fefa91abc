"""A small SVG of both distributions of a column: the reference as an area, the data as a line."""

from html import escape

import numpy as np

from ratchet.profile.profile import CategoryCounts, Counts, NumberCounts

WIDTH, HEIGHT = 168, 36
BARS = 24
TAIL = 0.01  # the share of the reference that the first and the last bar hold, at least


def picture(reference: Counts, current: Counts) -> str:
    if isinstance(reference, NumberCounts) and isinstance(current, NumberCounts):
        edges = _bar_edges(reference)
        shares = [_bars(edges, one) for one in (reference, current)]
        title = f"from {_text(edges[0], reference)} to {_text(edges[-1], reference)}"
    elif isinstance(reference, CategoryCounts):
        shares = [_by_name(one) for one in (reference, current)]
        title = ", ".join([*reference.bins.names[: BARS - 2], "others", "unseen"])
    before, now = (share / max(share.sum(), 1) for share in shares)
    return _svg(before, now, f"{title}, missing")


def _bar_edges(reference: NumberCounts) -> np.ndarray:
    """Return the edges of bars of equal width between the tails."""
    edges = reference.bins.edges
    if not len(edges) or not reference.counts.sum():
        return np.zeros(1)
    below = np.cumsum(reference.counts)[:-1] / reference.counts.sum()
    first, last = edges[np.searchsorted(below, [TAIL, 1 - TAIL]).clip(max=len(edges) - 1)]
    with np.errstate(over="ignore", invalid="ignore"):
        bar_edges = np.linspace(first, last, BARS - 1)
    return np.unique(np.nan_to_num(bar_edges))


def _bars(edges: np.ndarray, counts: NumberCounts) -> np.ndarray:
    """Return the number of values per bar, then of missing ones.

    Values are spread evenly within a bin: exact enough for a picture. No statistic uses it.
    """
    below = np.cumsum(counts.counts)[:-1]
    at_edges = np.interp(edges, counts.bins.edges, below) if len(below) else np.zeros(len(edges))
    parts = np.diff(at_edges, prepend=0, append=counts.counts.sum())
    return np.append(parts, counts.missing)


def _by_name(counts: Counts) -> np.ndarray:
    *known, unseen = counts.counts.tolist()
    named = known[:-1][: BARS - 2]
    return np.array([*named, sum(known[len(named) :]), unseen, counts.missing], dtype=float)


def _text(value: float, counts: NumberCounts) -> str:
    if counts.kind == "date":
        return str(np.datetime64(0, "s") + np.timedelta64(int(value), "s"))[:10]
    return f"{value:.4g}"


def _svg(before: np.ndarray, now: np.ndarray, title: str) -> str:
    most = max(before.max(), now.max(), 1e-9)
    width = WIDTH / len(before)
    heights = [np.round(HEIGHT - 1 - (HEIGHT - 2) * one / most, 1) for one in (before, now)]
    places = [f"{(bar + 1) * width:.1f}" for bar in range(len(before))]
    filled, line = (
        f"M0 {HEIGHT}" + "".join(f"V{y:g}H{x}" for y, x in zip(ys, places, strict=True))
        for ys in heights
    )
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img"><title>{escape(title)}</title>'
        f'<path class="before" d="{filled}V{HEIGHT}Z"/><path class="now" d="{line}"/></svg>'
    )
